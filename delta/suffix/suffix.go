// Package suffix makes and applies binary patches in the manner of bsdiff
// (Colin Percival, "Naive differences of executable code"): approximate matches are found through
// a suffix array of the old content and extended in both directions over bytes that differ here and
// there, as addresses do in a program that was built again.
//
// [Diff] gives a patch as [Streams]: six streams of unlike statistics, so that many patches can be
// joined stream by stream and compressed together. A patch needs no lengths of its own: [Reader] takes
// patch after patch off joined streams, for each says by itself where it ends.
package suffix

import (
	"errors"
	"io"
)

// ErrCorrupt is wrapped when streams are no patch of the given sizes.
var ErrCorrupt = errors.New("corrupt patch")

// Bounds that hold for every patch.
const (
	// NewMax is the most bytes that one patch makes. Larger contents are cut into pieces, each a patch of its own.
	NewMax = 16 << 20
	// WindowMax is the most bytes of an old content that are searched at once; see Windows.
	WindowMax = 64 << 20
)

// Number of streams, and what each holds. Numbers are unsigned LEB128 varints.
const (
	Copies   = iota // of each step: how many bytes are old bytes plus differences
	Extras          // of each step: how many bytes follow from Literals
	Seeks           // of each step: how far the old position moves before the step, zigzag
	Runs            // over the copied bytes of a patch: length of a run without difference, then of one of differing bytes, and so on
	Diffs           // the differing bytes: new minus old, modulo 256, never zero
	Literals        // new bytes that come from nowhere
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

// Diff makes a patch from old to new; both may be empty. oldStart is where old lies in the old content, of
// which it may be a window: the patch counts positions from the content's beginning. The result depends
// on the arguments alone. At most WindowMax bytes of old and NewMax of new; more panic.
func Diff(old []byte, oldStart int64, new []byte) Streams {
	panic("unbuilt")
}

// Reader takes patches off joined streams, one after another. Its memory beside the streams is constant.
type Reader struct {
	s Streams
}

// NewReader reads patches from s, which must not change while it is used.
func NewReader(s Streams) *Reader { return &Reader{s: s} }

// Next gives the streams of the next patch, which makes newSize bytes out of an old content of oldSize: parts
// of the joined streams, not copies. Every length and position is checked, so that Patch of the result
// can fail for reading old only. Otherwise the error wraps ErrCorrupt, and so will all later ones.
func (r *Reader) Next(oldSize, newSize int64) (Streams, error) {
	panic("unbuilt")
}

// Done is an error that wraps ErrCorrupt when bytes are left over.
func (r *Reader) Done() error {
	panic("unbuilt")
}

// Patch appends to dst the newSize bytes that one patch makes out of old. Errors wrap ErrCorrupt or are those of old.
func Patch(dst []byte, old io.ReaderAt, oldSize int64, s Streams, newSize int64) ([]byte, error) {
	panic("unbuilt")
}
