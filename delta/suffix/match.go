package suffix

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Index is an old content, or a window of one, made ready to be searched. It takes about five times the window's
// size in memory, and twelve times while it is made. It is safe for concurrent use.
type Index struct {
	old    []byte
	start  int64 // of old in the old content
	sa     []int32
	bucket []int32 // bucket[p] to bucket[p+1]: suffixes that begin with the two bytes p, and before them one of a single byte
}

// compareMax bounds the work of one comparison in the binary search; what matches so far is
// extended afterwards, once.
const compareMax = 4 << 10

// NewIndex indexes old, which it keeps, at most WindowMax bytes; more panic. start is where old lies in the
// old content, of which it may be a window: patches count positions from the content's beginning.
func NewIndex(old []byte, start int64) *Index {
	if len(old) > WindowMax {
		panic(fmt.Sprintf("suffix: an index of %d bytes", len(old)))
	}
	x := &Index{old: old, start: start, sa: sorted(old), bucket: make([]int32, 1<<16+1)}
	for i := range old {
		x.bucket[x.prefix(old[i:])+1]++
	}
	for i := 1; i < len(x.bucket); i++ {
		x.bucket[i] += x.bucket[i-1]
	}
	return x
}

// prefix is the first two bytes of p as a number; a missing second one counts as zero.
func (x *Index) prefix(p []byte) int {
	if len(p) == 1 {
		return int(p[0]) << 8
	}
	return int(p[0])<<8 | int(p[1])
}

// longest gives the position and length of a longest match of the beginning of p, 0 when fewer than two bytes match.
func (x *Index) longest(p []byte) (pos, length int) {
	if len(p) < 2 || len(x.old) == 0 {
		return 0, 0
	}
	b := x.prefix(p)
	low, high := int(x.bucket[b]), int(x.bucket[b+1])
	if low == high {
		return 0, 0
	}
	head := p[:min(len(p), compareMax)]
	// The suffixes in low to high are those around p; both ends have lowLen and highLen bytes in common with it.
	lowLen, highLen := -1, -1
	lo, hi := low-1, high
	for hi-lo > 1 {
		mid := int(uint(lo+hi) >> 1)
		suffix := x.old[x.sa[mid]:]
		known := 0
		if lowLen >= 0 && highLen >= 0 {
			known = min(lowLen, highLen)
		}
		n := known + common(suffix[known:], head[known:])
		if n == len(head) || n < len(suffix) && suffix[n] > head[n] {
			hi, highLen = mid, n
		} else {
			lo, lowLen = mid, n
		}
	}
	if lowLen > highLen {
		pos, length = int(x.sa[lo]), lowLen
	} else {
		pos, length = int(x.sa[hi]), highLen
	}
	if length == len(head) {
		length += common(x.old[pos+length:], p[length:])
	}
	return pos, length
}

// common is how many bytes a and b have in common at their beginnings.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	i := 0
	for ; i+8 <= n; i += 8 {
		if d := binary.LittleEndian.Uint64(a[i:]) ^ binary.LittleEndian.Uint64(b[i:]); d != 0 {
			return i + bits.TrailingZeros64(d)>>3
		}
	}
	for ; i < n && a[i] == b[i]; i++ {
	}
	return i
}

// match says that new[start:start+length] resembles old from pos on.
type match struct{ start, pos, length int }

const (
	// stallMax ends the search for a better beginning of a match after so many steps without change: otherwise
	// long repetitions take quadratic time.
	stallMax = 64
)

// scan finds the matches of bsdiff: places where new agrees with old and not with the continuation of the match before.
func scan(x *Index, old, new []byte, gain int, each func(pos, start, length int)) {
	var at, length, pos int
	shift := 0 // old position minus new position of the match that is being continued
	for at < len(new) {
		score := 0 // of the bytes in at to scored, how many the continuation gets right
		stalled := 0
		at += length
		scored := at
		for ; at < len(new); at++ {
			before, posBefore := length, pos
			pos, length = x.longest(new[at:])
			for ; scored < at+length; scored++ {
				if o := scored + shift; o >= 0 && o < len(old) && old[o] == new[scored] {
					score++
				}
			}
			if length == score && length != 0 || length > score+gain {
				break
			}
			if o := at + shift; o >= 0 && o < len(old) && old[o] == new[at] {
				score--
			}
			if length >= before-1 && pos == posBefore+1 {
				if stalled++; stalled > stallMax && length > 4*stallMax {
					break
				}
			} else {
				stalled = 0
			}
		}
		if length != score || at >= len(new) {
			each(pos, at, length)
			shift = pos - at
		}
	}
}
