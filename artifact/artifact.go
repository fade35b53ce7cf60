// Package artifact has the kinds of artifacts that are taken apart and rebuilt beside an image.
//
// Such an artifact is a recipe over contents, as the image is, and most of its contents are files
// of that image:
//
//	artifact --Kind.TakeApart--> recipe, contents    (publisher; a target with its seeds)
//	recipe + contents --Recipe.Build--> artifact     (publisher and every target: the same bytes)
//
// What travels is the recipe, compressed with [Dictionary], and the contents that the image lacks,
// see [Own]; or a patch set that leads from an older artifact, see [Make] and [Open].
//
// Who publishes, checks or applies works with [Kind] and [Recipe] and names no kind. A new kind is
// a file beside initrd.go and a line in kinds.
package artifact

import (
	"context"
	"errors"
	"io"
	"iter"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// ErrUnsupported is wrapped when a file can't be taken apart as a kind. A publisher can still
// publish it as it is.
var ErrUnsupported = errors.New("it can't be taken apart")

// ErrForeign is wrapped besides ErrUnsupported when a file has no format of the kind at all, so
// that nothing is amiss when it stays as it is.
var ErrForeign = errors.New("it has no format of the kind")

// Kind is a kind of artifacts beside an image.
type Kind interface {
	// Name is what releases call the kind.
	Name() string
	// Artifact is the name that an artifact of the kind has, so a release has at most one.
	Artifact() string
	// TakeApart reads an artifact to its end. It gives its recipe and a source of its contents,
	// which reads o.Spool. What the source opens is an io.ReaderAt too. Errors wrap ErrUnsupported
	// for a file that is not of this kind.
	TakeApart(ctx context.Context, f File, o Options) (Recipe, mkimage.Source, error)
	// Parse reads a recipe's text. Errors wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion.
	Parse(text io.Reader) (Recipe, error)
	// AppendLine appends the line, with its end, that a recipe most likely has for e, a regular
	// file of the image beside the artifact, with id as that of its content; nothing when a recipe
	// is not likely to have one. The line does not depend on how contents are cut.
	AppendLine(b []byte, e *mkimage.Entry, id chunkstore.ID) []byte
}

// File is an artifact that was not read yet. An *io.SectionReader is one.
type File interface {
	io.Reader
	io.ReaderAt
	Size() int64
}

// Options says how an artifact is taken apart. The zero value is usable.
type Options struct {
	Level string // one of mkimage.Levels; "": "best"
	// Chunking should be that of the image beside the artifact, so that both share chunks. Zero is
	// chunkstore.DefaultParams.
	Chunking chunkstore.Params
	Spool    Spool // gets the unpacked contents; nil: there is no source of contents
	// Keep tells whether the source shall have a content; nil: it has all. Other contents take room
	// in the spool only until the next content.
	Keep func(c *chunkstore.Content) bool
	// Seed says that only the contents are wanted: there may be no codec with which the recipe
	// builds the artifact, and nobody looks for it.
	Seed bool
	// Whole says that the image beside the artifact has the artifact itself as a content. A kind
	// may then make that one the only content of the recipe.
	Whole bool
	// Warn is told what of the artifact stays as it is, though it could be taken apart were it made
	// otherwise; nil: nobody is.
	Warn func(text string)
}

// Spool keeps unpacked contents. An *os.File is one.
type Spool interface {
	io.WriterAt
	io.ReaderAt
}

// Recipe is everything except contents that decides an artifact's bytes.
type Recipe interface {
	// Contents gives the contents in order of first appearance, each once. Of an artifact of
	// several parts two may have the same id, since each part has its own.
	Contents() iter.Seq[*chunkstore.Content]
	// Files gives the files that have contents, by their names in the artifact, in its order.
	Files() iter.Seq2[string, *chunkstore.Content]
	// Chunking is how contents were cut.
	Chunking() chunkstore.Params
	// WriteTo writes the text that Kind.Parse reads. It does not validate the recipe.
	WriteTo(w io.Writer) (int64, error)
	// Validate reports the first thing that is wrong with the recipe. Errors wrap
	// chunkstore.ErrCorrupt. A codec that this program does not know is valid.
	Validate() error
	// Codec gives the codec's id, and whether Build has that codec.
	Codec() (id string, known bool)
	// Build writes the artifact to w, from its first byte on, and gives its size. It takes contents
	// from src and verifies them. Errors wrap mkimage.ErrContent or mkimage.ErrUnknownCodec, or are
	// those of src and w.
	Build(ctx context.Context, src mkimage.Source, w io.Writer) (size int64, err error)
	// Verify takes an artifact apart and compares it with the recipe. The error for another one
	// wraps mkimage.ErrContent.
	Verify(ctx context.Context, f File) error
	// Partial tells whether TakeApart with Options.Seed may take more of the artifact apart. If
	// not, it gives this recipe, but for the codec.
	Partial() bool
	// With copies the recipe. fn gives the content that takes the place of each content.
	With(fn func(c *chunkstore.Content) *chunkstore.Content) Recipe
	// Bare copies the recipe without codec and chunking, which depend on how the artifact was taken
	// apart.
	Bare() Recipe
}

// kinds are the kinds that this program knows.
var kinds = []Kind{initrdKind{}, &ukiKind{}, kernelKind{}}

// For gives the kinds that an artifact with a name may be of, in the order in which they are to be
// tried.
func For(name string) (list []Kind) {
	for _, k := range kinds {
		if k.Artifact() == name {
			list = append(list, k)
		}
	}
	return list
}

// TakeApart takes apart what a set may lead from to an artifact with a name: as the first of the
// kinds of For that can, of whatever kind the new artifact is. An initrd may have been in a unified
// kernel image. Errors are those of Kind.TakeApart.
func TakeApart(ctx context.Context, name string, f File, o Options) (r Recipe, src mkimage.Source,
	err error) {
	err = ErrUnsupported
	list := For(name)
	if name == (initrdKind{}).Artifact() {
		list = append(list, &ukiKind{})
	}
	for _, k := range list {
		r, src, err = k.TakeApart(ctx, io.NewSectionReader(f, 0, f.Size()), o)
		if !errors.Is(err, ErrUnsupported) {
			break
		}
	}
	return r, src, err
}

// ByName gives the kind with a name, or nil.
func ByName(name string) Kind {
	for _, k := range kinds {
		if k.Name() == name {
			return k
		}
	}
	return nil
}

// Register adds a kind, for tests which prove that everything works with any kind. Nothing else of
// this package may run meanwhile. remove takes the kind away again.
func Register(k Kind) (remove func()) {
	before := kinds
	kinds = append(kinds[:len(kinds):len(kinds)], k)
	return func() { kinds = before }
}
