// Package proof reads contents and verifies that they are what a recipe names.
package proof

import (
	"errors"
	"fmt"
	"io"

	"deltaup/chunkstore"
)

// ErrContent is wrapped when a source gives other bytes than a recipe names.
var ErrContent = errors.New("content differs from the recipe")

// Reader reads contents one after another; Open begins one. It is a [chunkstore.Verifier]: the last
// bytes of a content come only when all are right.
type Reader struct{ verifier chunkstore.Verifier }

// Open begins content c, which in gives.
func (r *Reader) Open(in io.Reader, c *chunkstore.Content) { r.verifier.Reset(in, c.ID, c.Size) }

// Read implements io.Reader. Its error wraps ErrContent when the content is another one or ends
// early, or is the source's.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.verifier.Read(p)
	return n, explain(err)
}

func explain(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	// the verifier's own: one that a source wraps says that the source is damaged
	m, differs := err.(*chunkstore.Mismatch)
	switch {
	case differs && m.GotSize > m.WantSize:
		return fmt.Errorf("%w: it is longer", ErrContent)
	case differs && m.GotSize == m.WantSize:
		return fmt.Errorf("%w: it has other bytes", ErrContent)
	// sources that know the size say themselves that they end early
	case differs, errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: it is shorter", ErrContent)
	}
	return err
}
