package apply

import (
	"context"
	"fmt"
	"io"

	"deltaup/chunkstore"
)

// patchError is the failure of a group that cannot be decoded, or of an entry that comes out wrong.
type patchError struct {
	set   *set
	group int
	entry int // -1: the group
	err   error
}

func (e *patchError) Error() string { return fmt.Sprintf("%s: %v", e.set.name(), e.err) }
func (e *patchError) Unwrap() error { return e.err }

// leaveOut makes the chain do without what failed.
func (e *patchError) leaveOut() {
	if e.entry < 0 || e.set.step.Entries[e.entry].Encodes() { // there is another way
		e.set.giveUp(e.group)
	} else {
		e.set.wrong[e.entry] = true
	}
}

// reader makes a content that gives says can be made. Its errors are patchErrors, or the seed's.
func (c *chain) reader(ctx context.Context, id chunkstore.ID) io.ReadCloser {
	s, before := c.maker(id, len(c.sets))
	if f := c.spools[id]; f != nil && s != nil {
		size := s.step.Entries[s.entries[id][0]].Content.Size
		return io.NopCloser(io.NewSectionReader(f, 0, size))
	}
	if s == nil { // the seed had it when the chain was made
		return io.NopCloser(
			&failed{c.seed.changed(fmt.Errorf("content %s: %w", id, chunkstore.ErrNotFound))},
		)
	}
	return &patchReader{made: c.made(ctx, s, before, id)}
}

// failed is a reader of nothing but an error.
type failed struct{ err error }

func (f *failed) Read([]byte) (int, error) { return 0, f.err }

// made is a content that a set makes, piece by piece as it is read. It keeps one piece.
type made struct {
	ctx     context.Context
	chain   *chain
	set     *set
	before  int // sets that come before it
	entries []int
	offset  int64 // of piece
	piece   []byte
}

func (c *chain) made(ctx context.Context, s *set, before int, id chunkstore.ID) *made {
	return &made{ctx: ctx, chain: c, set: s, before: before, entries: s.entries[id]}
}

// at makes the piece with byte off the one that is kept; io.EOF behind the last.
func (m *made) at(off int64) error {
	if m.piece != nil && m.offset <= off && off < m.offset+int64(len(m.piece)) {
		return nil
	}
	for _, i := range m.entries {
		e := &m.set.step.Entries[i]
		if off < e.Offset || off >= e.Offset+e.Length {
			continue
		}
		m.piece = nil // not two in memory
		p, err := m.chain.entry(m.ctx, m.set, m.before, i)
		if err != nil {
			return err
		}
		if int64(len(p)) != e.Length {
			return &patchError{
				m.set,
				e.Group,
				i,
				fmt.Errorf("%d bytes, not %d: %w", len(p), e.Length, chunkstore.ErrCorrupt),
			}
		}
		m.piece, m.offset = p, e.Offset
		return nil
	}
	return io.EOF
}

// ReadAt implements io.ReaderAt.
func (m *made) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		if err := m.at(off + int64(n)); err != nil {
			return n, err
		}
		n += copy(p[n:], m.piece[off+int64(n)-m.offset:])
	}
	return n, nil
}

// patchReader reads a content from its beginning to its end.
type patchReader struct {
	made *made
	off  int64
}

func (r *patchReader) Read(p []byte) (int, error) {
	if err := r.made.ctx.Err(); err != nil {
		return 0, err
	}
	if err := r.made.at(r.off); err != nil {
		return 0, err
	}
	n := copy(p, r.made.piece[r.off-r.made.offset:])
	r.off += int64(n)
	return n, nil
}

// Close forgets the piece.
func (r *patchReader) Close() error {
	r.made.piece = nil
	return nil
}
