package transform

import (
	"cmp"
	"slices"
)

// Pointers in data become words of eight bytes whose high byte tells how to read them.
const (
	pointerFunction = 0xf0 // low half: number of the function less that of the last one
	pointerRegion   = 0xf1 // low half: distance from the last address in the same region; third byte: the region
)

// pointerCoder turns pointers that follow each other in data into words and back.
type pointerCoder struct {
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
		c.function = uint32(n)
		return pointerFunction<<56 | uint64(d)
	}
	for i := range c.regions {
		if r := &c.regions[i]; addr >= r.from && addr < r.to && r.to-r.from < 1<<32 {
			d := uint32(addr - r.last)
			r.last = addr
			return pointerRegion<<56 | uint64(i)<<32 | uint64(d)
		}
	}
	return addr
}

// address undoes word.
func (c *pointerCoder) address(word uint64) (uint64, bool) {
	switch word >> 56 {
	case pointerFunction:
		c.function += uint32(word)
		if int64(c.function) >= int64(len(c.starts)) {
			return 0, false
		}
		return c.starts[c.function], true
	case pointerRegion:
		i := int(word >> 32 & 0xffffff)
		if i >= len(c.regions) {
			return 0, false
		}
		r := &c.regions[i]
		r.last = r.from + uint64(uint32(r.last-r.from)+uint32(word))
		return r.last, true
	}
	return word, true
}
