package initrd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/internal/spool"
)

// Options says what a recipe has besides the initrd. The zero value is usable.
type Options struct {
	Level string // one of mkimage.Levels; "": "best"
	// Chunking should be that of the image beside the initrd, so that both share chunks. Zero is
	// chunkstore.DefaultParams.
	Chunking chunkstore.Params
	Spool    Spool // gets the unpacked contents; nil: there is no source of contents
	// Keep tells whether the source shall have a content; nil: it has all. Other contents take room
	// in the spool only until the next content.
	Keep func(c *chunkstore.Content) bool
}

// Spool keeps unpacked contents. An *os.File is one.
type Spool = spool.Spool

// NewRecipe unpacks the initrd that r reads. It gives the recipe and a source of the contents,
// which reads o.Spool. What the source opens is an io.ReaderAt too. Errors wrap ErrUnsupported when
// the initrd cannot be taken apart, or are those of r, ctx and o.Spool.
func NewRecipe(ctx context.Context, r io.Reader, o Options) (*Recipe, mkimage.Source, error) {
	recipe := &Recipe{Chunking: o.Chunking}
	if recipe.Chunking == (chunkstore.Params{}) {
		recipe.Chunking = chunkstore.DefaultParams
	}
	if err := recipe.Chunking.Validate(); err != nil {
		return nil, nil, fmt.Errorf("make initrd recipe: %w", err)
	}
	var err error
	if recipe.Codec, err = codecFor(o.Level); err != nil {
		return nil, nil, fmt.Errorf("make initrd recipe: %w", err)
	}
	take := spool.NewTaker(recipe.Chunking, o.Spool, o.Keep)
	in := spool.NewCaller(ctx, r)
	scan := scanner{content: take.Content}
	if recipe.Segments, err = scan.initrd(in); err == nil {
		err = recipe.Validate()
	}
	switch {
	case in.Err() != nil:
		return nil, nil, fmt.Errorf("make initrd recipe: %w", in.Err())
	case take.Err() != nil:
		return nil, nil, fmt.Errorf("make initrd recipe: spool: %w", take.Err())
	// an error of a decoder, or the initrd ends too early
	case err != nil && !errors.Is(err, ErrUnsupported):
		return nil, nil, fmt.Errorf("make initrd recipe: %w: %v", ErrUnsupported, err)
	case err != nil:
		return nil, nil, fmt.Errorf("make initrd recipe: %w", err)
	}
	return recipe, take.Source(), nil
}

// Verify takes apart the initrd that in reads and compares it with r. It returns an error that
// wraps mkimage.ErrContent when its segments, archives or contents differ. It does not check that
// the codec of r made its frames.
func (r *Recipe) Verify(ctx context.Context, in io.Reader) error {
	other, _, err := NewRecipe(ctx, in, Options{Chunking: r.Chunking})
	if err != nil {
		return err
	}
	other.Codec = r.Codec
	want, got := chunkstore.NewHasher(), chunkstore.NewHasher()
	if _, err := r.WriteTo(want); err != nil {
		return err
	}
	if _, err := other.WriteTo(got); err != nil {
		return err
	}
	if want.ID() != got.ID() {
		return fmt.Errorf("verify initrd: %w", mkimage.ErrContent)
	}
	return nil
}

// Contents gives the distinct contents in order of first appearance.
func (r *Recipe) Contents() iter.Seq[*chunkstore.Content] {
	return func(yield func(*chunkstore.Content) bool) {
		seen := make(map[*chunkstore.Content]bool)
		for m := range r.Members() {
			if c := m.Content; c != nil && !seen[c] {
				seen[c] = true
				if !yield(c) {
					return
				}
			}
		}
	}
}

// Members gives the members of all archives in order.
func (r *Recipe) Members() iter.Seq[*Member] {
	return func(yield func(*Member) bool) {
		for _, s := range r.Segments {
			for _, a := range s.Archives {
				for i := range a.Members {
					if !yield(&a.Members[i]) {
						return
					}
				}
			}
		}
	}
}
