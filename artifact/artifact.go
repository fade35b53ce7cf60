// Package artifact has the kinds of artifacts that are taken apart and rebuilt beside an image.
//
// Such an artifact is a recipe over contents, as the image is, and most of its contents are files of
// that image:
//
//	artifact --Kind.TakeApart--> recipe, contents    (publisher; a target with its seeds)
//	recipe + contents --Recipe.Build--> artifact     (publisher and every target: the same bytes)
//
// What travels is the recipe, compressed with [Dictionary], and the contents that the image lacks,
// see [Own]; or a patch set that leads from an older artifact of the kind, see [Make] and [Open].
//
// Everybody who publishes, checks or applies works with [Kind] and [Recipe] and names no kind. A new
// kind is a file beside initrd.go and a line in kinds.
package artifact

import (
	"context"
	"errors"
	"io"
	"iter"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// ErrUnsupported is wrapped when a file can't be taken apart as a kind. It can still be published
// as it is.
var ErrUnsupported = errors.New("it can't be taken apart")

// Kind is a kind of artifacts beside an image.
type Kind interface {
	// Name is what releases call the kind, and the one artifact of a release that may be of it.
	Name() string
	// TakeApart reads an artifact to its end and gives its recipe and a source of its contents,
	// which reads o.Spool; what it opens is an io.ReaderAt, too. What is none of this kind is
	// ErrUnsupported.
	TakeApart(ctx context.Context, r io.Reader, o Options) (Recipe, mkimage.Source, error)
	// Parse reads a recipe's text. Errors wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion.
	Parse(text io.Reader) (Recipe, error)
	// AppendLine appends the line, with its end, that a recipe most likely has for a regular file
	// of the image beside it. It does not depend on how contents are cut.
	AppendLine(b []byte, e *mkimage.Entry) []byte
}

// Options says how an artifact is taken apart. The zero value is usable.
type Options struct {
	Level string // one of mkimage.Levels; "": "best"
	// zero: chunkstore.DefaultParams; that of the image beside it, so that both share chunks
	Chunking chunkstore.Params
	Spool    Spool // takes the unpacked contents; nil: no source of contents
	// Keep tells whether the source is to have a content; nil: it has all. One that it is not to
	// have takes room in the spool only until the next.
	Keep func(c *chunkstore.Content) bool
}

// Spool keeps unpacked contents; an *os.File is one.
type Spool interface {
	io.WriterAt
	io.ReaderAt
}

// Recipe is everything but content that decides an artifact's bytes.
type Recipe interface {
	// Contents gives the distinct contents in order of first appearance.
	Contents() iter.Seq[*chunkstore.Content]
	// Files gives the names of files that have contents, as the artifact calls them, in order.
	Files() iter.Seq2[string, *chunkstore.Content]
	// Chunking is how contents were cut.
	Chunking() chunkstore.Params
	// WriteTo writes the text that Parse reads. It does not validate.
	WriteTo(w io.Writer) (int64, error)
	// Validate reports the first thing that makes it no recipe. Errors wrap chunkstore.ErrCorrupt.
	// A codec that this program does not know is valid.
	Validate() error
	// Codec is the id of level and encoder generation, and whether Build knows it.
	Codec() (id string, known bool)
	// Build writes the artifact to w, from its first byte on, and gives its size. Contents come
	// from src and are verified. Errors wrap mkimage.ErrContent, mkimage.ErrUnknownCodec, or what
	// src and w returned.
	Build(ctx context.Context, src mkimage.Source, w io.Writer) (size int64, err error)
	// Verify takes an artifact apart and reports when Build does not make it of such a recipe.
	Verify(ctx context.Context, r io.Reader) error
	// With copies the recipe with what fn gives for each content.
	With(fn func(c *chunkstore.Content) *chunkstore.Content) Recipe
	// Bare copies the recipe without what depends on how the artifact was taken apart: its codec
	// and chunking.
	Bare() Recipe
}

// kinds are the ones that this program knows.
var kinds = []Kind{initrdKind{}}

// ByName finds a kind, nil when there is none of that name.
func ByName(name string) Kind {
	for _, k := range kinds {
		if k.Name() == name {
			return k
		}
	}
	return nil
}

// Register adds a kind, for tests that prove that everything works with any kind. It must not be
// called while another function of this package runs. The result takes it away again.
func Register(k Kind) (remove func()) {
	before := kinds
	kinds = append(kinds[:len(kinds):len(kinds)], k)
	return func() { kinds = before }
}
