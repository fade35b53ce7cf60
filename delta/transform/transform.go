// Package transform rewrites contents reversibly, so that an old and a new version of the same
// thing differ in fewer bytes. A small change in a program's source moves thousands of addresses,
// offsets and numbers by the same amount. A changed line in a compressed file changes all bytes
// after it. The same transform of both versions makes their unchanged parts equal, which package
// suffix then finds.
//
// A transform looks at one content alone, so that undoing it needs nothing of the other version.
// The publisher puts the new content through [Exact] and the old one through [Base], and makes a
// patch between the results. The target puts its old content through Base, applies the patch, and
// puts the result through Inverse. Some transforms take the old content there, too: see [Stepped].
//
// A target must get the publisher's bytes, so what Forward and Inverse give for an id never
// changes. New behaviour gets a new id. Golden hashes in the tests check this. Formats:
// doc/transforms.md.
package transform

import (
	"bytes"
	"errors"
	"io"
)

const (
	// maxContent is the length in bytes above which most transforms do not apply to a content.
	maxContent = 16 << 20
	// LargeMax is that length for the transforms for which ForLarge is true.
	LargeMax = 64 << 20
	// LargeRoom is how many bytes these add at most.
	LargeRoom = nameTextMax + 1<<20
)

// errCorrupt is what Inverse returns for bytes that Forward never gives.
var errCorrupt = errors.New("not the output of this transform")

// errTooLong is what Inverse returns when the content exceeds the limit.
var errTooLong = errors.New("transformed content exceeds its limit")

// A Transform is one reversible rewriting. Its methods are pure functions of their
// arguments, equal on all architectures, and safe for concurrent use.
type Transform interface {
	// Name names what the transform rewrites, for listings.
	Name() string

	// Forward gives plain rewritten, and neither changes nor keeps plain. ok is false when the
	// transform does not apply. Inverse may fail to give plain back: use Exact to be sure.
	Forward(plain []byte) (out []byte, ok bool)

	// Inverse gives back what Forward was given, at most limit bytes. It may overwrite out and
	// return a part of it, which saves the memory of a second large content. Hostile input gives an
	// error that wraps errCorrupt or errTooLong, never a panic, and takes memory in proportion to
	// out and limit. A transform with Stepped gives an error: see InverseTo.
	Inverse(out []byte, limit int64) ([]byte, error)
}

// certain marks a Transform whose Forward checks by itself that Inverse gives plain back.
type certain interface{ certain() }

// based is a Transform that takes more old contents than Forward, or takes them quicker.
type based interface {
	base(old []byte) (out []byte, learnt Learnt, ok bool)
}

// inPlace is a Transform that rewrites a content where it lies, if there is room for LargeRoom
// bytes more behind it. What it gives is a part of b, or b is of no more use.
type inPlace interface {
	rewrite(b []byte) (out []byte, learnt Learnt, ok bool)
}

// stepped is a Transform that takes the old content to be undone.
type stepped interface {
	learn(old []byte) (out []byte, learnt Learnt, ok bool)
	inverseTo(w io.Writer, out []byte, limit int64, learnt Learnt, base io.ReaderAt,
		size int64) error
}

// Learnt is what a transform keeps of an old content, for After, or with Stepped for InverseTo
// alone. EffortOf counts its memory if that is much. It is for one goroutine.
type Learnt any

// Ids of transforms, which patch sets store. No id is ever used again.
const (
	idGzip    = 1
	idModule  = 2
	idProgram = 3

	idXZ        = 4
	idXZModule  = 5
	idXZProgram = 6

	idKernel = 7

	idShifted   = 8
	idXZShifted = 9

	idVmlinuz     = 10
	idVmlinuzXZ   = 11
	idVmlinuzLZ4  = 12
	idVmlinuzGzip = 13

	idVmlinuzXZEncoder = 14

	idOrdered   = 15
	idXZOrdered = 16

	idGzipAny = 17
)

// registry has the transforms by id. Id 0 means no transform.
var registry = map[uint8]Transform{
	idGzip:    gzipMember{},
	idModule:  kernelModule{},
	idProgram: program{},

	idXZ:        xzFile{},
	idXZModule:  xzFile{kernelModule{}},
	idXZProgram: xzFile{program{}},

	idKernel: kernel{},

	idShifted:   (*Shifts)(nil),
	idXZShifted: xzFile{(*Shifts)(nil)},

	idVmlinuz:     vmlinuz{zstdPacking{}},
	idVmlinuzXZ:   vmlinuz{xzPacking{}},
	idVmlinuzLZ4:  vmlinuz{lz4Packing{}},
	idVmlinuzGzip: vmlinuz{gzipPacking{}},

	idVmlinuzXZEncoder: vmlinuz{xzEncoding{}},

	idOrdered:   &ordered{},
	idXZOrdered: xzFile{&ordered{}},

	idGzipAny: gzipMember{anyBase: true},
}

// Exact is t.Forward, except that ok is also false when Inverse does not give plain back.
func Exact(t Transform, plain []byte) (out []byte, ok bool) {
	out, ok = t.Forward(plain)
	if !ok {
		return nil, false
	}
	if _, ok := t.(certain); ok {
		return out, true
	}
	back, err := t.Inverse(bytes.Clone(out), int64(len(plain)))
	return out, err == nil && bytes.Equal(back, plain)
}

// Base gives what a patch copies from when its new content went through t: the old content
// rewritten, and what After wants. ok is false when that fails. It does not demand that Inverse
// gives the old content back.
func Base(t Transform, old []byte) (out []byte, learnt Learnt, ok bool) {
	if b, ok := t.(based); ok {
		return b.base(old)
	}
	out, ok = t.Forward(old)
	return out, nil, ok
}

// After gives t for the new contents of an old one: what their Forward and Inverse give depends on
// what Base has learnt of that.
func After(t Transform, learnt Learnt) Transform {
	switch x := t.(type) {
	case *ordered:
		old, _ := learnt.([]uint32)
		return &ordered{x.shifts, old}
	case xzFile:
		if x.content != nil {
			x.content = After(x.content, learnt)
		}
		return x
	}
	return t
}

// ForLarge tells whether a transform applies to contents of up to LargeMax bytes.
func ForLarge(id uint8) bool {
	_, ok := registry[id].(inPlace)
	return ok
}

// Stepped tells whether a transform takes the old content to be undone. It applies to contents of
// up to 16 MiB, which rewritten have up to LargeMax and LargeRoom bytes. A publisher completes what
// Forward gives for a new content with AddStep, and makes the content again to be sure.
func Stepped(id uint8) bool {
	_, ok := registry[id].(stepped)
	return ok
}

// InverseTo is t.Inverse for a transform with Stepped. It writes the content to w in parts, and may
// have written some when it fails. learnt is what LearnBase gave. base has the old content, as it
// was before, of size bytes. Errors are also those of w and base, or say that the step is damaged.
func InverseTo(w io.Writer, t Transform, out []byte, limit int64, learnt Learnt, base io.ReaderAt,
	size int64) error {
	s, ok := t.(stepped)
	if !ok {
		return errCorrupt
	}
	return s.inverseTo(w, out, limit, learnt, base, size)
}

// LearnBase is Base for a transform with ForLarge or Stepped. It may overwrite old, and takes no
// copy if ForLarge is true and old has room for LargeRoom bytes more. With Stepped it gives what
// InverseTo wants.
func LearnBase(t Transform, old []byte) (out []byte, learnt Learnt, ok bool) {
	switch t := t.(type) {
	case stepped:
		return t.learn(old)
	case inPlace:
		return t.rewrite(old)
	}
	return Base(t, old)
}

// Effort is what Inverse of a transform takes. It is zero for those that take little.
type Effort struct {
	Memory int64 // bytes beside its argument and its result, at most
	Slow   int64 // a byte of its argument takes about as long as so many that are patched
}

// EffortOf gives the effort of a transform.
func EffortOf(t Transform) Effort {
	switch t := t.(type) {
	case xzFile:
		return Effort{xzMemory, xzSlow}
	case vmlinuz:
		return t.effort()
	}
	return Effort{}
}

// roomFor gives a copy of plain with room for an eighth more behind it, which mostly suffices for
// the tables there.
func roomFor(plain []byte) []byte {
	return append(make([]byte, 0, len(plain)+len(plain)/8+64), plain...)
}

// ByID gives the transform with an id.
func ByID(id uint8) (Transform, bool) {
	t, ok := registry[id]
	return t, ok
}
