package parsestep

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestChain follows the links of a chain within its window, and not beyond.
func TestChain(t *testing.T) {
	const window, size = 1 << 9, 1 << 13
	rnd := rand.New(rand.NewPCG(5, 6))
	const headBits, bits = 3, 21
	c := newChain(headBits, window)
	hashes := make([]uint32, size)
	for at := range hashes {
		hashes[at] = uint32(rnd.IntN(4)*rnd.IntN(3)) << (32 - headBits)
		var want, got []int
		for q := at - 1; q >= max(at-window, 0); q-- {
			if hashes[q] == hashes[at] {
				want = append(want, q)
			}
		}
		for q := c.first(hashes[at]); q >= max(at-window, 0); q = c.before(q) {
			got = append(got, q)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("at %d: %v, want %v", at, got, want)
		}
		c.add(hashes[at], at)
	}
	wide := newChain(headBits, 1<<bits)
	for _, at := range []int{0, 1 << 8, 1 << 16, 1<<bits - 1, 1<<bits + 1<<20} {
		wide.add(1, at)
	}
	if q := wide.before(wide.before(wide.first(1))); q != 1<<16 {
		t.Errorf("a link leads to %d", q)
	}
}
