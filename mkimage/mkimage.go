// Package mkimage makes a squashfs image of a tree, in two steps that can run on two machines:
//
//	tree --NewRecipe--> recipe            (publisher: reads every content once)
//	recipe + contents --Build--> image    (publisher and every target: the same bytes)
//
// A [Recipe] has everything except contents that decides the image's bytes. [Build] needs nothing
// else but a [Source] of contents. [Derive] goes the other way: from any image to a recipe, and to
// the place of each stored block. Format of recipes: doc/recipe.md; of images: doc/image.md.
package mkimage

import (
	"context"
	"io"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// Limits of what a recipe may have, in bytes.
const (
	BlockSizeMin = squashfs.BlockSizeMin
	BlockSizeMax = squashfs.BlockSizeMax
	NameMax      = squashfs.NameMax // one name in a path
)

// Entry is one name of a recipe's tree.
type Entry struct {
	tree.Entry
	// Content is set for regular files that are no hard links. Entries with the same bytes share
	// one.
	Content *chunkstore.Content
}

// hardLink gives the entry of another name of first's inode. Its Link is "" when first is none of
// an inode's first names.
func hardLink(path string, first Entry) Entry {
	if first.Link != "" {
		first.Path = ""
	}
	return Entry{
		Entry: tree.Entry{Attr: first.Attr, Path: path, Size: first.Size, Link: first.Path},
	}
}

// Recipe is everything except contents that decides an image's bytes.
type Recipe struct {
	BlockSize int               // bytes, a power of two
	Codec     string            // id of a codec, see CodecFor
	ModTime   uint32            // time of the image itself, in seconds since 1970
	Chunking  chunkstore.Params // how contents were cut
	Entries   Entries           // in path order, the root first
	// First lists paths whose contents come first in the data area, in that order. The others
	// follow in path order.
	First []string
}

// Source gives contents by id. Build opens contents with data, each at most once, one at a time,
// and verifies what it reads.
type Source interface {
	Open(ctx context.Context, c *chunkstore.Content) (io.ReadCloser, error)
}

// Stored is a Source that also has stored blocks of the image's codec and block size, which Build
// copies instead of compressing them again. Build checks only the blocks' lengths: the caller
// verifies the hash of the finished image.
type Stored interface {
	// StoredBlock returns data block n of content c as an image stores it, and whether it is
	// compressed there. A hole has no bytes. Build asks for a content's blocks in order. When ok is
	// false, Build opens the content and asks for no more of its blocks. Build uses the bytes until
	// the next call.
	StoredBlock(c *chunkstore.Content, n int) (stored []byte, compressed, ok bool, err error)
	// StoredFragment returns the fragment block that consists of exactly these contents, one after
	// another.
	StoredFragment(contents []chunkstore.ID) (stored []byte, compressed, ok bool, err error)
}
