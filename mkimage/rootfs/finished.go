package rootfs

import (
	"fmt"
	"io"

	"deltaup/mkimage/tree"
)

// finished is the tree.Tree that every kind of input gives.
type finished struct {
	name     string // the input's name, for messages
	entries  []tree.Entry
	data     []data // parallel to entries
	warnings []string
	open     func(e *tree.Entry, handle int64) (io.ReadCloser, error)
	close    func() error
}

func (t *finished) Entries() []tree.Entry { return t.entries }
func (t *finished) Warnings() []string    { return t.warnings }
func (t *finished) Close() error          { return t.close() }

func (t *finished) Open(i int) (io.ReadCloser, error) {
	e := &t.entries[i]
	if e.Type != tree.Regular || e.Link != "" {
		return nil, fmt.Errorf("read %q from %s: not the first name of a regular file", e.Path,
			t.name)
	}
	r, err := t.open(e, t.data[i].handle)
	if err != nil {
		return nil, fmt.Errorf("read %q from %s: %w", e.Path, t.name, err)
	}
	x := exactReader{r: r, left: e.Size, path: e.Path, name: t.name}
	if at, ok := r.(io.ReaderAt); ok {
		return &exactFile{x, at}, nil
	}
	return &x, nil
}

// exactReader reads exactly the size of an entry. An early end or another failure is an error that
// names the file.
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

// exactFile is an exactReader of what can be read at any place, too. Callers stay within the size.
type exactFile struct {
	exactReader
	at io.ReaderAt
}

// ReadAt implements io.ReaderAt.
func (x *exactFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := x.at.ReadAt(p, off)
	if n == len(p) {
		return n, nil
	}
	return n, fmt.Errorf("read %q from %s at %d: %w", x.path, x.name, off+int64(n), err)
}

// openPart is an open part of a file that stays open.
type openPart struct{ *io.SectionReader }

func (openPart) Close() error { return nil }
