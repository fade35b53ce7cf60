// Package suffix makes and applies binary patches in the manner of bsdiff
// (Colin Percival, "Naive differences of executable code"): approximate matches are found through
// a suffix array of the old content and extended in both directions over bytes that differ here and
// there, as addresses do in a program that was built again.
//
// [NewIndex] sorts an old content, [Index.Search] finds what a new one has of it, and [Search.Diff]
// gives a patch as [Streams]: six streams of unlike statistics, so that many patches can be joined
// stream by stream and compressed together. A patch needs no lengths of its own: [Reader] takes
// patch after patch off joined streams, for each says by itself where it ends. Format:
// doc/patchset.md.
package suffix

import "errors"

// ErrCorrupt is wrapped when streams are no patch of the given sizes.
var ErrCorrupt = errors.New("corrupt patch")

// Bounds that hold for every patch.
const (
	// NewMax is the most bytes that one patch makes. Larger contents are cut into pieces, each a
	// patch of its own.
	NewMax = 16 << 20
	// WindowMax is the most bytes of an old content that one patch can copy from.
	WindowMax = 64 << 20
)

// Number of streams, and what each holds. Numbers are unsigned LEB128 varints.
const (
	Copies = iota // of each step: how many bytes are old bytes plus differences
	Extras        // of each step: how many bytes follow from Literals
	Seeks         // of each step: how far the old position moves before the step, zigzag
	// over the copied bytes of a patch: length of a run without difference, then of one of
	// differing bytes, and so on
	Runs
	Diffs    // the differing bytes: new minus old, modulo 256
	Literals // new bytes that come from nowhere
	NumStreams
)

// Streams is one patch, or several patches joined: Streams[Copies], Streams[Extras] and so on.
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
