// Package tree defines trees of files: entries, attributes of inodes, path order, and where paths
// with symbolic links lead. It knows no format. Package rootfs reads trees, and package squashfs
// stores them.
package tree

import "io"

// Entry is one name in a tree.
type Entry struct {
	Attr
	Path string // "" for the root, else slash-separated without leading slash: "usr/bin/env"
	Size int64  // regular files: bytes
	// Link is set for a hard link: the Path of the first name, in path order, of the same inode.
	// All other fields but Path are then that inode's.
	Link string
}

// Tree is a tree whose contents can be opened, in any order, also concurrently.
//
// Entries are in path order, see [Compare]. The root comes first, and every entry's folder is among
// them.
type Tree interface {
	Entries() []Entry
	// Open opens the content of entry i, a regular file that is no hard link. The reader gives
	// exactly Size bytes, or an error that names the path.
	Open(i int) (io.ReadCloser, error)
	// Warnings says what the tree lacks of its input, in sentences with counts.
	Warnings() []string
	Close() error
}
