// Package suffix makes and applies binary patches in the manner of bsdiff (Colin Percival, "Naive
// differences of executable code"). It finds matches through a suffix array of the old content and
// extends them in both directions over single bytes that differ, as addresses do in a program that
// was built again.
//
// [NewIndex] sorts an old content, [Index.Search] takes a new one, and [Search.Diff] gives a patch
// as [Streams]: six streams, each of one kind of numbers or bytes, so that many patches can be
// joined stream by stream and compressed together. [Reader] reads patch after patch from joined
// streams; a patch tells by itself where it ends. [Patch] applies one. Format: doc/patchset.md.
package suffix

import "errors"

// ErrCorrupt is wrapped when streams are no patch of the given sizes.
var ErrCorrupt = errors.New("corrupt patch")

// Bounds that hold for every patch.
const (
	// NewMax is how many bytes one patch makes at most. Callers cut larger contents into pieces
	// with a patch each.
	NewMax = 16 << 20
	// WindowMax is from how many bytes of an old content one patch copies at most.
	WindowMax = 64 << 20
)

// The streams. All but diffs and Literals hold unsigned LEB128 varints.
const (
	copies = iota // for each step: how many bytes are old bytes plus differences
	extras        // for each step: how many bytes from Literals follow
	seeks         // for each step: how far the old position moves before it, zigzag
	// runs has the lengths of the runs of all copied bytes of a patch: of equal bytes, of differing
	// bytes, of equal bytes, and so on.
	runs
	diffs    // the differing bytes: new minus old, modulo 256
	Literals // new bytes that are not copied
	NumStreams
)

// Streams is one patch, or several patches joined, by stream: copies first, [Literals] last.
type Streams [NumStreams][]byte

// Append joins another patch to s.
func (s *Streams) Append(o *Streams) {
	for i := range s {
		s[i] = append(s[i], o[i]...)
	}
}

// Len is the number of bytes in all streams.
func (s *Streams) Len() int {
	n := 0
	for i := range s {
		n += len(s[i])
	}
	return n
}

// StreamNames names the streams in tables.
var StreamNames = [NumStreams]string{"copies", "extras", "seeks", "runs", "diffs", "literals"}
