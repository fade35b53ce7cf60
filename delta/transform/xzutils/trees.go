package xzutils

import (
	"encoding/binary"
	"math/bits"
)

// visitTree makes pos the root of the tree of earlier positions with the same hash. A tree is
// sorted by what begins at its positions, and a child is an earlier position than its parent. With
// search it notes matches that are longer than the ones before.
func (f *finder) visitTree(search bool) {
	limit, ok := f.searchLimit()
	if !ok {
		f.pos++
		return
	}
	head, delta2, delta3 := f.heads()
	if !search {
		f.split(head, limit)
		f.next()
		return
	}
	if best := f.near(delta2, delta3, limit); f.count > 0 && best == limit {
		f.split(head, limit)
	} else {
		f.splitAndSearch(head, best, limit)
	}
	f.next()
}

// splitAndSearch divides the tree at head into what sorts before pos and what sorts behind it. It
// ends after depth steps, or at a position that matches up to limit.
func (f *finder) splitAndSearch(head, best, limit uint32) {
	buf, links := f.buf, f.links
	cur := buf[f.pos : f.pos+limit]
	cyclicPos, cyclicSize := f.cyclicPos, f.cyclicSize
	pos := f.pos + cyclicSize
	// where to put the next position that sorts behind pos, or before it
	behind, before := 2*cyclicPos+1, 2*cyclicPos
	var lenBehind, lenBefore uint32
	for depth := f.depth; ; depth-- {
		delta := pos - head
		if depth == 0 || delta >= cyclicSize {
			links[behind], links[before] = 0, 0
			return
		}
		pair := cyclicPos - delta
		if delta > cyclicPos {
			pair += cyclicSize
		}
		pair *= 2
		earlier := buf[f.pos-delta:][:len(cur)]
		n := min(lenBehind, lenBefore)
		if earlier[n] == cur[n] {
			n = matchOf(earlier, cur, n+1)
			if n > best {
				best = n
				f.matches[f.count] = match{n, delta - 1}
				f.count++
			}
			if n >= limit {
				links[before], links[behind] = links[pair], links[pair+1]
				return
			}
		}
		if earlier[n] < cur[n] {
			links[before] = head
			before = pair + 1
			head = links[before]
			lenBefore = n
		} else {
			links[behind] = head
			behind = pair
			head = links[behind]
			lenBehind = n
		}
	}
}

// split is splitAndSearch without the search. It is apart because most positions are only split.
func (f *finder) split(head, limit uint32) {
	buf, links := f.buf, f.links
	cur := buf[f.pos : f.pos+limit]
	cyclicPos, cyclicSize := f.cyclicPos, f.cyclicSize
	pos := f.pos + cyclicSize
	behind, before := 2*cyclicPos+1, 2*cyclicPos
	var lenBehind, lenBefore uint32
	for depth := f.depth; ; depth-- {
		delta := pos - head
		if depth == 0 || delta >= cyclicSize {
			links[behind], links[before] = 0, 0
			return
		}
		pair := cyclicPos - delta
		if delta > cyclicPos {
			pair += cyclicSize
		}
		pair *= 2
		earlier := buf[f.pos-delta:][:len(cur)]
		n := min(lenBehind, lenBefore)
		if earlier[n] == cur[n] {
			n = matchOf(earlier, cur, n+1)
			if n >= limit {
				links[before], links[behind] = links[pair], links[pair+1]
				return
			}
		}
		if earlier[n] < cur[n] {
			links[before] = head
			before = pair + 1
			head = links[before]
			lenBefore = n
		} else {
			links[behind] = head
			behind = pair
			head = links[behind]
			lenBehind = n
		}
	}
}

// matchOf gives how many bytes of a and b, which are equally long, are equal. The first n are.
func matchOf(a, b []byte, n uint32) uint32 {
	for int(n)+8 <= len(a) && int(n)+8 <= len(b) {
		x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:])
		if x != 0 {
			return n + uint32(bits.TrailingZeros64(x)/8)
		}
		n += 8
	}
	for int(n) < len(a) && int(n) < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
