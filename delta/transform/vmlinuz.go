package transform

import (
	"bytes"
	"io"

	"github.com/klauspost/compress/zstd"

	"deltaup/delta/transform/zstdparse"
)

// vmlinuz rewrites the bzImage of an x86-64 Linux kernel whose payload is a frame of zstd. The
// output is
//
//	bytes  the decompressed payload, rewritten by the transform kernel
//	bytes  what lies before the frame, then what lies behind it
//
// That is a base. A new content has more behind it, see AddStep:
//
//	bytes  the step from the frame of the base to that of the content
//	u32    how many bytes lie before the frame, and behind it
//	u32    length of the step, and of the frame
type vmlinuz struct{}

const (
	vmlinuzMax  = maxContent // bytes
	vmlinuzTail = 16
	windowMax   = 1 << 30 // of a frame, in bytes; it takes no memory
	// A byte takes as long as so many that are patched: 58 MB take 10 seconds on a machine that
	// patches 40 a second.
	vmlinuzSlow = 7
)

func (vmlinuz) Name() string { return "vmlinuz" }

// Forward implements Transform: it gives what the content is as a base.
func (vmlinuz) Forward(plain []byte) ([]byte, bool) {
	begin, end, ok := findFrame(plain)
	if !ok {
		return nil, false
	}
	before, behind := bytes.Clone(plain[:begin]), bytes.Clone(plain[end:])
	out, ok := unpackKernel(plain[begin:], end-begin)
	if ok { // plain may be freed meanwhile
		out, ok = kernel{}.rewrite(out)
	}
	return append(append(out, before...), behind...), ok
}

// Inverse implements Transform: it takes a base.
func (vmlinuz) Inverse([]byte, int64) ([]byte, error) { return nil, errCorrupt }

// inverseFrom implements stepped.
func (vmlinuz) inverseFrom(out []byte, limit int64, base io.ReaderAt, size int64) ([]byte, error) {
	at := len(out) - vmlinuzTail
	if at < 0 {
		return nil, errCorrupt
	}
	var lengths [vmlinuzTail / 4]int64
	sum := int64(0)
	for i := range lengths {
		lengths[i] = int64(le.Uint32(out[at+4*i:]))
		sum += lengths[i]
	}
	frame := lengths[3]
	if sum -= frame; sum > int64(at) {
		return nil, errCorrupt
	}
	whole := lengths[0] + lengths[1] + frame
	if whole > min(limit, vmlinuzMax) {
		return nil, errTooLong
	}
	cut := func(n int64) []byte {
		at -= int(n)
		return out[at : at+int(n)]
	}
	step, behind, before := cut(lengths[2]), cut(lengths[1]), cut(lengths[0])
	plain, err := kernel{}.Inverse(out[:at:at], LargeMax)
	if err != nil {
		return nil, err
	}
	head := make([]byte, min(size, headMax))
	if n, err := base.ReadAt(head, 0); n < len(head) {
		return nil, err
	}
	begin, length, ok := payload(head)
	if !ok || int64(begin+length) > size {
		return nil, errCorrupt
	}
	made := bytes.NewBuffer(make([]byte, 0, whole))
	made.Write(before)
	old := io.NewSectionReader(base, int64(begin), int64(length))
	if err := zstdparse.ApplyStep(made, old, old.Size(), step, plain, int(frame)); err != nil {
		return nil, err
	}
	made.Write(behind)
	if int64(made.Len()) != whole {
		return nil, errCorrupt
	}
	return made.Bytes(), nil
}

// headMax is how many bytes payload looks at.
const headMax = 0x250

// payload finds the payload of a bzImage by the header of Documentation/arch/x86/boot.rst of the
// kernel.
func payload(head []byte) (begin, length int, ok bool) {
	if len(head) < headMax || string(head[0x202:0x206]) != "HdrS" || head[0x207] < 2 ||
		head[0x207] == 2 && head[0x206] < 8 {
		return 0, 0, false
	}
	sectors := int(head[0x1f1]) // of the setup, without the first one
	if sectors == 0 {
		sectors = 4
	}
	at, n := le.Uint32(head[0x248:]), le.Uint32(head[0x24c:])
	return (1+sectors)*512 + int(at), int(n), at <= vmlinuzMax && n <= vmlinuzMax
}

// findFrame finds the frame of zstd that is a kernel's payload, with the length of the content
// behind it.
func findFrame(b []byte) (begin, end int, ok bool) {
	begin, length, ok := payload(b)
	if !ok || len(b) > vmlinuzMax || begin+length > len(b) {
		return 0, 0, false
	}
	n, ok := zstdparse.Size(b[begin : begin+length])
	return begin, begin + n, ok && n+4 <= length
}

// unpackKernel decompresses the n bytes of a frame, with room for LargeRoom bytes more.
func unpackKernel(b []byte, n int) (plain []byte, ok bool) {
	size := le.Uint32(b[n:])
	if size > LargeMax {
		return nil, false
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxMemory(windowMax), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // constant options
	}
	defer d.Close()
	plain, err = d.DecodeAll(b[:n], make([]byte, 0, int(size)+LargeRoom))
	return plain, err == nil
}
