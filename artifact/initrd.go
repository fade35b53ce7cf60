package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// initrdKind is the Kind of Linux initrds, see package initrd.
type initrdKind struct{}

// Name implements Kind.
func (initrdKind) Name() string { return "initrd" }

// Artifact implements Kind.
func (k initrdKind) Artifact() string { return k.Name() }

// TakeApart implements Kind.
func (initrdKind) TakeApart(ctx context.Context, f File,
	o Options) (Recipe, mkimage.Source, error) {
	recipe, source, err := initrd.NewRecipe(ctx, f, initrd.Options{
		Level: o.Level, Chunking: o.Chunking, Spool: o.Spool, Keep: o.Keep,
	})
	if err != nil {
		if errors.Is(err, initrd.ErrUnsupported) {
			err = unsupported{err}
		}
		return nil, nil, err
	}
	return initrdRecipe{recipe}, source, nil
}

// Parse implements Kind.
func (initrdKind) Parse(text io.Reader) (Recipe, error) {
	r, err := initrd.ParseRecipe(text)
	if err != nil {
		return nil, err
	}
	return initrdRecipe{r}, nil
}

// AppendLine implements Kind.
func (initrdKind) AppendLine(b []byte, e *mkimage.Entry, id chunkstore.ID) []byte {
	return fmt.Appendf(b, "f %04o %d %d %d 1 1 %d %s %s\n", e.Mode, e.UID, e.GID, e.ModTime,
		e.Content.Size, id, e.Path)
}

// unsupported makes an error one that wraps ErrUnsupported, with no other text.
type unsupported struct{ error }

func (u unsupported) Unwrap() error        { return u.error }
func (u unsupported) Is(target error) bool { return target == ErrUnsupported }

// initrdRecipe is an initrd's recipe as a Recipe.
type initrdRecipe struct{ *initrd.Recipe }

// Files implements Recipe.
func (r initrdRecipe) Files() iter.Seq2[string, *chunkstore.Content] {
	return func(yield func(string, *chunkstore.Content) bool) {
		for m := range r.Members() {
			if m.Content != nil && !yield(m.Name, m.Content) {
				return
			}
		}
	}
}

// Chunking implements Recipe.
func (r initrdRecipe) Chunking() chunkstore.Params { return r.Recipe.Chunking }

// Codec implements Recipe.
func (r initrdRecipe) Codec() (id string, known bool) {
	return r.Recipe.Codec, initrd.KnownCodec(r.Recipe.Codec)
}

// Build implements Recipe.
func (r initrdRecipe) Build(ctx context.Context, src mkimage.Source,
	w io.Writer) (size int64, err error) {
	stats, err := initrd.Build(ctx, r.Recipe, src, w)
	return stats.Size, err
}

// find looks for the codec with which the recipe builds the initrd as it was. Errors wrap
// ErrUnsupported when there is none.
func (r initrdRecipe) find(ctx context.Context, src mkimage.Source, was *io.SectionReader) error {
	err := r.FindCodec(ctx, src, was)
	if errors.Is(err, initrd.ErrUnsupported) {
		err = unsupported{err}
	}
	return err
}

// Verify implements Recipe.
func (r initrdRecipe) Verify(ctx context.Context, f File) error { return r.Recipe.Verify(ctx, f) }

// Partial implements Recipe.
func (initrdRecipe) Partial() bool { return false }

// With implements Recipe.
func (r initrdRecipe) With(fn func(c *chunkstore.Content) *chunkstore.Content) Recipe {
	made := *r.Recipe
	made.Segments = append([]initrd.Segment(nil), r.Segments...)
	for i := range made.Segments {
		s := &made.Segments[i]
		s.Archives = append([]initrd.Archive(nil), s.Archives...)
		for j := range s.Archives {
			a := &s.Archives[j]
			a.Members = append([]initrd.Member(nil), a.Members...)
			for k := range a.Members {
				if m := &a.Members[k]; m.Content != nil {
					m.Content = fn(m.Content)
				}
			}
		}
	}
	return initrdRecipe{&made}
}

// Bare implements Recipe.
func (r initrdRecipe) Bare() Recipe {
	bare := *r.Recipe
	bare.Codec, bare.Chunking = "", chunkstore.Params{}
	return initrdRecipe{&bare}
}
