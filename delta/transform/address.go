package transform

import "slices"

// addressCoder replaces an address in code by a word of four bytes that says what lies there, not
// where. The word's high byte is its kind. A word with any other high byte is the original one.
const (
	// low 24 bits: number of the function less that of the function that refers to it, plus
	// wordBias
	wordFunction = 0xc0
	wordSlot     = 0xc1 // 4 bits: region; 20 bits: distance from the region's beginning
	wordRecent   = 0xc2 // low 24 bits: how many other addresses the code has used since this one
	// the address is next in the list: 4 bits: region; 28 bits: distance from the region's last
	// listed address, plus listedBias
	wordNext = 0xc3
	wordRaw  = 0xc4 // the original word is next in the list
	wordLast = 0xc4

	wordBias   = 1 << 23
	listedBias = 1 << 27
	regionMax  = 16
)

// region is a section as it lies in memory.
type region struct {
	from, to uint64
	// an array whose order new versions keep: words give the distance from its beginning
	slots bool
	last  uint64 // the last address that was listed
}

// addressCoder turns addresses in code into words and back. Both directions visit the code in the
// same order, so that they have the same state at each address.
type addressCoder struct {
	starts  []uint64 // addresses of functions, ascending
	regions []region // ascending; at most regionMax
	recent  recent   // addresses used, less low
	low     uint64

	listed []uint32 // forward: what the words do not hold; inverse: what is left of that
}

// newAddressCoder takes regions in ascending order.
func newAddressCoder(starts []uint64, regions []region) *addressCoder {
	if len(regions) > regionMax {
		regions = regions[:regionMax]
	}
	c := &addressCoder{starts: starts, regions: regions}
	for i := range regions {
		regions[i].last = regions[i].from
	}
	if len(regions) > 0 {
		c.low = regions[0].from
	}
	return c
}

// region gives the number of the region that an address lies in, or -1.
func (c *addressCoder) region(addr uint64) int {
	for i := range c.regions {
		if addr >= c.regions[i].from && addr < c.regions[i].to {
			return i
		}
	}
	return -1
}

// function gives the number of the last function that starts at or before an address, or -1 when
// there is none. start says that it starts at the address.
func (c *addressCoder) function(addr uint64) (n int, start bool) {
	n, start = slices.BinarySearch(c.starts, addr)
	if !start {
		n--
	}
	return n, start
}

// word gives the word for the address target, to which function own refers with the original word
// raw. Only with other does it replace addresses that are neither of functions nor in slots.
func (c *addressCoder) word(target uint64, raw uint32, own int, other bool) uint32 {
	if n, ok := c.function(target); ok {
		if d := n - own + wordBias; d >= 0 && d < 2*wordBias {
			return wordFunction<<24 | uint32(d)
		}
	}
	if r := c.region(target); r >= 0 {
		at := &c.regions[r]
		d := target - at.from
		if at.slots && d < 1<<20 {
			return wordSlot<<24 | uint32(r)<<20 | uint32(d)
		}
		step := int64(target-at.last) + listedBias
		if other && !at.slots && target-c.low < 1<<32 && step >= 0 && step < 2*listedBias {
			if n := c.recent.use(uint32(target - c.low)); n >= 0 {
				return wordRecent<<24 | uint32(n)
			}
			at.last = target
			c.listed = append(c.listed, uint32(r)<<28|uint32(step))
			return wordNext << 24
		}
	}
	if tag := raw >> 24; tag >= wordFunction && tag <= wordLast {
		c.listed = append(c.listed, raw)
		return wordRaw << 24
	}
	return raw
}

// target undoes word: it gives the address that a word stands for. With isRaw it gives the original
// word instead, which was not replaced. ok is false for a word that word never gives.
func (c *addressCoder) target(word uint32, own int) (target uint64, raw uint32, isRaw, ok bool) {
	low := int(word & 0xffffff)
	switch word >> 24 {
	case wordFunction:
		n := low - wordBias + own
		if n < 0 || n >= len(c.starts) {
			return 0, 0, false, false
		}
		return c.starts[n], 0, false, true
	case wordSlot:
		if r := low >> 20; r < len(c.regions) {
			return c.regions[r].from + uint64(low&0xfffff), 0, false, true
		}
	case wordRecent:
		if low < len(c.recent) {
			v := c.recent[low]
			c.recent.use(v)
			return c.low + uint64(v), 0, false, true
		}
	case wordNext, wordRaw:
		if len(c.listed) == 0 {
			return 0, 0, false, false
		}
		v := c.listed[0]
		c.listed = c.listed[1:]
		if word>>24 == wordRaw {
			return 0, v, true, true
		}
		if r := int(v >> 28); r < len(c.regions) {
			at := &c.regions[r]
			at.last += uint64(int64(v&(2*listedBias-1)) - listedBias)
			c.recent.use(uint32(at.last - c.low))
			return at.last, 0, false, true
		}
	default:
		return 0, word, true, true
	}
	return 0, 0, false, false
}

// forward rewrites the addresses in code that is loaded at base. absolute says that numbers in the
// code may be addresses, as in programs that are not position independent.
func (c *addressCoder) forward(code []byte, base uint64, absolute bool) {
	x86Refs(code, func(kind, field, next int) {
		raw := le.Uint32(code[field:])
		if raw == 0 || kind == refAbsolute && !absolute {
			return
		}
		own, _ := c.function(base + uint64(field))
		le.PutUint32(code[field:],
			c.word(origin(kind, base, next)+uint64(int64(int32(raw))), raw, own, kind != refBranch))
	})
}

// inverse undoes forward.
func (c *addressCoder) inverse(code []byte, base uint64, absolute bool) bool {
	good := true
	x86Refs(code, func(kind, field, next int) {
		word := le.Uint32(code[field:])
		if word == 0 || kind == refAbsolute && !absolute || !good {
			return
		}
		own, _ := c.function(base + uint64(field))
		target, raw, isRaw, ok := c.target(word, own)
		good = ok
		if !isRaw {
			raw = uint32(target - origin(kind, base, next))
		}
		le.PutUint32(code[field:], raw)
	})
	return good
}

// origin is the address from which a field's number counts.
func origin(kind int, base uint64, next int) uint64 {
	if kind == refAbsolute {
		return 0
	}
	return base + uint64(next)
}
