package artifact

import (
	"context"
	"errors"
	"io"
	"iter"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/kernel"
)

// kernelKind is the Kind of Linux kernels, see package kernel. Its artifacts are built as they were
// before they were taken apart.
type kernelKind struct{}

// Name implements Kind.
func (kernelKind) Name() string { return "kernel" }

// Artifact implements Kind.
func (k kernelKind) Artifact() string { return k.Name() }

// TakeApart implements Kind.
func (kernelKind) TakeApart(ctx context.Context, f File,
	o Options) (Recipe, mkimage.Source, error) {
	recipe, source, err := kernel.NewRecipe(ctx, f, kernel.Options{
		Chunking: o.Chunking, Spool: o.Spool, Keep: o.Keep, Seed: o.Seed, Whole: o.Whole,
	})
	if err != nil {
		switch {
		case errors.Is(err, kernel.ErrForeign):
			err = foreign{unsupported{err}}
		case errors.Is(err, kernel.ErrUnsupported):
			err = unsupported{err}
		}
		return nil, nil, err
	}
	return kernelRecipe{recipe}, source, nil
}

// foreign makes an error one that wraps ErrForeign too, with no other text.
type foreign struct{ unsupported }

func (f foreign) Is(target error) bool { return target == ErrForeign || f.unsupported.Is(target) }

// Parse implements Kind.
func (kernelKind) Parse(text io.Reader) (Recipe, error) {
	r, err := kernel.ParseRecipe(text)
	if err != nil {
		return nil, err
	}
	return kernelRecipe{r}, nil
}

// AppendLine implements Kind: what a kernel is made of is no file of an image.
func (kernelKind) AppendLine(b []byte, _ *mkimage.Entry, _ chunkstore.ID) []byte { return b }

// AsItIs gives a recipe of any artifact that is its only content, cut as p says.
func AsItIs(c *chunkstore.Content, p chunkstore.Params) Recipe {
	return kernelRecipe{kernel.Whole(c, p)}
}

// kernelRecipe is a kernel's recipe as a Recipe.
type kernelRecipe struct{ *kernel.Recipe }

// Files implements Recipe.
func (r kernelRecipe) Files() iter.Seq2[string, *chunkstore.Content] { return r.Parts() }

// Chunking implements Recipe.
func (r kernelRecipe) Chunking() chunkstore.Params { return r.Recipe.Chunking }

// Codec implements Recipe.
func (r kernelRecipe) Codec() (id string, known bool) {
	return r.Recipe.Codec, kernel.KnownCodec(r.Recipe.Codec)
}

// Build implements Recipe.
func (r kernelRecipe) Build(ctx context.Context, src mkimage.Source,
	w io.Writer) (size int64, err error) {
	return kernel.Build(ctx, r.Recipe, src, w)
}

// Verify implements Recipe.
func (r kernelRecipe) Verify(ctx context.Context, f File) error { return r.Recipe.Verify(ctx, f) }

// Partial implements Recipe.
func (kernelRecipe) Partial() bool { return false }

// With implements Recipe.
func (r kernelRecipe) With(fn func(c *chunkstore.Content) *chunkstore.Content) Recipe {
	made := *r.Recipe
	for _, c := range []**chunkstore.Content{&made.Before, &made.Payload, &made.Behind} {
		if *c != nil {
			*c = fn(*c)
		}
	}
	return kernelRecipe{&made}
}

// Bare implements Recipe.
func (r kernelRecipe) Bare() Recipe {
	bare := *r.Recipe
	bare.Codec, bare.Chunking = "", chunkstore.Params{}
	return kernelRecipe{&bare}
}
