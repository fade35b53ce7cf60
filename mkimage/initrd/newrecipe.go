package initrd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// Options says what a recipe has besides the initrd. The zero value is usable.
type Options struct {
	Level string // one of mkimage.Levels; "": "best"
	// Chunking should be that of the image beside the initrd, so that both share chunks. Zero is
	// chunkstore.DefaultParams.
	Chunking chunkstore.Params
	Spool    Spool // gets the unpacked contents; nil: there is no source of contents
	// Keep tells whether the source shall have a content; nil: it has all. Other contents take room
	// place in the spool only until the next content.
	Keep func(c *chunkstore.Content) bool
}

// Spool keeps unpacked contents, since nobody can read a compressed initrd at random. An *os.File
// is one.
type Spool interface {
	io.WriterAt
	io.ReaderAt
}

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
	take := taker{
		splitter: chunkstore.NewSplitter(recipe.Chunking),
		spool:    o.Spool,
		keep:     o.Keep,
		contents: make(map[chunkstore.ID]*chunkstore.Content),
		offsets:  make(map[chunkstore.ID]int64),
	}
	in := &caller{ctx: ctx, r: r}
	scan := scanner{content: take.content}
	if recipe.Segments, err = scan.initrd(in); err == nil {
		err = recipe.Validate()
	}
	switch {
	case in.err != nil:
		return nil, nil, fmt.Errorf("make initrd recipe: %w", in.err)
	case take.err != nil:
		return nil, nil, fmt.Errorf("make initrd recipe: spool: %w", take.err)
	// an error of a decoder, or the initrd ends too early
	case err != nil && !errors.Is(err, ErrUnsupported):
		return nil, nil, fmt.Errorf("make initrd recipe: %w: %v", ErrUnsupported, err)
	case err != nil:
		return nil, nil, fmt.Errorf("make initrd recipe: %w", err)
	}
	return recipe, spoolSource{take.spool, take.offsets}, nil
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

// taker cuts the contents of files as they are unpacked, and spools them.
type taker struct {
	splitter *chunkstore.Splitter
	spool    Spool
	keep     func(c *chunkstore.Content) bool
	size     int64 // bytes of the spool: where the next byte goes
	err      error // the spool's first error
	contents map[chunkstore.ID]*chunkstore.Content
	offsets  map[chunkstore.ID]int64 // in the spool
}

func (t *taker) content(r io.Reader) (*chunkstore.Content, error) {
	start := t.size
	c, err := t.splitter.Split(io.TeeReader(r, t), nil)
	if err != nil {
		return nil, err
	}
	if known := t.contents[c.ID]; known != nil {
		t.size = start
		return known, nil
	}
	t.contents[c.ID] = &c
	if t.keep == nil || t.keep(&c) {
		t.offsets[c.ID] = start
	} else {
		t.size = start
	}
	return &c, nil
}

// Write spools bytes of the current content.
func (t *taker) Write(p []byte) (int, error) {
	if t.spool == nil {
		return len(p), nil
	}
	n, err := t.spool.WriteAt(p, t.size)
	t.size += int64(n)
	t.err = err
	return n, err
}

// spoolSource is a source of the contents in a spool.
type spoolSource struct {
	spool   Spool
	offsets map[chunkstore.ID]int64
}

// Open implements mkimage.Source.
func (s spoolSource) Open(_ context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	offset, ok := s.offsets[c.ID]
	if !ok || s.spool == nil {
		return nil, fmt.Errorf("content %v: %w", c.ID, chunkstore.ErrNotFound)
	}
	return spooled{io.NewSectionReader(s.spool, offset, c.Size)}, nil
}

// spooled is an open content.
type spooled struct{ *io.SectionReader }

// Close does nothing, since the spool is the caller's.
func (spooled) Close() error { return nil }

// caller is the caller's reader. It remembers the reader's error, which is not about the initrd.
type caller struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (c *caller) Read(p []byte) (int, error) {
	if c.err == nil {
		c.err = c.ctx.Err()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(p)
	if err != io.EOF {
		c.err = err
	}
	return n, err
}
