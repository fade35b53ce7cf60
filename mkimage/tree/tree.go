// Package tree reads a root file system's tree from where it is: a folder, a
// tar archive or a squashfs image of anybody. It gives the entries in path order
// and opens their contents; what becomes of them is package mkimage's business.
//
// Start with [Open], which tells the kinds apart by looking, or with one of
// [FromFolder], [FromTar] and [FromImage]. A folder, its tar and an image made of
// either give the same entries.
//
// Inputs are not trusted: names are checked, and what contradicts itself is an error that wraps
// [ErrMalformed]; what would take hours or all memory is [ErrTooLarge]. What Options.Filter leaves
// out, or what lies outside Options.Subdir, is not looked at further than it takes to know that.
// Layers of containers are not put together: see [ErrContainer].
package tree

import (
	"fmt"
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
	// Open reads the content of entry i, a regular file that is no hard link. The
	// reader yields exactly Size bytes, or an error that names the path.
	Open(i int) (io.ReadCloser, error)
	// Warnings tells what could not be taken over, one sentence each, with counts.
	Warnings() []string
	Close() error
}

// finished is the Tree that all kinds of input end in.
type finished struct {
	name     string // of the input, for messages
	entries  []Entry
	data     []data // beside entries
	warnings []string
	open     func(e *Entry, handle int64) (io.ReadCloser, error)
	close    func() error
}

func (t *finished) Entries() []Entry   { return t.entries }
func (t *finished) Warnings() []string { return t.warnings }
func (t *finished) Close() error       { return t.close() }

func (t *finished) Open(i int) (io.ReadCloser, error) {
	e := &t.entries[i]
	if e.Type != squashfs.Regular || e.Link != "" {
		return nil, fmt.Errorf("read %q from %s: not the first name of a regular file", e.Path,
			t.name)
	}
	r, err := t.open(e, t.data[i].handle)
	if err != nil {
		return nil, fmt.Errorf("read %q from %s: %w", e.Path, t.name, err)
	}
	return &exactReader{r: r, left: e.Size, path: e.Path, name: t.name}, nil
}

// exactReader turns a content that ends early, or any other failure, into an error
// that names the file, and ends after the size that the entry promised.
type exactReader struct {
	r          io.ReadCloser
	left       int64
	path, name string
}

func (x *exactReader) Read(p []byte) (int, error) {
	if x.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > x.left {
		p = p[:x.left]
	}
	n, err := x.r.Read(p)
	x.left -= int64(n)
	if err == io.EOF {
		if x.left == 0 {
			return n, io.EOF
		}
		err = fmt.Errorf("ends %d bytes early: %w", x.left, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return n, fmt.Errorf("read %q from %s: %w", x.path, x.name, err)
	}
	return n, nil
}

func (x *exactReader) Close() error { return x.r.Close() }
