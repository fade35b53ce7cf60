package apply

import (
	"deltaup/delta"
	"deltaup/delta/patchset"
)

// Of some contents that a step makes a set has two ways: one that a usual target takes, and one
// that runs an encoder again, for fewer bytes and with more memory.

// besideStep is what a process takes beside the memory of a step of the other way: the program, its
// buffers, and what the collector has not yet freed.
const besideStep = 64 << 20

// besideUsual is what a process takes beside the memory of a step of the usual way.
const besideUsual = 18 << 20

// ways chooses between them, and tells what steps take.
type ways struct {
	*fetcher
	cpu      delta.CPU
	optimize delta.Optimize
	memory   int64 // that the process may take; 0: what it aims at by itself
}

func (u *Update) ways() *ways {
	return &ways{u.fetcher, u.machine.cpu, u.r.Optimize, u.r.Memory}
}

// stepMemory is what an entry of a set takes beside recipes that take so much.
func stepMemory(recipes int64, s *set, e *patchset.Entry) int64 {
	return recipes + s.head.Groups[e.Group].Plain + entryMemory(e)
}

// tooLarge tells whether the step of an entry takes more memory than there is, beside recipes that
// take so much. A way that was chosen does not.
func (w *ways) tooLarge(recipes int64, s *set, e *patchset.Entry) bool {
	most := heapStep
	if w.memory > 0 {
		most = min(most, w.memory-besideUsual)
	}
	return stepMemory(recipes, s, e) > most && !e.Encodes()
}

// choose has each step of a set take the way that runs an encoder again, if there is the memory and
// that is quicker. With delta.ForBytes time does not count. recipes is the memory that these take.
func (w *ways) choose(s *set, recipes int64) {
	for i := range s.step.Entries {
		usual := &s.step.Entries[i]
		other := usual.Other()
		if other == nil {
			continue
		}
		if usual.Encodes() {
			usual, other = other, usual
		}
		saved := w.lacksPieces([]delta.Piece{s.group(usual.Group)}) -
			w.lacksPieces([]delta.Piece{s.group(other.Group)})
		quick := w.optimize == delta.ForBytes && saved > 0 ||
			stepping(w.cpu, slowness(other)-slowness(usual)) < w.meta.line.Carries(saved)
		if stepMemory(recipes, s, other)+besideStep <= w.memory && !s.unusable[other.Group] && quick {
			s.step.Entries[i] = *other
		} else {
			s.step.Entries[i] = *usual
		}
	}
}

// slowness is how many patched bytes take as long as undoing the transform of an entry.
func slowness(e *patchset.Entry) int64 {
	length, effort := e.Rewritten()
	return length * effort.Slow
}

// giveUp has a set do without a group that is damaged on all mirrors, or is of no use otherwise.
// What has another way takes that.
func (s *set) giveUp(group int) {
	s.unusable[group] = true
	for i := range s.step.Entries {
		if e := &s.step.Entries[i]; e.Group == group && e.Encodes() {
			s.step.Entries[i] = *e.Other()
		}
	}
}
