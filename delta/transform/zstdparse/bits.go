package zstdparse

import (
	"encoding/binary"
	"math/bits"
)

// bitReader reads a stream of bits from its end to its beginning.
type bitReader struct {
	b    []byte
	left int // bits; below 0: more than there are were read
}

// newBitReader begins behind the highest set bit of the last byte.
func newBitReader(b []byte) (bitReader, bool) {
	if len(b) == 0 || b[len(b)-1] == 0 {
		return bitReader{}, false
	}
	return bitReader{b, len(b)*8 - 9 + bits.Len8(b[len(b)-1])}, true
}

// read gives the next n bits, at most 32. Bits before the beginning are 0.
func (r *bitReader) read(n int) uint32 {
	r.left -= n
	at, missing := r.left, 0
	if at < 0 {
		at, missing = 0, min(-at, n)
	}
	var v uint64
	if i := at >> 3; i+8 <= len(r.b) {
		v = binary.LittleEndian.Uint64(r.b[i:])
	} else {
		for k, c := range r.b[min(i, len(r.b)):] {
			v |= uint64(c) << (8 * k)
		}
	}
	return uint32(v >> (at & 7) & (1<<(n-missing) - 1) << missing)
}

// bitWriter appends a stream of bits.
type bitWriter struct {
	b []byte
	v uint64
	n int // bits of v, below 8
}

// add appends the low n bits of v, at most 32.
func (w *bitWriter) add(v uint32, n int) {
	w.v |= uint64(v) & (1<<n - 1) << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.b = append(w.b, byte(w.v))
		w.v >>= 8
	}
}

// close appends the bit that marks the end, and gives all bytes.
func (w *bitWriter) close() []byte {
	w.add(1, 1)
	if w.n > 0 {
		w.b = append(w.b, byte(w.v))
	}
	return w.b
}

// forward reads bits from the beginning. Those behind the end are 0.
type forward struct {
	b  []byte
	at int // bits
}

func (f *forward) peek(n int) (v int) {
	for k := range 4 {
		if i := f.at>>3 + k; i < len(f.b) {
			v |= int(f.b[i]) << (8 * k)
		}
	}
	return v >> (f.at & 7) & (1<<n - 1)
}
