// Package bcj is the filter x86 of the .xz format: it makes the targets of calls and jumps in x86
// code absolute, so that LZMA finds more matches. It does what liblzma's does, byte for byte, over
// a content that is in memory whole.
package bcj

import "encoding/binary"

// Encode makes the targets in b absolute, as an encoder does before LZMA.
func Encode(b []byte) { filter(b, true) }

// Decode makes the targets in b relative again.
func Decode(b []byte) { filter(b, false) }

func filter(b []byte, absolute bool) {
	mask := uint32(0)
	last := -5 // the last call or jump
	for at := 0; at+5 <= len(b); {
		if b[at] != 0xe8 && b[at] != 0xe9 {
			at++
			continue
		}
		if distance := at - last; distance > 5 {
			mask = 0
		} else {
			for range distance {
				mask = mask & 0x77 << 1
			}
		}
		last = at
		if !high(b[at+4]) || mask>>1 > 4 || mask>>1 == 3 {
			mask |= 1
			if high(b[at+4]) {
				mask |= 0x10
			}
			at++
			continue
		}
		behind := uint32(at + 5)
		if !absolute {
			behind = -behind
		}
		t := target(binary.LittleEndian.Uint32(b[at+1:]), behind, mask)
		t &= 1<<25 - 1
		if t&(1<<24) != 0 {
			t |= 0xff << 24
		}
		binary.LittleEndian.PutUint32(b[at+1:], t)
		at += 5
		mask = 0
	}
}

// high tells whether a byte may be the highest one of an operand.
func high(b byte) bool { return b == 0 || b == 0xff }

// target adds to an operand. It does so again where one of the bytes before, which mask tells,
// would look like the high byte of another operand.
func target(operand, add, mask uint32) uint32 {
	for {
		t := operand + add
		if mask == 0 {
			return t
		}
		i := [5]uint32{0, 1, 2, 2, 3}[mask>>1]
		if !high(byte(t >> (24 - i*8))) {
			return t
		}
		operand = t ^ (1<<(32-i*8) - 1)
	}
}
