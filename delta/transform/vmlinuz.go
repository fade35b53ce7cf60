package transform

import (
	"bytes"
	"io"
	"runtime"
)

// vmlinuz rewrites the bzImage of an x86-64 Linux kernel whose payload is packed. The output is
//
//	bytes  the unpacked payload, rewritten by the transform kernel
//	bytes  what lies before the packed payload, then what lies behind it
//
// That is a base. A new content has more behind it, see AddStep:
//
//	bytes  the step from the packed payload of the base to that of the content, or what its
//	       encoder was
//	u32    how many bytes lie before the packed payload, and behind it
//	u32    length of the step, and of the packed payload
type vmlinuz struct{ packing }

// packing is a way to pack payloads.
type packing interface {
	name() string // of the transform
	effort() Effort

	// size gives the length in bytes of the packed payload with which b begins.
	size(b []byte) (n int, ok bool)

	// unpack unpacks a payload of n bytes with which b begins, with its size behind it. plain has
	// room for LargeRoom bytes more. With keep, learnt is what applyStep wants of it.
	unpack(b []byte, n int, keep bool) (plain []byte, learnt Learnt, ok bool)

	// makeStep gives the step from an old packed payload to one that is unpacked to plain, which
	// it may overwrite.
	makeStep(old, packed, plain []byte, copies []Copy) ([]byte, error)

	// applyStep writes a packed payload of at most so many bytes, which it counts. It may overwrite
	// plain.
	applyStep(w io.Writer, learnt Learnt, old *io.SectionReader, step, plain []byte,
		most int) (int, error)
}

const (
	vmlinuzMax  = maxContent // bytes
	vmlinuzTail = 16
)

func (v vmlinuz) Name() string { return v.name() }

// Forward implements Transform: it gives what the content is as a base.
func (v vmlinuz) Forward(plain []byte) ([]byte, bool) {
	out, _, ok := v.forward(plain, false)
	return out, ok
}

// learn implements stepped.
func (v vmlinuz) learn(old []byte) ([]byte, Learnt, bool) { return v.forward(old, true) }

func (v vmlinuz) forward(plain []byte, keep bool) ([]byte, Learnt, bool) {
	begin, end, ok := v.find(plain)
	if !ok {
		return nil, nil, false
	}
	before, behind := bytes.Clone(plain[:begin]), bytes.Clone(plain[end:])
	out, learnt, ok := v.unpack(plain[begin:], end-begin, keep)
	if ok {
		runtime.GC() // plain is of no more use; a collector that lags behind would let memory grow
		out, _, ok = kernel{}.rewrite(out)
	}
	return append(append(out, before...), behind...), learnt, ok
}

// Inverse implements Transform: it takes a base.
func (vmlinuz) Inverse([]byte, int64) ([]byte, error) { return nil, errCorrupt }

// inverseTo implements stepped.
func (v vmlinuz) inverseTo(w io.Writer, out []byte, limit int64, learnt Learnt, base io.ReaderAt,
	size int64) error {
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
	n, err := v.applyStep(w, learnt, old, f.step, plain, f.packed)
	switch {
	case err != nil:
		return err
	case n != f.packed:
		return errCorrupt
	}
	_, err = w.Write(f.behind)
	return err
}

// vmlinuzForm is a content rewritten, with a step.
type vmlinuzForm struct {
	kernel, before, behind, step []byte
	packed                       int // bytes of the payload that the step makes
}

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
	packed := int64(le.Uint32(tail[12:]))
	if int64(len(f.before)+len(f.behind))+packed > min(limit, vmlinuzMax) {
		return f, errTooLong
	}
	f.kernel, f.packed = rest, int(packed)
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

// find finds the packed payload of a kernel. Behind it are at least 4 bytes more: the length of
// what is in it.
func (v vmlinuz) find(b []byte) (begin, end int, ok bool) {
	begin, length, ok := payload(b)
	if !ok || len(b) > vmlinuzMax || begin+length > len(b) {
		return 0, 0, false
	}
	n, ok := v.size(b[begin : begin+length])
	return begin, begin + n, ok && n+4 <= length
}
