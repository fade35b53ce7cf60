package transform

import (
	"bytes"
	"io"
	"runtime"

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
	// A byte takes as long as so many that are patched: 58 MB take 10 seconds on a machine that
	// patches 40 MB a second.
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
	if ok {
		runtime.GC() // plain is of no more use; a collector that lags behind would let memory grow
		out, ok = kernel{}.rewrite(out)
	}
	return append(append(out, before...), behind...), ok
}

// Inverse implements Transform: it takes a base.
func (vmlinuz) Inverse([]byte, int64) ([]byte, error) { return nil, errCorrupt }

// inverseTo implements stepped.
func (vmlinuz) inverseTo(w io.Writer, out []byte, limit int64, base io.ReaderAt, size int64) error {
	f, err := cutForm(out, limit)
	if err != nil {
		return err
	}
	runtime.GC() // the patch, and the base that it was made from
	plain, err := kernel{}.Inverse(f.kernel, LargeMax)
	if err != nil {
		return err
	}
	head := make([]byte, min(size, headMax))
	if n, err := base.ReadAt(head, 0); n < len(head) {
		return err
	}
	begin, length, ok := payload(head)
	if !ok || int64(begin+length) > size {
		return errCorrupt
	}
	if _, err := w.Write(f.before); err != nil {
		return err
	}
	runtime.GC() // the tables of the kernel, before there are those of the step
	old := io.NewSectionReader(base, int64(begin), int64(length))
	n, err := zstdparse.ApplyStep(w, old, old.Size(), f.step, plain, f.frame)
	switch {
	case err != nil:
		return err
	case n != f.frame:
		return errCorrupt
	}
	_, err = w.Write(f.behind)
	return err
}

// vmlinuzForm is a content rewritten, with a step.
type vmlinuzForm struct {
	kernel, before, behind, step []byte
	frame                        int // bytes of the frame that the step makes
}

// size is how many bytes the content has.
func (f *vmlinuzForm) size() int { return len(f.before) + f.frame + len(f.behind) }

// cutForm reads what AddStep gives, for a content of at most limit bytes.
func cutForm(out []byte, limit int64) (f vmlinuzForm, err error) {
	if len(out) < vmlinuzTail {
		return f, errCorrupt
	}
	rest, tail := out[:len(out)-vmlinuzTail], out[len(out)-vmlinuzTail:]
	for _, part := range []struct {
		b  *[]byte
		at int // of its length in tail
	}{{&f.step, 8}, {&f.behind, 4}, {&f.before, 0}} {
		n := uint64(le.Uint32(tail[part.at:]))
		if n > uint64(len(rest)) {
			return f, errCorrupt
		}
		at := len(rest) - int(n)
		rest, *part.b = rest[:at:at], rest[at:]
	}
	frame := int64(le.Uint32(tail[12:]))
	if int64(len(f.before)+len(f.behind))+frame > min(limit, vmlinuzMax) {
		return f, errTooLong
	}
	f.kernel, f.frame = rest, int(frame)
	return f, nil
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
		zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		panic(err) // constant options
	}
	defer d.Close()
	plain, err = d.DecodeAll(b[:n], make([]byte, 0, int(size)+LargeRoom))
	return plain, err == nil
}
