// Package mkimage makes a squashfs image out of a tree, in two steps that two
// different machines can do:
//
//	tree --NewRecipe--> recipe            (publisher: reads every content once)
//	recipe + contents --Build--> image    (publisher and every target: the same bytes)
//
// A [Recipe] holds everything but content that decides the image's bytes; it is
// the only input of [Build] besides a [Source] of contents. [Derive] goes the other
// way: from an image, whoever made it, to a recipe and to where each stored block lies.
// Format of recipes: doc/recipe.md; what is decided here about the image: doc/image.md.
package mkimage

import (
	"context"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// Limits of what a recipe may hold, in bytes.
const (
	BlockSizeMin = squashfs.BlockSizeMin
	BlockSizeMax = squashfs.BlockSizeMax
	NameMax      = squashfs.NameMax // of one name in a path
)

// Entry is one name of a recipe's tree.
type Entry struct {
	tree.Entry
	// regular files that are no hard link; shared by entries with the same bytes
	Content *chunkstore.Content
}

// hardLink gives the entry of a further name of an inode.
func hardLink(path string, first *Entry) Entry {
	return Entry{
		Entry: tree.Entry{Attr: first.Attr, Path: path, Size: first.Size, Link: first.Path},
	}
}

// Recipe is everything but content that decides an image's bytes.
type Recipe struct {
	BlockSize int               // bytes, a power of two
	Codec     string            // id of level and encoder generation, see CodecFor
	ModTime   uint32            // of the image itself
	Chunking  chunkstore.Params // how contents were cut
	Entries   []Entry           // in path order, the root first
	// paths whose contents lead the data area, in that order; the rest follow in path order
	First []string
}

// Source gives contents by id. Build opens those that have data, each at most once and one at a
// time, and verifies what it reads.
type Source interface {
	Open(ctx context.Context, c *chunkstore.Content) (io.ReadCloser, error)
}

// Stored is implemented by a Source that also has stored blocks of the image's
// codec and block size, so that what did not change is copied and not compressed again.
// Nothing is checked but lengths: the hash over the finished image is what proves them.
type Stored interface {
	// StoredBlock returns data block n of content c as an image stores it, and whether it is
	// compressed there; a hole has no bytes. Build asks for a content's blocks in order; when one
	// is not ok it opens the content and asks for no more of it. The bytes are only used until the
	// next call.
	StoredBlock(c *chunkstore.Content, n int) (stored []byte, compressed, ok bool, err error)
	// StoredFragment returns the fragment block that holds exactly these contents, one after
	// another.
	StoredFragment(contents []chunkstore.ID) (stored []byte, compressed, ok bool, err error)
}
