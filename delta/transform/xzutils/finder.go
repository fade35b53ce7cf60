package xzutils

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
)

// match is a length and a distance less one, as LZMA codes it.
type match struct{ length, dist uint32 }

const (
	hash2Size = 1 << 10
	hash3Size = 1 << 16
)

// finder searches a block for earlier occurrences of what begins at a position, and gives the
// position to later searches. Positions in its tables are pos + cyclicSize, so that 0 is too far
// away to be one.
type finder struct {
	buf   []byte
	pos   uint32 // the next position to search from
	ahead uint32 // positions before pos that are not yet coded

	kind  finderKind
	nice  uint32
	depth uint32

	// hash, hash3 and hash2 have the latest position for a hash of all hashed bytes, of three and
	// of two.
	hash     []uint32
	hash3    *[hash3Size]uint32
	hash2    *[hash2Size]uint32
	hashMask uint32
	// links has for each position of the dictionary the one before it in its chain, or its two
	// children in a tree.
	links      []uint32
	cyclicPos  uint32
	cyclicSize uint32

	matches [maxMatch + 1]match // longer and farther from one to the next
	count   int
}

// hashSize gives the length of the table of hashes of all hashed bytes.
func hashSize(o options) uint32 {
	if o.finder.hashed() == 2 {
		return 1 << 16
	}
	size := uint32(1)<<bits.Len32(o.dict-1) - 1
	size = size>>1 | 0xffff
	if size > 1<<24 {
		if o.finder.hashed() == 3 {
			return 1 << 24
		}
		size >>= 1
	}
	return size + 1
}

// window gives how many positions of a block the finder remembers.
func window(o options, block int64) uint32 {
	return uint32(min(int64(o.dict), block)) + 1
}

// finderMemory gives the bytes that the tables take for a block.
func finderMemory(o options, block int64) int64 {
	links := int64(window(o, block))
	if o.finder.trees() {
		links *= 2
	}
	return 4*links + hashMemory(o)
}

// hashMemory gives the bytes of the tables of hashes, which are cleared for each block.
func hashMemory(o options) int64 { return 4 * (int64(hashSize(o)) + hash2Size + hash3Size) }

// newFinder makes a finder for blocks of up to so many bytes.
func newFinder(o options, block int64) *finder {
	f := &finder{kind: o.finder, nice: uint32(o.nice), depth: o.depth}
	f.hash = make([]uint32, hashSize(o))
	f.hashMask = uint32(len(f.hash) - 1)
	f.hash2, f.hash3 = new([hash2Size]uint32), new([hash3Size]uint32)
	f.cyclicSize = window(o, block)
	n := int(f.cyclicSize)
	if f.kind.trees() {
		n *= 2
	}
	f.links = make([]uint32, n)
	return f
}

// reset begins a block. What links holds is never reached.
func (f *finder) reset(block []byte) {
	if f.buf != nil { // else the tables are new
		clear(f.hash)
		clear(f.hash2[:])
		clear(f.hash3[:])
	}
	f.buf, f.pos, f.ahead, f.cyclicPos = block, 0, 0, 0
}

// avail gives how many bytes lie from pos on.
func (f *finder) avail() uint32 { return uint32(len(f.buf)) - f.pos }

// find searches from pos, moves it on by one, and gives the length of the longest match, which may
// exceed that of the last of matches.
func (f *finder) find() uint32 {
	f.count = 0
	if f.kind.trees() {
		f.visitTree(true)
	} else {
		f.searchChain()
	}
	f.ahead++
	if f.count == 0 {
		return 0
	}
	last := f.matches[f.count-1]
	if last.length != f.nice {
		return last.length
	}
	limit := min(f.avail()+1, maxMatch)
	return matchLength(f.buf, f.pos-2-last.dist, f.pos-1, last.length, limit)
}

// skip moves pos on and enters the positions into the tables.
func (f *finder) skip(n uint32) {
	f.ahead += n
	if f.kind.trees() {
		for ; n > 0; n-- {
			f.visitTree(false)
		}
		return
	}
	for ; n > 0; n-- {
		f.enterChain()
	}
}

// next moves on from a position that is entered.
func (f *finder) next() {
	f.pos++
	if f.cyclicPos++; f.cyclicPos == f.cyclicSize {
		f.cyclicPos = 0
	}
}

// searchLimit gives the length up to which matches are searched from pos. ok is false at the end of
// the block, where too few bytes are left to be hashed; such positions are not entered.
func (f *finder) searchLimit() (limit uint32, ok bool) {
	avail := f.avail()
	if f.nice <= avail {
		return f.nice, true
	}
	return avail, avail >= uint32(f.kind.hashed())
}

var hashTable = crc32.IEEETable

// heads enters pos into the tables of hashes. It gives the latest position with the same hash, and
// the distances to the latest ones with the hashes of two and three bytes, or 0 without such a
// table.
func (f *finder) heads() (head, delta2, delta3 uint32) {
	cur := f.buf[f.pos:]
	pos := f.pos + f.cyclicSize
	if f.kind == trees2 {
		at := &f.hash[uint32(binary.LittleEndian.Uint16(cur))]
		head, *at = *at, pos
		return head, 0, 0
	}
	_ = cur[2]
	h := hashTable[cur[0]] ^ uint32(cur[1])
	two := &f.hash2[h%hash2Size]
	delta2, *two = pos-*two, pos
	h ^= uint32(cur[2]) << 8
	if f.kind.hashed() == 4 {
		three := &f.hash3[h%hash3Size]
		delta3, *three = pos-*three, pos
		h ^= hashTable[cur[3]] << 5
	}
	at := &f.hash[h&f.hashMask]
	head, *at = *at, pos
	return head, delta2, delta3
}

// near notes the matches that the hashes of two and three bytes lead to. It gives the length that
// further matches must exceed.
func (f *finder) near(delta2, delta3, limit uint32) uint32 {
	if f.kind == trees2 {
		return 1
	}
	reached := func(delta uint32) bool {
		return delta < f.cyclicSize && f.buf[f.pos-delta] == f.buf[f.pos]
	}
	best, delta := uint32(2), delta2
	if reached(delta2) {
		f.matches[0], f.count = match{2, delta2 - 1}, 1
	}
	if f.kind.hashed() == 4 {
		if delta2 != delta3 && reached(delta3) {
			best, delta = 3, delta3
			f.matches[f.count].dist = delta3 - 1
			f.count++
		}
	}
	if f.count > 0 {
		best = matchLength(f.buf, f.pos-delta, f.pos, best, limit)
		f.matches[f.count-1].length = best
	}
	return max(best, uint32(f.kind.hashed()-1))
}

// matchLength gives how many bytes from a and from b on are equal, at most limit. The first known
// ones are.
func matchLength(buf []byte, a, b, known, limit uint32) uint32 {
	x, y := buf[a:a+limit], buf[b:b+limit]
	n := int(known)
	for n+8 <= len(x) && n+8 <= len(y) {
		if d := binary.LittleEndian.Uint64(x[n:]) ^ binary.LittleEndian.Uint64(y[n:]); d != 0 {
			return uint32(n + bits.TrailingZeros64(d)/8)
		}
		n += 8
	}
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	return uint32(n)
}
