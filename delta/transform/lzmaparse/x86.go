package lzmaparse

import "encoding/binary"

// x86 is the filter of branches of x86 code, over a whole content. With absolute it makes the
// targets of calls and jumps absolute, as an encoder does, else relative again.
func x86(b []byte, absolute bool) {
	high := func(b byte) bool { return b == 0 || b == 0xff }
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
		target := x86Target(binary.LittleEndian.Uint32(b[at+1:]), behind, mask, high)
		target &= 1<<25 - 1
		if target&(1<<24) != 0 {
			target |= 0xff << 24
		}
		binary.LittleEndian.PutUint32(b[at+1:], target)
		at += 5
		mask = 0
	}
}

// x86Target adds to an operand. It does so again where one of the bytes before, which mask tells,
// would look like the high byte of another operand.
func x86Target(operand, add, mask uint32, high func(byte) bool) uint32 {
	for {
		target := operand + add
		if mask == 0 {
			return target
		}
		i := [5]uint32{0, 1, 2, 2, 3}[mask>>1]
		if !high(byte(target >> (24 - i*8))) {
			return target
		}
		operand = target ^ (1<<(32-i*8) - 1)
	}
}
