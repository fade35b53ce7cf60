// Package proof reads contents from where they are said to be and proves that they are what their
// ids say.
package proof

import (
	"errors"
	"fmt"
	"io"

	"deltaup/chunkstore"
)

// ErrContent is wrapped when a source gives other bytes than the recipe names.
var ErrContent = errors.New("content differs from the recipe")

// Reader reads one content. What it gave is proven when Verify has returned nil.
type Reader struct {
	in      io.Reader
	content *chunkstore.Content
	hasher  *chunkstore.Hasher
}

// NewReader reads content c from in. It uses h, which is the caller's, until the content is
// verified.
func NewReader(in io.Reader, c *chunkstore.Content, h *chunkstore.Hasher) *Reader {
	h.Reset()
	return &Reader{in: in, content: c, hasher: h}
}

// Fill reads the next len(p) bytes. Errors wrap ErrContent when there are fewer, or are the
// source's.
func (r *Reader) Fill(p []byte) error {
	if _, err := io.ReadFull(r.in, p); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("%w: it is shorter", ErrContent)
		}
		return err
	}
	_, err := r.hasher.Write(p)
	return err
}

// Verify demands that the content ends here and that its bytes have its id. Errors wrap ErrContent
// or are the source's.
func (r *Reader) Verify() error {
	var one [1]byte
	if _, err := io.ReadFull(r.in, one[:]); err == nil {
		return fmt.Errorf("%w: it is longer", ErrContent)
	} else if !errors.Is(err, io.EOF) {
		return err
	}
	if r.hasher.ID() != r.content.ID {
		return fmt.Errorf("%w: it has other bytes", ErrContent)
	}
	return nil
}
