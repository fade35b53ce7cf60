package transform

import (
	"cmp"
	"slices"
)

// Pointers in data become words of eight bytes whose high half tells how to read them.
const (
	// in the high byte, three zeros; low half: number of the function less that of the last one
	pointerFunction = 0xf0
	// in the high byte, two zeros, the region; low half: distance from the last address in it
	pointerRegion = 0xf1
)

// pointerCoder turns pointers that follow each other in data into words and back.
type pointerCoder struct {
	absolute bool // the order says nothing: functions and addresses are counted from the first
	starts   []uint64
	regions  []region
	function uint32
}

func newPointerCoder(starts []uint64, regions []region) *pointerCoder {
	regions = slices.Clone(regions)
	slices.SortFunc(regions, func(a, b region) int { return cmp.Compare(a.from, b.from) })
	for i := range regions {
		regions[i].last = regions[i].from
	}
	return &pointerCoder{starts: starts, regions: regions[:min(len(regions), 256)]}
}

// word gives what stands for an address, or the address itself.
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
