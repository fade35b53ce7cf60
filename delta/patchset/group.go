package patchset

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/delta/transform"
)

// Group is a decoded group of a set. It is safe for concurrent use.
type Group struct {
	step    *Step
	number  int
	first   int              // index of its first entry
	entries []*Entry         // from first on, of this group
	patches []suffix.Streams // patches of its entries
}

// groupWith gives group n with the patches in its decoded streams.
func (s *Step) groupWith(n int, streams suffix.Streams) (_ *Group, err error) {
	g := s.groupOf(n)
	if len(g.entries) == 1 && g.entries[0].Encodes() {
		if g.entries[0], err = g.entries[0].readLength(&streams); err != nil {
			return nil, err
		}
	}
	r := suffix.NewReader(streams)
	for _, e := range g.entries {
		p, err := e.next(r)
		if err != nil {
			return nil, fmt.Errorf("content %v: %w: %w", e.Content.ID, chunkstore.ErrCorrupt, err)
		}
		g.patches = append(g.patches, p)
	}
	if err := r.Done(); err != nil {
		return nil, fmt.Errorf("%w: %w", chunkstore.ErrCorrupt, err)
	}
	return g, nil
}

// oldLength is the length of the old content that e's patch copies from, or a bound of it.
func (e *Entry) oldLength() int64 {
	switch {
	case e.Base == nil:
		return 0
	case e.rewritesLarge():
		return rewrittenMax
	case e.Transform != 0:
		return suffix.NewMax // the length is known only after the base is transformed
	}
	return e.Base.Size
}

// transform gives the transform of e, which readDirectory has checked.
func (e *Entry) transform() transform.Transform {
	t, _ := transform.ByID(e.Transform)
	t, _ = transform.Shifted(t, e.shifts)
	return t
}

// Rewritten gives the length in bytes of what e's patch makes, and what undoing its transform
// takes, or predicting addresses.
func (e *Entry) Rewritten() (length int64, effort transform.Effort) {
	if e.layouts != nil {
		return e.length, movedEffort(e.Content.Size)
	}
	return e.length, transform.EffortOf(e.transform())
}

// Content gives the plain bytes of entry i of Step.Entries, which must belong to this group. ready
// is what Step.Prepare gives. base reads the bytes of Entry.Base; it may be nil when the entry has
// no base. With [Bytes] as base it makes no copy. Content verifies the result, and so notices a
// wrong base. Errors wrap chunkstore.ErrCorrupt, except those of base.
func (g *Group) Content(i int, base io.ReaderAt, ready *Prepared) ([]byte, error) {
	e := g.entry(i)
	plain, err := g.content(i, e, base, ready)
	if err != nil {
		return nil, g.failed(e, err)
	}
	return plain, nil
}

// WriteContent is Content in parts: all at once, or for an entry with Stepped while they are made,
// so that they are not in memory. The content is verified when WriteContent returns; after an error
// the parts are of no use. Errors are those of Content and write.
func (g *Group) WriteContent(i int, base io.ReaderAt, ready *Prepared,
	write func(part []byte) error) error {
	e := g.entry(i)
	if !e.Stepped() {
		plain, err := g.Content(i, base, ready)
		if err != nil {
			return err
		}
		return write(plain)
	}
	s := &sink{write: write, hash: chunkstore.NewHasher()}
	err := g.stepped(i, e, base, s)
	if s.err != nil {
		return s.err
	}
	if err != nil {
		err = g.failed(e, err)
	}
	return err
}

func (g *Group) failed(e *Entry, err error) error {
	return fmt.Errorf("group %d of the patch set: content %v: %w", g.number, e.Content.ID, err)
}

func (g *Group) content(i int, e *Entry, base io.ReaderAt, ready *Prepared) ([]byte, error) {
	if e.Stepped() {
		b := make([]byte, 0, e.Length)
		err := g.stepped(i, e, base, &sink{hash: chunkstore.NewHasher(), write: func(p []byte) error {
			b = append(b, p...)
			return nil
		}})
		return b, err
	}
	plain, learnt, err := g.patched(i, e, base, ready)
	if err != nil {
		return nil, err
	}
	if e.Transform != 0 {
		t := transform.After(e.transform(), learnt)
		if plain, err = t.Inverse(plain, e.Length); err != nil {
			return nil, fmt.Errorf("%w: transform %s: %w", chunkstore.ErrCorrupt, t.Name(), err)
		}
	}
	return plain, g.check(e, chunkstore.Sum(plain), int64(len(plain)))
}

// stepped is content for an entry with Stepped.
func (g *Group) stepped(i int, e *Entry, base io.ReaderAt, s *sink) error {
	plain, learnt, err := g.patched(i, e, base, nil)
	if err != nil {
		return err
	}
	t, again := e.transform(), &noting{ReaderAt: base}
	err = transform.InverseTo(s, t, plain, e.Length, learnt, again, e.Base.Size)
	if again.err != nil {
		return fmt.Errorf("read the base %v: %w", e.Base.ID, again.err)
	}
	if err != nil {
		return fmt.Errorf("%w: transform %s: %w", chunkstore.ErrCorrupt, t.Name(), err)
	}
	return g.check(e, s.hash.ID(), s.size)
}

// patched gives what e's patch makes, which a transform has rewritten, and what that learnt of the
// base.
func (g *Group) patched(i int, e *Entry, base io.ReaderAt, ready *Prepared) ([]byte,
	transform.Learnt, error) {
	if e.Group != g.number {
		return nil, nil, fmt.Errorf("%w: it is in group %d", chunkstore.ErrCorrupt, e.Group)
	}
	old, err := e.old(base)
	if err != nil {
		return nil, nil, err
	}
	plain, err := e.prepared(old, old.size, g.patches[i-g.first], ready)
	if errors.Is(err, suffix.ErrCorrupt) {
		err = fmt.Errorf("%w: %w", chunkstore.ErrCorrupt, err)
	}
	return plain, old.learnt, err
}

// noting keeps the last error of reading but io.EOF.
type noting struct {
	io.ReaderAt
	err error
}

// ReadAt implements io.ReaderAt.
func (r *noting) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

// check compares a content that e has made with what the set tells of it.
func (g *Group) check(e *Entry, sum chunkstore.ID, size int64) error {
	known := hashSize - e.unknown
	if size != e.Length || !bytes.Equal(sum[:known], e.hash[:known]) {
		return fmt.Errorf("%w: the patched content has another hash", chunkstore.ErrCorrupt)
	}
	g.step.name(e, sum)
	return nil
}

// sink passes the parts of a content on.
type sink struct {
	write func(part []byte) error
	hash  *chunkstore.Hasher // of the parts
	size  int64              // of all
	err   error              // of write
}

// Write implements io.Writer.
func (s *sink) Write(p []byte) (int, error) {
	if s.err = s.write(p); s.err != nil {
		return 0, s.err
	}
	s.hash.Write(p)
	s.size += int64(len(p))
	return len(p), nil
}

// old gives the old content that e's patch copies from.
func (e *Entry) old(base io.ReaderAt) (r rewrittenBase, err error) {
	if e.Base == nil {
		return rewrittenBase{ReaderAt: Bytes(nil)}, nil
	}
	if e.rewritesLarge() {
		return e.packedBase(base)
	}
	if e.Base.Size > PieceMax {
		return rewrittenBase{ReaderAt: base, size: e.Base.Size}, nil
	}
	b, ok := base.(Bytes)
	if !ok {
		b = make([]byte, e.Base.Size)
		if n, err := base.ReadAt(b, 0); n < len(b) {
			return r, fmt.Errorf("read the base %v: %w", e.Base.ID, err)
		}
	}
	if e.Transform != 0 {
		out, learnt, ok := transform.Base(e.transform(), b)
		if !ok || len(out) > suffix.NewMax {
			return r, fmt.Errorf("%w: transform %s does not apply to the base %v",
				chunkstore.ErrCorrupt, e.transform().Name(), e.Base.ID)
		}
		b, r.learnt = out, learnt
	}
	r.ReaderAt, r.size = Bytes(b), int64(len(b))
	return r, nil
}

// Bytes is an io.ReaderAt of bytes in memory.
type Bytes []byte

// ReadAt implements io.ReaderAt.
func (m Bytes) ReadAt(p []byte, off int64) (int, error) {
	if off > int64(len(m)) {
		return 0, io.EOF
	}
	n := copy(p, m[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
