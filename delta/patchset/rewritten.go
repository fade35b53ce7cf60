package patchset

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/delta/transform"
)

// A content above PieceMax for which there is a transform has one entry, as one that is above it
// once it is unpacked by a transform. The streams hold a patch for each largePiece bytes of the
// rewritten content. The target keeps the rewritten base compressed while it applies them: with
// both as they are, a kernel would take more memory than a pull has.

// rewrittenMax is how many bytes such a content has at most once it is rewritten.
const rewrittenMax = transform.LargeMax + transform.LargeRoom

// rewritesLarge tells whether e's content, rewritten, may be above PieceMax.
func (e *Entry) rewritesLarge() bool {
	return e.Transform != 0 && (e.Content.Size > PieceMax || e.Stepped())
}

// Stepped tells whether e's transform takes a step from the old content to the new one.
func (e *Entry) Stepped() bool { return transform.Stepped(e.Transform) }

// next reads the patch of e, or its patches one after another.
func (e *Entry) next(r *suffix.Reader) (suffix.Streams, error) {
	if !e.rewritesLarge() {
		return r.Next(e.oldLength(), e.length)
	}
	var joined suffix.Streams
	for left := e.length; left > 0; left -= largePiece {
		p, err := r.Next(e.oldLength(), min(left, largePiece))
		if err != nil {
			return suffix.Streams{}, err
		}
		joined.Append(&p)
	}
	return joined, nil
}

// prepared gives what the patches that next has read for e make of old.
func (e *Entry) prepared(old io.ReaderAt, oldSize int64, s suffix.Streams, ready *Prepared) ([]byte,
	error) {
	if e.layouts != nil {
		if ready == nil {
			return nil, fmt.Errorf("%v is not prepared", e.Content.ID)
		}
		return e.moved(old, s, ready.moves)
	}
	return e.patch(old, oldSize, s)
}

// patch is prepared for an entry whose addresses are not predicted.
func (e *Entry) patch(old io.ReaderAt, oldSize int64, s suffix.Streams) ([]byte, error) {
	if !e.rewritesLarge() {
		return suffix.Patch(nil, old, oldSize, s, e.length)
	}
	r := suffix.NewReader(s)
	out := make([]byte, 0, e.length)
	for left := e.length; left > 0; left -= largePiece {
		n := min(left, largePiece)
		p, err := r.Next(oldSize, n)
		if err == nil {
			out, err = suffix.Patch(out, old, oldSize, p, n)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, r.Done()
}

// rewrittenBase is the base of an entry, as its patch copies from it.
type rewrittenBase struct {
	io.ReaderAt
	size   int64
	learnt transform.Learnt
}

// packedBase gives e's base, rewritten.
func (e *Entry) packedBase(base io.ReaderAt) (r rewrittenBase, err error) {
	room := int64(transform.LargeRoom)
	if e.Stepped() {
		room = 0 // it is rewritten elsewhere
	}
	b := make([]byte, e.Base.Size, e.Base.Size+room)
	// Through a buffer, since a reader may keep what it read into, and with it all of b.
	buf := make([]byte, min(len(b), packedBlock))
	for off := 0; off < len(b); off += len(buf) {
		p := buf[:min(len(buf), len(b)-off)]
		if n, err := base.ReadAt(p, int64(off)); n < len(p) {
			return r, fmt.Errorf("read the base %v: %w", e.Base.ID, err)
		}
		copy(b[off:], p)
	}
	b, learnt, ok := transform.LearnBase(e.transform(), b)
	if !ok || len(b) > rewrittenMax {
		return r, fmt.Errorf("%w: transform %s does not apply to the base %v",
			chunkstore.ErrCorrupt, e.transform().Name(), e.Base.ID)
	}
	runtime.GC() // the transform's tables
	p := pack(b)
	b = nil
	runtime.GC() // before the content takes as much again
	return rewrittenBase{p, p.size, learnt}, nil
}

// packed is bytes in memory, compressed. It is for one goroutine.
type packed struct {
	size   int64
	blocks [][]byte
	plain  []byte // of the block that was read last
	at     int    // its number, plus one
	read   *zstd.Decoder
}

const packedBlock = 256 << 10 // bytes

// newPacker makes an encoder that is quick. What it makes stays in memory.
func newPacker() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(packedBlock))
	if err != nil {
		panic(err) // constant options
	}
	return e
}

func newUnpacker() *zstd.Decoder {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(packedBlock))
	if err != nil {
		panic(err) // constant options
	}
	return d
}

func pack(b []byte) *packed {
	p := &packed{size: int64(len(b)), plain: make([]byte, 0, packedBlock), read: newUnpacker()}
	packer := newPacker()
	buf := make([]byte, 0, packedBlock+packedBlock/8)
	for len(b) > 0 {
		n := min(len(b), packedBlock)
		buf = packer.EncodeAll(b[:n], buf[:0])
		p.blocks = append(p.blocks, append([]byte(nil), buf...))
		b = b[n:]
	}
	return p
}

// ReadAt implements io.ReaderAt.
func (p *packed) ReadAt(b []byte, off int64) (n int, err error) {
	for n < len(b) && off < p.size {
		if at := int(off / packedBlock); at+1 != p.at {
			p.plain, err = p.read.DecodeAll(p.blocks[at], p.plain[:0])
			if err != nil {
				return n, err
			}
			p.at = at + 1
		}
		c := copy(b[n:], p.plain[off%packedBlock:])
		n, off = n+c, off+int64(c)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// rewritten makes the candidate of content i, which is above PieceMax before or after a
// transform. It is nil when none applies, or the patch is longer than a group may be.
func (m *maker) rewritten(ctx context.Context, i int,
	base *chunkstore.Content) (*candidate, error) {
	c := m.contents[i]
	if base == nil || base.Size > transform.LargeMax || c.Size > transform.LargeMax ||
		c.Size < transform.BeginMax {
		return nil, nil
	}
	begin := make([]byte, transform.BeginMax)
	if err := readPart(ctx, m.new, c, begin, 0); err != nil ||
		!transform.MayBeLarge(begin, c.Size) {
		return nil, err
	}
	plain, old, release, err := m.readBoth(ctx, c, base,
		searchRoom(transform.LargeMax, transform.LargeMax))
	if err != nil {
		return nil, err
	}
	defer release()
	e := Entry{Content: c, Base: base, Length: c.Size, hash: c.ID}
	e.shifts = m.shiftsOf(base, m.paths[i])
	f := form{entry: e, old: old, plain: plain, steps: m.o.Steps}.best(m.paths[i])
	if !f.entry.rewritesLarge() {
		return nil, nil
	}
	var other []byte
	if m.o.StepsApart {
		other = f.encoding(old, plain)
	}
	found := m.pieces(f, old, plain, other)
	if found == nil || found.tooLong() {
		return nil, nil
	}
	f.old, f.plain = nil, nil
	err = found.check(old, plain)
	if err != nil && f.entry.Stepped() {
		return nil, nil // unlike others, it was not undone yet
	}
	return found, err
}

// pieces makes the patches for the pieces of a large content, as one candidate. old and plain are
// the contents before the transform. It is nil when there is no step from one to the other. Of what
// encoding gave, if not nil, it makes the other way.
func (m *maker) pieces(f form, old, plain, other []byte) *candidate {
	// of a longer base the beginning, which in a kernel is empty, is left out
	skip := max(0, len(f.old)-suffix.WindowMax)
	x := m.matcher(f.old[skip:], int64(skip))
	if f.entry.Stepped() {
		form, ok := transform.AddStep(f.entry.transform(), f.plain, old, plain,
			x.copies(f.plain))
		if !ok || len(form) > rewrittenMax {
			return nil
		}
		f.plain = form
	}
	f.entry.length = int64(len(f.plain))
	found := &candidate{entries: []Entry{f.entry}, streams: make([]suffix.Streams, 1)}
	second := newOther(f.entry, other)
	for plain := f.plain; len(plain) > 0; {
		n := min(len(plain), largePiece)
		s, cost := x.diff(plain[:n], func() {})
		found.streams[0].Append(&s)
		found.cost += cost
		second.add(x, plain[:n], &s, cost)
		plain = plain[n:]
	}
	found.other = second.worth(f.old, found.cost)
	return found
}
