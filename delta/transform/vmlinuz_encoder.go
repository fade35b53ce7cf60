package transform

import (
	"bytes"
	"compress/flate"
	"hash/crc32"
	"io"

	"github.com/pierrec/lz4/v4"

	"deltaup/delta/transform/gnuzip"
	"deltaup/delta/transform/lz4hc"
)

// Some encoders are cheap enough to run again. Their step holds nothing but their parameters, and
// takes nothing of the old packed payload.

// lz4Packing is a legacy frame of lz4. Its step is a byte: the level.
type lz4Packing struct{}

const (
	lz4Magic  = "\x02\x21\x4c\x18"
	lz4Block  = 8 << 20  // bytes of content of each block but the last
	lz4Memory = 18 << 20 // of an encoder: a block, also packed, and tables
	lz4Slow   = 2
)

// lz4Levels are in the order in which they are tried; the build of the kernel takes 9.
var lz4Levels = []byte{9, 12, 10, 11, 3, 4, 5, 6, 7, 8}

func (lz4Packing) name() string   { return "vmlinuz-lz4" }
func (lz4Packing) effort() Effort { return Effort{lz4Memory, lz4Slow} }

// size demands that the frame ends before the last four bytes, since it has no end mark.
func (lz4Packing) size(b []byte) (int, bool) {
	n := 0
	ok := lz4Blocks(b, func(block []byte) bool {
		n += 4 + len(block)
		return true
	})
	return len(lz4Magic) + n, ok
}

// lz4Blocks gives the blocks of a frame behind which b has four bytes, until give is false.
func lz4Blocks(b []byte, give func(block []byte) bool) bool {
	const size = 4
	if len(b) < len(lz4Magic)+size || string(b[:len(lz4Magic)]) != lz4Magic {
		return false
	}
	for b = b[len(lz4Magic):]; len(b) > size; {
		n := uint64(le.Uint32(b))
		if n == 0 || n+2*size > uint64(len(b)) || !give(b[size:size+n]) {
			return false
		}
		b = b[size+n:]
	}
	return len(b) == size
}

func (lz4Packing) unpack(b []byte, n int, _ bool) (plain []byte, _ Learnt, ok bool) {
	size := le.Uint32(b[n:])
	if size > LargeMax {
		return nil, nil, false
	}
	plain = make([]byte, size, int(size)+LargeRoom)
	at := 0
	ok = lz4Blocks(b[:n+4], func(block []byte) bool {
		got, err := lz4.UncompressBlock(block, plain[at:min(at+lz4Block, len(plain))])
		at += got
		return err == nil && (got == lz4Block || at == len(plain))
	})
	return plain, nil, ok && at == len(plain)
}

func (lz4Packing) makeStep(_, packed, plain []byte, _ []Copy) ([]byte, error) {
	for _, level := range lz4Levels {
		w := &comparer{want: packed}
		if err := encodeLZ4(w, plain, level); err == nil && len(w.want) == 0 {
			return []byte{level}, nil
		}
	}
	return nil, errDiffers
}

func (lz4Packing) applyStep(w io.Writer, _ Learnt, _ *io.SectionReader, step, plain []byte,
	most int) (int, error) {
	if len(step) != 1 || bytes.IndexByte(lz4Levels, step[0]) < 0 {
		return 0, errCorrupt
	}
	out := &bounded{w: w, most: most}
	err := encodeLZ4(out, plain, step[0])
	return out.n, err
}

func encodeLZ4(w io.Writer, plain []byte, level byte) error {
	z, err := lz4hc.NewWriter(w, int(level))
	if err != nil {
		return err
	}
	if _, err := z.Write(plain); err != nil {
		return err
	}
	return z.Close()
}

// gzipPacking is a gzip member without the size of its content, which lies behind it as behind all
// packed payloads. Its step is the encoder, as the transform gzip has it, and the member's header.
type gzipPacking struct{}

const (
	gzipSum    = 4       // bytes of the content's sum
	gzipMemory = 2 << 20 // of an encoder
	gzipSlow   = 3
)

func (gzipPacking) name() string   { return "vmlinuz-gzip" }
func (gzipPacking) effort() Effort { return Effort{gzipMemory, gzipSlow} }

func (gzipPacking) size(b []byte) (int, bool) {
	_, ok := gzipHeader(b)
	return len(b) - 4, ok
}

func (gzipPacking) unpack(b []byte, n int, _ bool) (plain []byte, _ Learnt, ok bool) {
	size := int64(le.Uint32(b[n:]))
	header, ok := gzipHeader(b[:n+4])
	if !ok || size > min(LargeMax, deflateMost*int64(n)) {
		return nil, nil, false
	}
	plain = make([]byte, size, size+LargeRoom)
	in := bytes.NewReader(b[header : n-gzipSum])
	unpack := flate.NewReader(in)
	if _, err := io.ReadFull(unpack, plain); err != nil {
		return nil, nil, false
	}
	if k, err := unpack.Read(make([]byte, 1)); k > 0 || err != io.EOF || in.Len() > 0 {
		return nil, nil, false
	}
	return plain, nil, crc32.ChecksumIEEE(plain) == le.Uint32(b[n-gzipSum:])
}

func (gzipPacking) makeStep(_, packed, plain []byte, _ []Copy) ([]byte, error) {
	header, ok := gzipHeader(append(packed[:len(packed):len(packed)], 0, 0, 0, 0))
	if !ok {
		return nil, errCorrupt
	}
	p, ok := gzipParams(packed[:header], packed[header:len(packed)-gzipSum], plain)
	if !ok {
		return nil, errDiffers
	}
	return append([]byte{gzipEncoder(p)}, packed[:header]...), nil
}

func (gzipPacking) applyStep(w io.Writer, _ Learnt, _ *io.SectionReader, step, plain []byte,
	most int) (int, error) {
	if len(step) == 0 || len(step) > 1+gzipHeaderMax {
		return 0, errCorrupt
	}
	p, ok := gzipEncoderOf(step[0])
	if !ok {
		return 0, errCorrupt
	}
	out := &bounded{w: w, most: most}
	if _, err := out.Write(step[1:]); err != nil {
		return out.n, err
	}
	if err := gnuzip.Encode(out, plain, p); err != nil {
		return out.n, err
	}
	_, err := out.Write(le.AppendUint32(nil, crc32.ChecksumIEEE(plain)))
	return out.n, err
}

// bounded writes up to most bytes.
type bounded struct {
	w       io.Writer
	n, most int
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > b.most-b.n {
		return 0, errTooLong
	}
	n, err := b.w.Write(p)
	b.n += n
	return n, err
}
