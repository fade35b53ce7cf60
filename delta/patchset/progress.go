package patchset

import (
	"sync"

	"deltaup/mkimage"
)

// Phase is a part of making a set that takes time.
type Phase int

// The phases. The search is the first. The other two take turns, batch by batch.
const (
	PhaseSearch   Phase = iota // read contents to find bases for those that have no likely one
	PhaseMatch                 // make patches
	PhaseCompress              // compress groups of patches

	Phases int = iota
)

// Amounts is how many bytes each phase goes through: of contents, and PhaseCompress of the streams
// of their patches. The former follow from the two recipes. The latter are estimated until all
// patches are made.
type Amounts [Phases]int64

// AmountsOf gives the amounts of a set in advance.
func AmountsOf(from, to *mkimage.Recipe) Amounts {
	l, _ := listingOf(from, to)
	return amountsOf(l, newSearch(from, l))
}

func amountsOf(l *listing, s search) (a Amounts) {
	a[PhaseSearch] = s.size()
	for _, c := range l.contents {
		a[PhaseMatch] += c.Size
	}
	a[PhaseCompress] = a[PhaseMatch] / streamShare
	return a
}

const (
	// streamShare is how many bytes of contents usually become one byte of streams.
	streamShare = 8
	// After so many bytes of contents, what they became counts as much as what is usual.
	streamsUsual = 1 << 20
)

// Progress is how far a phase has come.
type Progress struct {
	Phase Phase
	Done  int64 // bytes of the phase's amount: all at its end
	All   Amounts
}

// teller tells somebody how far phases have come. Several goroutines use it.
type teller struct {
	tell func(Progress) // nil: nobody wants to know

	mu      sync.Mutex
	all     Amounts
	done    Amounts
	streams int64 // bytes that contents became so far
}

// did adds to what a phase has done.
func (t *teller) did(p Phase, bytes int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(p, bytes)
}

// add is did for a caller that holds mu.
func (t *teller) add(p Phase, bytes int64) {
	t.done[p] += bytes
	if t.tell != nil {
		t.tell(Progress{p, t.done[p], t.all})
	}
}

// matched says that so many bytes of contents have become so many of streams.
func (t *teller) matched(plain, streams int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.streams += streams
	done := t.done[PhaseMatch] + plain
	share := float64(t.streams+streamsUsual/streamShare) / float64(done+streamsUsual)
	t.all[PhaseCompress] = t.streams + int64(share*float64(t.all[PhaseMatch]-done))
	t.add(PhaseMatch, plain)
}

// within tells how far a content of so many bytes has come whose patch takes long: each call of
// step takes off a third of what is left of it, and end all, when it has become streams.
func (t *teller) within(plain int64) *within { return &within{t, plain} }

type within struct {
	to   *teller
	left int64
}

func (w *within) step() {
	const worthTelling = 1 << 20
	third := w.left / 3
	if third < worthTelling {
		return
	}
	w.left -= third
	w.to.did(PhaseMatch, third)
}

func (w *within) end(streams int64) { w.to.matched(w.left, streams) }

// ended says that a phase has done all, also what it found to be needless.
func (t *teller) ended(p Phase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(p, t.all[p]-t.done[p])
}
