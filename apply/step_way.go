package apply

import (
	"deltaup/delta"
	"deltaup/delta/patchset"
)

// Of some contents that a step makes a set has two ways: one that a usual target takes, and one that
// runs an encoder again, for fewer bytes and with more memory.

// heapBeside is what a process takes beside the memory of a step: the program, its buffers, and what
// the collector has not yet freed.
const heapBeside = 64 << 20

// chooseWays has each step take the way that runs an encoder again, if there is the memory and that
// is quicker. With delta.ForBytes time does not count.
func (r *patchRoute) chooseWays(takes func(*set, *patchset.Entry) int64) {
	u := r.u
	for _, s := range r.chain.sets {
		for i := range s.step.Entries {
			usual := &s.step.Entries[i]
			other := usual.Other()
			if other == nil {
				continue
			}
			if usual.Encodes() {
				usual, other = other, usual
			}
			saved := u.fetcher.lacksPieces([]delta.Piece{s.group(usual.Group)}) -
				u.fetcher.lacksPieces([]delta.Piece{s.group(other.Group)})
			quick := u.r.Optimize == delta.ForBytes && saved > 0 ||
				u.machine.cpu.Patching(slowness(other)-slowness(usual)) < u.meta.line.Carries(saved)
			if takes(s, other)+heapBeside <= u.r.Memory && !s.unusable[other.Group] && quick {
				s.step.Entries[i] = *other
			} else {
				s.step.Entries[i] = *usual
			}
		}
	}
}

// slowness is how many patched bytes take as long as undoing the transform of an entry.
func slowness(e *patchset.Entry) int64 {
	length, effort := e.Rewritten()
	return length * effort.Slow
}

// giveUp has a set do without a group that is damaged on all mirrors, or is of no use otherwise. What
// has another way takes that.
func (s *set) giveUp(group int) {
	s.unusable[group] = true
	if s.step == nil { // of an artifact
		return
	}
	for i := range s.step.Entries {
		if e := &s.step.Entries[i]; e.Group == group && e.Encodes() {
			s.step.Entries[i] = *e.Other()
		}
	}
}
