// Package tree says what a tree of files is: its entries, what every inode has, their order, and
// where paths with symbolic links in them lead. It knows no format: package rootfs reads trees,
// package squashfs stores them.
package tree

import "io"

// Entry is one name in a tree.
type Entry struct {
	Attr
	Path string // "" for the root, else slash-separated without leading slash: "usr/bin/env"
	Size int64  // regular files: bytes
	// of a hard link: Path of the first name (in path order) of the same inode, else ""; then all
	// else but Path is that inode's
	Link string
}

// Tree is a tree whose contents can be opened, in any order and concurrently.
//
// Entries are in path order: depth first, the names of a folder in byte order, a folder
// before what is in it, exactly one root first, every parent present.
type Tree interface {
	Entries() []Entry
	// Open reads the content of entry i, a regular file that is no hard link. The
	// reader yields exactly Size bytes, or an error that names the path.
	Open(i int) (io.ReadCloser, error)
	// Warnings tells what could not be taken over, one sentence each, with counts.
	Warnings() []string
	Close() error
}
