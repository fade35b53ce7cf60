package suffix

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
)

// Reader reads patches from joined streams, one after another. Beside the streams it takes constant
// memory.
type Reader struct {
	left Streams
	err  error
}

// NewReader returns a Reader of s, which must not change while the Reader is in use.
func NewReader(s Streams) *Reader { return &Reader{left: s} }

// Next gives the streams of the next patch, as parts of the joined streams, not copies. The patch
// makes newSize bytes out of an old content of oldSize bytes. Next checks every length and
// position, so that Patch with the result fails only when it cannot read old. An error of Next
// wraps ErrCorrupt; later calls then fail too.
func (r *Reader) Next(oldSize, newSize int64) (Streams, error) {
	if r.err != nil {
		return Streams{}, r.err
	}
	if newSize < 0 || newSize > NewMax || oldSize < 0 {
		r.err = fmt.Errorf("%w: from %d to %d bytes", ErrCorrupt, oldSize, newSize)
		return Streams{}, r.err
	}
	c := cursor{s: r.left}
	copied, literal := c.steps(oldSize, newSize)
	differing := c.runs(copied)
	c.skip(diffs, differing)
	c.skip(Literals, literal)
	if c.err != nil {
		r.err = c.err
		return Streams{}, r.err
	}
	var patch Streams
	for i := range patch {
		n := len(r.left[i]) - len(c.s[i])
		patch[i] = r.left[i][:n:n]
	}
	r.left = c.s
	return patch, nil
}

// Done returns an error that wraps ErrCorrupt when bytes are left over.
func (r *Reader) Done() error {
	if n := r.left.Len(); r.err == nil && n > 0 {
		r.err = fmt.Errorf("%w: %d bytes after the last patch", ErrCorrupt, n)
	}
	return r.err
}

// cursor reads streams. It keeps its first error and gives zeros after it.
type cursor struct {
	s   Streams
	err error
}

func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = fmt.Errorf("%w: %s", ErrCorrupt, what)
	}
}

// number reads one varint of at most most.
func (c *cursor) number(stream int, most int64) int64 {
	v, n := binary.Uvarint(c.s[stream])
	if n <= 0 || v > uint64(most) {
		c.fail("a length is cut off or too large")
		return 0
	}
	c.s[stream] = c.s[stream][n:]
	return int64(v)
}

// signed reads one zigzag varint.
func (c *cursor) signed(stream int) int64 {
	v, n := binary.Varint(c.s[stream])
	if n <= 0 {
		c.fail("a position is cut off")
		return 0
	}
	c.s[stream] = c.s[stream][n:]
	return v
}

// skip gives the next n bytes.
func (c *cursor) skip(stream int, n int64) []byte {
	if n > int64(len(c.s[stream])) {
		c.fail("a stream ends early")
		return nil
	}
	p := c.s[stream][:n]
	c.s[stream] = c.s[stream][n:]
	return p
}

// steps skips the steps of a patch. It gives how many bytes they copy and how many they take from
// Literals.
func (c *cursor) steps(oldSize, newSize int64) (copied, literal int64) {
	at := int64(0)
	for copied+literal < newSize && c.err == nil {
		st := c.step(newSize - copied - literal)
		if st.seek > math.MaxInt64/2 || st.seek < -math.MaxInt64/2 {
			c.fail("a seek too far")
			break
		}
		if at += st.seek; st.copy > 0 && (at < 0 || st.copy > oldSize-at) || at < 0 ||
			at > oldSize {
			c.fail("a copy from outside of the old content")
			break
		}
		at += st.copy
		copied += st.copy
		literal += st.extra
	}
	return copied, literal
}

// step is one record of a patch: it moves the old position by seek, copies copy bytes, and takes
// extra bytes from Literals.
type step struct{ copy, extra, seek int64 }

// step reads a step, which must make at least one byte and at most left.
func (c *cursor) step(left int64) step {
	st := step{copy: c.number(copies, left)}
	st.extra = c.number(extras, left-st.copy)
	st.seek = c.signed(seeks)
	if st.copy+st.extra == 0 {
		c.fail("an empty step")
	}
	return st
}

// runs skips the runs that cover copied bytes. It gives how many of those bytes differ.
func (c *cursor) runs(copied int64) (differing int64) {
	for first := true; copied > 0 && c.err == nil; first = false {
		zeros := c.number(runs, copied)
		if zeros == 0 && !first {
			c.fail("an empty run")
		}
		if copied -= zeros; copied == 0 {
			break
		}
		n := c.number(runs, copied)
		if n == 0 {
			c.fail("an empty run")
		}
		copied -= n
		differing += n
	}
	return differing
}

// batchMax is how many steps Patch gathers before it reads old. Within a batch it reads old from
// front to back.
const batchMax = 128 << 10

// Patch appends to dst the newSize bytes that one patch makes out of old. It reads old in few
// passes from front to back, since old may be compressed. It takes at most 4 MiB of memory beside
// dst. Errors wrap ErrCorrupt or are those of old.
func Patch(dst []byte, old io.ReaderAt, oldSize int64, s Streams, newSize int64) ([]byte, error) {
	return PatchGuessed(dst, old, oldSize, s, newSize, 0, nil)
}

// PatchGuessed is Patch with a guess, unless that is nil, for the bytes of the new content from at
// on.
func PatchGuessed(dst []byte, old io.ReaderAt, oldSize int64, s Streams, newSize, at int64,
	guess Guess) ([]byte, error) {
	r := NewReader(s)
	s, err := r.Next(oldSize, newSize)
	if err == nil {
		err = r.Done()
	}
	if err != nil {
		return dst, err
	}
	p := patcher{cursor: cursor{s: s}, old: old, begin: at, guess: guess}
	begin := len(dst)
	dst = append(dst, make([]byte, newSize)...)
	p.out = dst[begin:]
	for p.done < len(p.out) && p.err == nil {
		p.gather()
		if err := p.read(); err != nil {
			return dst[:begin], fmt.Errorf("read the old content: %w", err)
		}
	}
	return dst, p.err
}

// patcher applies one patch, batch by batch.
type patcher struct {
	cursor
	old    io.ReaderAt
	out    []byte
	done   int   // bytes of out whose steps have been read
	at     int64 // position in old
	copies []copied
	run    runner

	begin int64 // position of out in the new content
	guess Guess
}

// copied is one copy of a batch: len bytes from position old of the old content to position at of
// out.
type copied struct {
	old     int64
	at, len int32
}

// gather reads the steps of the next batch and puts their literals in place.
func (p *patcher) gather() {
	p.copies = p.copies[:0]
	for p.done < len(p.out) && len(p.copies) < batchMax && p.err == nil {
		st := p.step(int64(len(p.out) - p.done))
		p.at += st.seek
		if st.copy > 0 {
			p.copies = append(p.copies, copied{p.at, int32(p.done), int32(st.copy)})
		}
		p.at += st.copy
		p.done += int(st.copy)
		p.done += copy(p.out[p.done:], p.skip(Literals, st.extra))
	}
}

// read copies old bytes for the batch and adds the differences to them.
func (p *patcher) read() error {
	sorted := p.copies
	if !slices.IsSortedFunc(sorted, byOld) {
		sorted = slices.Clone(sorted)
		slices.SortFunc(sorted, byOld)
	}
	for _, c := range sorted {
		if n, err := p.old.ReadAt(p.out[c.at:c.at+c.len], c.old); n < int(c.len) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
	correct := func(part []byte) { p.run.add(&p.cursor, part) }
	for _, c := range p.copies {
		if b := p.out[c.at : c.at+c.len]; p.guess != nil {
			p.guess(b, p.begin+int64(c.at), c.old, correct)
		} else {
			correct(b)
		}
	}
	return nil
}

// byOld leaves no two different copies in any order.
func byOld(a, b copied) int {
	return cmp.Or(cmp.Compare(a.old, b.old), cmp.Compare(b.len, a.len), cmp.Compare(a.at, b.at))
}

// runner adds differences to copied bytes. A run may span several copies.
type runner struct{ zeros, diffs int64 }

func (r *runner) add(c *cursor, p []byte) {
	for len(p) > 0 && c.err == nil {
		if r.zeros == 0 && r.diffs == 0 {
			r.zeros = c.number(runs, math.MaxInt32)
			if len(c.s[runs]) > 0 {
				r.diffs = c.number(runs, math.MaxInt32)
			}
		}
		n := min(r.zeros, int64(len(p)))
		r.zeros -= n
		p = p[n:]
		n = min(r.diffs, int64(len(p)))
		if r.zeros > 0 {
			n = 0
		}
		for i, d := range c.skip(diffs, n) {
			p[i] += d
		}
		r.diffs -= n
		p = p[n:]
	}
}
