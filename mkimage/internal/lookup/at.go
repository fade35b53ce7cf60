package lookup

import (
	"errors"
	"fmt"
	"io"
	"os"

	"deltaup/mkimage/tree"
)

// File is an open content that is read at any place.
type File interface {
	io.ReaderAt
	io.Closer
}

// OpenAt opens the content of an entry that Lstat or Stat gave, a regular file. One that its tree
// gives only in order is copied into a file without a name.
func (r *View) OpenAt(e *tree.Entry) (File, error) {
	c, err := r.Open(e)
	if err != nil {
		return nil, err
	}
	if f, ok := c.(File); ok {
		return f, nil
	}
	f, err := copyOf(c, e)
	return f, errors.Join(err, c.Close())
}

// copyOf gives what c reads of an entry as a file; nil with an error.
func copyOf(c io.Reader, e *tree.Entry) (File, error) {
	f, err := os.CreateTemp("", "deltaup-content-*")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = io.CopyN(f, c, e.Size)
	}
	if err != nil {
		return nil, fmt.Errorf("copy /%s: %w", e.Path, errors.Join(err, f.Close()))
	}
	return f, nil
}
