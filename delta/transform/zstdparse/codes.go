package zstdparse

import "math/bits"

// code is a range of numbers that share a symbol: from base on, and so many bits more.
type code struct {
	base uint32
	bits uint8
}

// What symbols of lengths stand for, RFC 8878, section 3.1.1.3.2.1.1. That of an offset is the
// number of bits behind its highest one.
var (
	literalCodes = newCodes(0, 16, []uint8{
		1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	})
	matchCodes = newCodes(matchMin, 32, []uint8{
		1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
	})
)

// newCodes makes codes from base on: of single numbers, then of so many bits.
func newCodes(base uint32, single int, more []uint8) (codes []code) {
	n := uint32(0)
	for range single {
		codes = append(codes, code{base + n, 0})
		n++
	}
	for _, b := range more {
		codes = append(codes, code{base + n, b})
		n += 1 << b
	}
	return codes
}

// codeOf finds the symbol of a number within codes.
func codeOf(codes []code, v uint32) uint8 {
	i, end := 0, len(codes)
	for i+1 < end {
		if middle := (i + end) / 2; codes[middle].base <= v {
			i = middle
		} else {
			end = middle
		}
	}
	return uint8(i)
}

func offsetCode(v uint32) uint8 { return uint8(bits.Len32(v) - 1) }

// kinds has the tables' limits and predefined counts, RFC 8878, section 3.1.1.3.2.2.
var kinds = [tables]struct {
	symbolMax, logMax int
	log               int
	counts            []int16
}{
	lengths: {35, 9, 6, []int16{
		4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 2, 2,
		2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, -1, -1, -1, -1,
	}},
	offsets: {31, 8, 5, []int16{
		1, 1, 1, 1, 1, 1, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1,
	}},
	matches: {52, 9, 6, []int16{
		1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
		1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, -1, -1, -1, -1, -1, -1, -1,
	}},
}

var predefined = func() (t [tables]*fse) {
	for i, k := range kinds {
		t[i] = newFSE(k.counts, k.log)
	}
	return t
}()
