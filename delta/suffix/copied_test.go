package suffix

import (
	"fmt"
	"slices"
	"testing"
)

// TestCopies: what a patch copies lies apart, in order, within both contents, and is most of what it
// makes.
func TestCopies(t *testing.T) {
	var old []byte
	for i := range 200 {
		old = fmt.Appendf(old, "line %d, %x\n", i, i*i*i)
	}
	new := slices.Concat([]byte("zero and "), old[900:], []byte("!?"), old[:900])
	new[1000] ^= 1 // within a copy
	s := NewIndex(old, 0).Search(new).Diff(TextGain)
	end, copied, same := 0, 0, 0
	for c := range s.Copies() {
		if c.Size <= 0 || c.New < end || c.New+c.Size > len(new) || c.Old < 0 || c.Old+c.Size > len(old) {
			t.Fatalf("%+v behind %d", c, end)
		}
		for i := range c.Size {
			if old[c.Old+i] == new[c.New+i] {
				same++
			}
		}
		end, copied = c.New+c.Size, copied+c.Size
	}
	if copied+len(s[Literals]) != len(new) || same < len(old)*9/10 || same == copied {
		t.Errorf("%d bytes are copied, %d unchanged, %d literals", copied, same, len(s[Literals]))
	}
	for range s.Copies() {
		break // a caller may stop
	}
}
