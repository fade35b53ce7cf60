package transform

import "slices"

// code rewrites the branches between functions within each section of a module's code. All other
// addresses are left to relocations and are zero in the code.
func (t *symbolTable) code(b []byte, inverse bool) bool {
	for i := range t.file.sections {
		s := &t.file.sections[i]
		if s.flags&flagExec == 0 || s.kind != 1 || s.size == 0 {
			continue
		}
		var starts []uint64
		for _, sym := range t.within[i] {
			if sym.kind == symbolKindFunction {
				starts = append(starts, sym.value)
			}
		}
		c := newAddressCoder(slices.Compact(starts), nil)
		if !inverse {
			c.forward(s.of(b), 0, false)
			if len(c.listed) > 0 {
				return false
			}
		} else if !c.inverse(s.of(b), 0, false) {
			return false
		}
	}
	return true
}
