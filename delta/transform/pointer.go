package transform

import "slices"

// pointerCoder replaces pointers in data by words of eight bytes. The high half of a word says how
// to read the low half.
const (
	// high byte, then three zero bytes; low half: number of the function less that of the last one
	pointerFunction = 0xf0
	// high byte, two zero bytes, the region; low half: distance from the last address in the region
	pointerRegion = 0xf1
)

// pointerCoder turns pointers into words and back, in the order in which they lie in data.
type pointerCoder struct {
	// count from the first function and the region's beginning, since the order has no meaning
	absolute bool
	starts   []uint64
	regions  []region
	function uint32
}

// newPointerCoder takes regions in ascending order.
func newPointerCoder(starts []uint64, regions []region) *pointerCoder {
	regions = slices.Clone(regions)
	for i := range regions {
		regions[i].last = regions[i].from
	}
	return &pointerCoder{starts: starts, regions: regions[:min(len(regions), 256)]}
}

// word gives the word for an address, or the address itself if it is neither a function's nor in a
// region.
func (c *pointerCoder) word(addr uint64) uint64 {
	if n, ok := slices.BinarySearch(c.starts, addr); ok {
		d := uint32(n) - c.function
		if !c.absolute {
			c.function = uint32(n)
		}
		return pointerFunction<<56 | uint64(d)
	}
	for i := range c.regions {
		if r := &c.regions[i]; addr >= r.from && addr < r.to && r.to-r.from < 1<<32 {
			d := uint32(addr - r.last)
			if !c.absolute {
				r.last = addr
			}
			return pointerRegion<<56 | uint64(i)<<32 | uint64(d)
		}
	}
	return addr
}

// address undoes word.
func (c *pointerCoder) address(word uint64) (uint64, bool) {
	switch word >> 40 {
	case pointerFunction << 16:
		if word>>32 != pointerFunction<<24 {
			return word, true
		}
		n := c.function + uint32(word)
		if int64(n) >= int64(len(c.starts)) {
			return 0, false
		}
		if !c.absolute {
			c.function = n
		}
		return c.starts[n], true
	case pointerRegion << 16:
		i := int(word >> 32 & 0xff)
		if i >= len(c.regions) {
			return 0, false
		}
		r := &c.regions[i]
		addr := r.from + uint64(uint32(r.last-r.from)+uint32(word))
		if !c.absolute {
			r.last = addr
		}
		return addr, true
	}
	return word, true
}
