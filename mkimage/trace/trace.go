// Package trace knows what a boot reads. A Recorder watches a running system and gives a
// Trace; Merge joins those of several boots and machines; Trace.Paths is the order in
// which mkimage lays contents out, and Measure tells how scattered a trace lies in an image.
//
// Format of the file: doc/trace.md. The package draws no conclusion about layout: that is
// mkimage's.
package trace

import (
	"cmp"
	"slices"
	"time"
)

// MaxFiles bounds a trace that is read or recorded: more files than any boot opens.
const MaxFiles = 1 << 20

// Trace is what one boot read, or several joined by Merge.
type Trace struct {
	Files []File // in order of first access; no path twice
	Lost  int64  // accesses that the kernel did not tell, or that MaxFiles left no room for
}

// File is one file that was read.
type File struct {
	Path   string        // in the image, as in tree.Entry: no slash in front
	First  time.Duration // when it was first opened or read, since the kernel started
	Ranges []Range       // that came into memory, ascending and apart; none: not known
}

// Range is a run of bytes of a file.
type Range struct{ Offset, Length int64 }

// End is the offset behind the last byte.
func (r Range) End() int64 { return r.Offset + r.Length }

// Bytes is how many bytes came into memory; 0: not known.
func (f *File) Bytes() int64 {
	var n int64
	for _, r := range f.Ranges {
		n += r.Length
	}
	return n
}

// Paths lists the files in order of first access.
func (t *Trace) Paths() []string {
	paths := make([]string, len(t.Files))
	for i := range t.Files {
		paths[i] = t.Files[i].Path
	}
	return paths
}

// sort puts files into order of first access, those of one instant as they were.
func (t *Trace) sort() {
	slices.SortStableFunc(t.Files, func(a, b File) int { return cmp.Compare(a.First, b.First) })
}

// joinRanges gives ranges in ascending order, those that touch or overlap as one.
// It works in place.
func joinRanges(ranges []Range) []Range {
	slices.SortFunc(ranges, func(a, b Range) int { return cmp.Compare(a.Offset, b.Offset) })
	joined := ranges[:0]
	for _, r := range ranges {
		if n := len(joined); n > 0 && r.Offset <= joined[n-1].End() {
			joined[n-1].Length = max(joined[n-1].End(), r.End()) - joined[n-1].Offset
		} else {
			joined = append(joined, r)
		}
	}
	return joined
}
