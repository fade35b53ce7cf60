package transform

import (
	"io"

	"github.com/klauspost/compress/zstd"

	"deltaup/delta/transform/lzmaparse"
	"deltaup/delta/transform/zstdparse"
)

// zstdPacking is a frame of zstd.
type zstdPacking struct{}

// A byte takes as long as so many that are patched: 58 MB take 10 seconds on a machine that patches
// 40 MB a second.
const zstdPackingSlow = 7

func (zstdPacking) name() string   { return "vmlinuz" }
func (zstdPacking) effort() Effort { return Effort{zstdparse.Memory, zstdPackingSlow} }

func (zstdPacking) size(b []byte) (int, bool) { return zstdparse.Size(b) }

// unpack keeps nothing: applyStep reads the old frame again.
func (zstdPacking) unpack(b []byte, n int, _ bool) (plain []byte, _ Learnt, ok bool) {
	size := le.Uint32(b[n:])
	if size > LargeMax {
		return nil, nil, false
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // constant options
	}
	defer d.Close()
	plain, err = d.DecodeAll(b[:n], make([]byte, 0, int(size)+LargeRoom))
	return plain, nil, err == nil
}

func (zstdPacking) makeStep(old, packed, plain []byte, copies []Copy) ([]byte, error) {
	return zstdparse.MakeStep(old, packed, plain, copies)
}

func (zstdPacking) applyStep(w io.Writer, _ Learnt, old *io.SectionReader, step, plain []byte,
	most int) (int, error) {
	return zstdparse.ApplyStep(w, old, old.Size(), step, plain, most)
}

// xzPacking is a .xz file as the build of the kernel makes it.
type xzPacking struct{}

const xzPackingSlow = 10

func (xzPacking) name() string { return "vmlinuz-xz" }
func (xzPacking) effort() Effort {
	return Effort{lzmaparse.Memory + lzmaparse.ParseMax, xzPackingSlow}
}

func (xzPacking) size(b []byte) (int, bool) {
	n, _, ok := lzmaparse.Size(b)
	return n, ok
}

// unpack keeps the parse.
func (xzPacking) unpack(b []byte, n int, keep bool) ([]byte, Learnt, bool) {
	if _, size, ok := lzmaparse.Size(b[:n]); !ok || le.Uint32(b[n:]) != uint32(size) {
		return nil, nil, false
	}
	plain, parse, err := lzmaparse.Unpack(b[:n], LargeRoom, keep)
	return plain, parse, err == nil
}

func (xzPacking) makeStep(old, packed, _ []byte, copies []Copy) ([]byte, error) {
	_, parse, err := lzmaparse.Unpack(old, 0, true)
	if err != nil {
		return nil, err
	}
	return lzmaparse.MakeStep(parse, packed, copies)
}

func (xzPacking) applyStep(w io.Writer, learnt Learnt, _ *io.SectionReader, step, plain []byte,
	most int) (int, error) {
	parse, ok := learnt.(*lzmaparse.Parse)
	if !ok || parse == nil {
		return 0, errCorrupt
	}
	return lzmaparse.ApplyStep(w, parse, step, plain, most)
}
