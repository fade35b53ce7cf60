package patchset

import (
	"testing"

	"deltaup/delta/suffix"
)

// TestWindowOf checks the sizes of windows of large bases, and the places of pieces in them.
func TestWindowOf(t *testing.T) {
	const mib = 1 << 20
	for _, size := range []int64{17 * mib, 64 * mib, 64*mib + 1, 97*mib + 5, 283 * mib, 5 << 30} {
		for _, base := range []int64{size, size - size/10, size + size/10, 70 * mib} {
			windows := map[int64]bool{}
			for off := int64(0); off < size; off += largePiece {
				n := min(largePiece, size-off)
				begin, length := windowOf(base, off, n, size)
				if begin < 0 || length <= 0 || length > suffix.WindowMax || begin+length > base {
					t.Fatalf("%d of %d, base %d: window %d+%d", off, size, base, begin, length)
				}
				if middle := int64(float64(off+n/2) / float64(size) * float64(base)); middle < begin || middle >= begin+length {
					t.Errorf("%d of %d, base %d: its place %d is not in the window %d+%d", off, size, base, middle, begin, length)
				}
				if base > 2*suffix.WindowMax && begin > 0 && begin+length < base && length != suffix.WindowMax {
					t.Errorf("%d of %d, base %d: a window of %d bytes in the middle", off, size, base, length)
				}
				windows[begin] = true
			}
			// Neighbouring pieces must share an index, which takes long to make.
			if most := base/(suffix.WindowMax/2) + 2; int64(len(windows)) > most {
				t.Errorf("%d windows of %d bytes for %d", len(windows), base, size)
			}
		}
	}
}
