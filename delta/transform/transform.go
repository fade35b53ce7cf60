// Package transform rewrites contents reversibly, so that an old and a new version
// of the same thing differ in fewer bytes. A small change in a program's source moves
// thousands of addresses, offsets and numbers by the same amount; a changed line in a
// compressed file changes all that follows. Put through the same transform, the
// unchanged parts of both versions become equal, and a byte differ finds that.
//
// A transform looks at one content alone: nothing of the other version is needed to
// undo it. The publisher puts old and new content through [Exact] and diffs the
// results; the target puts its old content through Forward, patches, and puts the
// result through Inverse.
//
// A target must get the publisher's bytes: what Forward and Inverse give for an id
// never changes. New behaviour gets a new id; golden hashes in the tests hold this.
package transform

import (
	"bytes"
	"errors"
)

// MaxContent is the length in bytes above which no transform applies to a content.
const MaxContent = 16 << 20

// ErrCorrupt is returned by Inverse for bytes that no Forward gives.
var ErrCorrupt = errors.New("not the output of this transform")

// ErrTooLong is returned by Inverse when the content would exceed the limit.
var ErrTooLong = errors.New("transformed content exceeds its limit")

// A Transform is one reversible rewriting. Its methods are pure functions of their
// arguments, equal on all architectures, and safe for concurrent use.
type Transform interface {
	// Name says what is rewritten, for listings.
	Name() string

	// Forward rewrites plain, which it neither changes nor keeps. ok is false when
	// the transform does not apply. That Inverse gives plain back is not certain, see Exact.
	Forward(plain []byte) (out []byte, ok bool)

	// Inverse gives back what Forward was given, at most limit bytes. It may overwrite out,
	// and what it gives may lie there: two of a large content are not in memory. Hostile input
	// gives an error that matches ErrCorrupt or ErrTooLong, never a panic, and
	// takes memory in proportion to out and limit only.
	Inverse(out []byte, limit int64) ([]byte, error)
}

// certain is a Transform whose Forward has seen by itself that Inverse gives the same bytes again.
type certain interface{ certain() }

// Ids, which patch sets store. A number is never given twice.
const (
	idGzip    = 1
	idModule  = 2
	idProgram = 3
)

// registry holds the transforms by their id. Id 0 means no transform.
var registry = map[uint8]Transform{
	idGzip:    gzipMember{},
	idModule:  kernelModule{},
	idProgram: program{},
}

// Exact is t.Forward for who has to know that Inverse will give exactly plain: ok is false when
// it would not.
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

// roomFor gives a copy of plain with room for an eighth more behind it, which is what tables mostly
// take.
func roomFor(plain []byte) []byte {
	return append(make([]byte, 0, len(plain)+len(plain)/8+64), plain...)
}

// ByID gives the transform with this id.
func ByID(id uint8) (Transform, bool) {
	t, ok := registry[id]
	return t, ok
}
