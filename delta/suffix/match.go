package suffix

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Index is an old content, or a window of one, prepared for searches. It takes at most eight times
// the window's size in memory, while it is made as well. It is safe for concurrent use.
type Index struct {
	old    []byte
	start  int64 // position of old in the old content
	sa     []int32
	shift  int     // by how many bits to shift the first three bytes to get a prefix
	bucket []int32 // sa[bucket[p]:bucket[p+1]] are the suffixes with prefix p
}

const (
	// compareMax bounds the bytes that each comparison in the binary search looks at. longest
	// extends the result once, at its end.
	compareMax = 4 << 10
	// matchLeast is the least length of a match in bytes.
	matchLeast = 2
	prefixMin  = 8  // bits
	prefixMax  = 24 // bits
)

// NewIndex indexes old, which it keeps. It panics over more than WindowMax bytes. old may be a
// window of the old content: start is its position there, since patches count positions from the
// content's beginning.
func NewIndex(old []byte, start int64) *Index {
	if len(old) > WindowMax {
		panic(fmt.Sprintf("suffix: an index of %d bytes", len(old)))
	}
	// About as many prefixes as suffixes save most steps of each binary search.
	size := min(max(bits.Len(uint(len(old)))-1, prefixMin), prefixMax)
	x := &Index{
		old:    old,
		start:  start,
		sa:     sorted(old),
		shift:  prefixMax - size,
		bucket: make([]int32, 1<<size+1),
	}
	for i := range old {
		x.bucket[x.prefix(old[i:])+1]++
	}
	for i := 1; i < len(x.bucket); i++ {
		x.bucket[i] += x.bucket[i-1]
	}
	return x
}

// prefix is the number that the first bits of p make. Missing bytes count as zero.
func (x *Index) prefix(p []byte) int {
	if len(p) >= 3 {
		return (int(p[0])<<16 | int(p[1])<<8 | int(p[2])) >> x.shift
	}
	n := 0
	for i, c := range p {
		n |= int(c) << (16 - 8*i)
	}
	return n >> x.shift
}

// longest gives the position in old and the length of a longest match for the beginning of p, among
// the suffixes with p's prefix. Both are 0 when there is no match of matchLeast bytes. work is
// about how many steps it took.
func (x *Index) longest(p []byte) (pos, length, work int) {
	if len(p) < matchLeast || len(x.old) == 0 {
		return 0, 0, 1
	}
	b := x.prefix(p)
	low, high := int(x.bucket[b]), int(x.bucket[b+1])
	if low == high {
		return 0, 0, 1
	}
	head := p[:min(len(p), compareMax)]
	// p lies between the suffixes at lo and at hi, which have lowLen and highLen bytes in common
	// with it.
	lowLen, highLen := -1, -1
	lo, hi := low-1, high
	for hi-lo > 1 {
		mid := int(uint(lo+hi) >> 1)
		suffix := x.old[x.sa[mid]:]
		known := max(0, min(lowLen, highLen))
		n := known + common(suffix[known:], head[known:])
		if n == len(head) || n < len(suffix) && suffix[n] > head[n] {
			hi, highLen = mid, n
		} else {
			lo, lowLen = mid, n
		}
		work += 1 + (n-known)/16
	}
	if lowLen > highLen {
		pos, length = int(x.sa[lo]), lowLen
	} else {
		pos, length = int(x.sa[hi]), highLen
	}
	if length < matchLeast {
		return 0, 0, work
	}
	if length == len(head) {
		n := common(x.old[pos+length:], p[length:])
		length += n
		work += n / 16
	}
	return pos, length, work
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
