// Package trace finds out which files a boot reads. [RecordOn] watches a running system and gives a
// [Trace]. [Merge] joins traces of several boots and machines. [Trace.Paths] is an order in which
// mkimage can lay out contents, [Measure] tells how scattered the files of a trace lie in an image,
// and [Prefetch] reads them ahead at boot.
//
// Format of the file: doc/trace.md. Package mkimage decides how an order lays out an image.
package trace

import (
	"sort"
	"time"
)

// maxFiles bounds the number of files in a trace. No boot opens as many.
const maxFiles = 1 << 20

// Trace is what one boot read, or several joined by Merge.
type Trace struct {
	Files []File // in order of first access; no path twice
	Lost  int64  // accesses that the kernel did not report or for which maxFiles left no room
}

// File is one file that was read.
type File struct {
	Path  string        // path in the image, as in tree.Entry: no slash in front
	First time.Duration // from the start of the kernel to the first open, exec or read
	// ranges that came into memory, ascending, with gaps between them; none: not known
	ranges []byteRange
}

// byteRange is a run of bytes of a file.
type byteRange struct{ offset, length int64 }

// end is the offset behind the last byte.
func (r byteRange) end() int64 { return r.offset + r.length }

// Bytes is how many bytes came into memory; 0: not known.
func (f *File) Bytes() int64 {
	var n int64
	for _, r := range f.ranges {
		n += r.length
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

// sort sorts files by first access. Files of one instant keep their order.
func (t *Trace) sort() {
	sort.Stable(byFirst(t.Files))
}

// byOffset sorts ranges. Sorts with an interface share their code, which keeps the command for
// targets small.
type byOffset []byteRange

func (r byOffset) Len() int           { return len(r) }
func (r byOffset) Less(i, j int) bool { return r[i].offset < r[j].offset }
func (r byOffset) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }

// byFirst sorts files by first access.
type byFirst []File

func (f byFirst) Len() int           { return len(f) }
func (f byFirst) Less(i, j int) bool { return f[i].First < f[j].First }
func (f byFirst) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }

// joinRanges sorts ranges and joins those that touch or overlap. It works in place.
func joinRanges(ranges []byteRange) []byteRange {
	sort.Sort(byOffset(ranges))
	joined := ranges[:0]
	for _, r := range ranges {
		if n := len(joined); n > 0 && r.offset <= joined[n-1].end() {
			joined[n-1].length = max(joined[n-1].end(), r.end()) - joined[n-1].offset
		} else {
			joined = append(joined, r)
		}
	}
	return joined
}
