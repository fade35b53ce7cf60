package suffix

import "iter"

// Copied is a run of bytes of a new content that are old bytes plus differences.
type Copied struct{ New, Old, Size int }

// Copies gives what a patch that Diff made copies, in order.
func (s Streams) Copies() iter.Seq[Copied] {
	return func(yield func(Copied) bool) {
		c, at := cursor{s: s}, Copied{}
		for len(c.s[copies]) > 0 && c.err == nil {
			st := c.step(NewMax)
			at.Old += int(st.seek)
			at.Size = int(st.copy)
			if c.err != nil || at.Size > 0 && !yield(at) {
				return
			}
			at.Old += at.Size
			at.New += at.Size + int(st.extra)
		}
	}
}
