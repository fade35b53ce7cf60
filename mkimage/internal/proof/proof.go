// Package proof reads contents and verifies that their bytes have their ids.
package proof

import (
	"errors"
	"fmt"
	"io"

	"deltaup/chunkstore"
)

// ErrContent is wrapped when a source gives other bytes than a recipe names.
var ErrContent = errors.New("content differs from the recipe")

// Reader reads one content. Its bytes are unverified until Verify returns nil.
type Reader struct {
	in      io.Reader
	content *chunkstore.Content
	hasher  *chunkstore.Hasher
}

// NewReader returns a Reader of content c from in. It resets and uses the caller's hasher h until
// Verify returns.
func NewReader(in io.Reader, c *chunkstore.Content, h *chunkstore.Hasher) *Reader {
	h.Reset()
	return &Reader{in: in, content: c, hasher: h}
}

// Fill reads the next len(p) bytes. Its error wraps ErrContent when there are fewer, or is the
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

// Verify checks that the content ends here and that its bytes have its id. Its error wraps
// ErrContent or is the source's.
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
