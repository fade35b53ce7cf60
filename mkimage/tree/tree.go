// Package tree reads a root file system's tree from where it is: a folder, a
// tar stream or a squashfs image of anybody. It gives the entries in path order
// and opens their contents; what becomes of them is package mkimage's business.
//
// Start with [Open], which tells the kinds apart by looking, or with one of
// [FromFolder], [FromTar] and [FromImage].
package tree

import (
	"io"

	"deltaup/mkimage/squashfs"
)

// Entry is one name in a tree.
type Entry struct {
	squashfs.Attr
	Path string // "" for the root, else slash-separated without leading slash: "usr/bin/env"
	Size int64  // regular files: bytes
	Link string // a hard link: Path of the first name (in path order) of the same inode, else ""; then all else but Path is that inode's
}

// Tree is a tree whose contents can be opened, in any order and concurrently.
//
// Entries are in path order: depth first, the names of a folder in byte order, a folder
// before what is in it, exactly one root first, every parent present.
type Tree interface {
	Entries() []Entry
	// Open reads the content of entry i, a regular file that is no hard link.
	Open(i int) (io.ReadCloser, error)
	// Warnings tells what could not be taken over, one sentence each, with counts.
	Warnings() []string
	Close() error
}
