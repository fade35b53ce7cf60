package patchset

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/delta/transform"
)

// candidate is one way to make a content: an entry and its patch, or several of each for a large
// content.
type candidate struct {
	entries []Entry
	streams []suffix.Streams
	cost    int64 // estimated stored bytes
	chunks  int64 // bytes that the content costs by chunks, see MakeOptions.ChunkCost

	other *suffix.Streams // of the other way to make the only entry; nil: there is none
}

// estimator is faster than the coders. Its results only serve comparisons.
var estimator = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBetterCompression),
		zstd.WithEncoderConcurrency(2), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // constant options
	}
	return e
})

// estimate is about how many bytes s takes when it is compressed alone.
func estimate(s *suffix.Streams) int64 {
	const frame = 8 // bytes of a frame's header and end, which a stream in a group lacks
	n := int64(0)
	for _, p := range s {
		if len(p) > 0 {
			n += max(1, min(int64(len(p)), int64(len(estimator().EncodeAll(p, nil)))-frame))
		}
	}
	return n
}

// best gives the cheapest candidate for content i, or nil when no candidate fits a group.
func (m *maker) best(ctx context.Context, i int) (*candidate, error) {
	c, base := m.contents[i], m.patterns[i]
	if id, ok := m.o.Bases[c.ID]; ok {
		at := slices.IndexFunc(m.bases, func(b *chunkstore.Content) bool { return b.ID == id })
		if at >= 0 && m.bases[at].Size > 0 {
			base = m.bases[at]
		}
	}
	if base == nil {
		base = m.similar[c]
	}
	var found *candidate
	var err error
	if pieces(c) > 1 {
		found, err = m.rewritten(ctx, i, base)
		switch {
		case err != nil:
		case found == nil:
			found, err = m.large(ctx, c, base)
		default:
			m.progress.matched(c.Size, found.coded(), c.Size)
		}
	} else {
		progress := m.progress.within(c.Size, m.matchWork(i))
		if m.o.Steps && base != nil && base.Size <= PieceMax {
			found, err = m.rewritten(ctx, i, base)
		}
		if err == nil && found == nil {
			found, err = m.small(ctx, i, base, progress.step)
		}
		if err == nil {
			progress.end(found.coded())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("/%s: %w", m.paths[i], err)
	}
	if found == nil || found.tooLong() {
		return nil, nil
	}
	if m.o.ChunkCost != nil {
		found.chunks = m.o.ChunkCost(c) + int64(len(c.Chunks))*chunkListed
	}
	return found, nil
}

// size is how many bytes the streams have, 0 without a candidate.
func (c *candidate) size() (n int64) {
	if c == nil {
		return 0
	}
	for i := range c.streams {
		n += int64(c.streams[i].Len())
	}
	return n
}

// coded is how many bytes of the streams a coder takes, 0 without a candidate.
func (c *candidate) coded() int64 {
	if c == nil {
		return 0
	}
	return coded(c.size(), c.cost)
}

// tooLong tells whether a patch of c is longer than a group may be.
func (c *candidate) tooLong() bool {
	return slices.ContainsFunc(c.streams,
		func(s suffix.Streams) bool { return s.Len() > groupPlainMax })
}

// A patch with predicted addresses is compared with one by a transform, which takes long, where the
// latter may be smaller.
const (
	layoutsMatter = 1 << 10 // bytes: below this cost the layouts are much of it
	predictedWell = 64      // one byte for so many of the content is little enough
)

// small makes the candidate of content i, which has at most PieceMax bytes. It calls step now and
// then.
func (m *maker) small(ctx context.Context, i int, base *chunkstore.Content,
	step func()) (*candidate, error) {
	path, c := m.paths[i], m.contents[i]
	plain, err := readContent(ctx, m.new, c)
	if err != nil {
		return nil, err
	}
	var old []byte
	if base != nil {
		if old, err = m.window(ctx, base, 0, c.Size, c.Size); err != nil {
			return nil, err
		}
		if base.Size > suffix.WindowMax {
			return m.windowed(ctx, c, base, plain, old)
		}
	}
	e := Entry{Content: c, Base: base, Length: c.Size, hash: c.ID, shifts: m.shiftsOf(base, path)}
	var best *candidate
	if base != nil {
		if best, err = m.smallProgram(ctx, c, base, old, plain); err != nil {
			return nil, err
		}
	}
	if best == nil || best.cost < layoutsMatter || best.cost > c.Size/predictedWell {
		other, err := m.candidate(ctx, form{entry: e, old: old, plain: plain}.best(path), step)
		if err != nil {
			return nil, err
		}
		if best == nil || other.cost <= best.cost {
			best = other
		}
	}
	if base != nil && best.poor() {
		e.Base, e.shifts = nil, nil
		whole, err := m.candidate(ctx, form{entry: e, plain: plain}.best(path), step)
		if err != nil {
			return nil, err
		}
		best = cheaper(best, whole)
	}
	return best, nil
}

// poor tells whether so many bytes of a content with one entry are literals that it may cost less
// without a base.
func (c *candidate) poor() bool {
	return float64(len(c.streams[0][suffix.Literals])) > 0.2*float64(c.entries[0].length)
}

// cheaper gives the candidate with the smaller estimate, or a when they are equal.
func cheaper(a, b *candidate) *candidate {
	if b.cost < a.cost {
		return b
	}
	return a
}

// form is an entry with the bytes of its base and its content, both as they are or both
// transformed.
type form struct {
	entry      Entry
	old, plain []byte
	steps      bool // transforms that take a step may be taken
}

// best gives the form in which the entry's patch is made, from that with both sides as they are:
// transformed if a transform applies to both, else the same. It does not try both, which takes
// long, since a transform that applies hardly ever does harm.
func (f form) best(path string) form {
	for _, id := range transform.For(path, f.plain) {
		if other, ok := transform.WithShifts(id); ok && f.entry.shifts != nil {
			if t, ok := f.transformed(other); ok {
				return t
			}
		}
		if t, ok := f.transformed(id); ok {
			return t
		}
	}
	f.entry.shifts = nil
	return f
}

// transformed transforms both sides of f. ok is false when the transform does not apply.
func (f form) transformed(id uint8) (_ form, ok bool) {
	t, ok := transform.ByID(id)
	if !ok {
		return f, false
	}
	if t, ok = transform.Shifted(t, f.entry.shifts); !ok {
		f.entry.shifts = nil
	}
	most, stepped := suffix.NewMax, transform.Stepped(id)
	switch {
	case f.entry.Content.Size > PieceMax:
		if most = rewrittenMax; !transform.ForLarge(id) {
			return f, false
		}
	case f.entry.Base != nil && f.entry.Base.Size > PieceMax,
		stepped && (f.entry.Base == nil || !f.steps):
		return f, false
	case stepped:
		most = rewrittenMax
	}
	f.entry.Transform = id
	if f.entry.Base != nil {
		var learnt transform.Learnt
		if f.old, learnt, ok = transform.Base(t, f.old); !ok || len(f.old) > most {
			return f, false
		}
		t = transform.After(t, learnt)
	}
	if stepped {
		f.plain, ok = t.Forward(f.plain)
	} else {
		f.plain, ok = transform.Exact(t, f.plain)
	}
	return f, ok && len(f.plain) <= most
}

// candidate makes the candidate of f, and applies it: that undoing the transform gives the content
// is known. It calls step between what takes long.
func (m *maker) candidate(ctx context.Context, f form, step func()) (*candidate, error) {
	release, err := m.room.take(ctx, searchRoom(len(f.old), len(f.plain)))
	if err != nil {
		return nil, err
	}
	defer release()
	f.entry.length = int64(len(f.plain))
	s, cost := m.matcher(f.old, 0).diff(f.plain, step)
	got, err := suffix.Patch(nil, Bytes(f.old), int64(len(f.old)), s, f.entry.length)
	if err := checkPatched(got, err, f.plain); err != nil {
		return nil, err
	}
	return &candidate{entries: []Entry{f.entry}, streams: []suffix.Streams{s}, cost: cost}, nil
}

// check applies a candidate of one entry and demands that it gives plain.
func (c *candidate) check(old, plain []byte) error {
	e := &c.entries[0]
	g := Group{step: &Step{Entries: c.entries}, patches: c.streams}
	got, err := g.content(0, e, Bytes(old), nil)
	return checkPatched(got, err, plain)
}

// checkPatched demands that applying a patch gave want.
func checkPatched(got []byte, err error, want []byte) error {
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%w: the patch gives other bytes", chunkstore.ErrCorrupt)
	}
	return err
}
