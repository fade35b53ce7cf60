package patchset

import (
	"strings"
	"sync"

	"deltaup/delta/transform"
	"deltaup/mkimage"
)

// Phase is a part of making a set that takes time.
type Phase int

// The phases. The search is the first. The next two take turns, batch by batch. PhaseApply is no
// part of Make, but of who proves a set.
const (
	PhaseSearch   Phase = iota // read contents to find bases for those that have no likely one
	PhaseMatch                 // make patches
	PhaseCompress              // compress groups of patches
	PhaseApply                 // make contents from the patches

	Phases int = iota
)

// Amounts is how many bytes each phase goes through: of contents, and PhaseCompress of the streams
// of their patches, without those that are compressed already. The former follow from the two
// recipes. The latter are estimated until all is done. PhaseMatch and PhaseApply count the bytes of
// a .xz file several times, as it takes so much longer.
type Amounts [Phases]int64

// A byte of a .xz file takes as long as so many of another file: it is unpacked, and packed again
// by the encoder that made it. Measured with the modules of Debian 13.
const (
	matchXZ = 25
	applyXZ = 130
)

// AmountsOf gives the amounts of a set in advance.
func AmountsOf(from, to *mkimage.Recipe) Amounts {
	l, _ := listingOf(from, to)
	return amountsOf(l, newSearch(from, l))
}

func amountsOf(l *listing, s search) (a Amounts) {
	a[PhaseSearch] = s.size()
	for i, c := range l.contents {
		a[PhaseMatch] += l.matchWork(i)
		a[PhaseCompress] += c.Size
		if l.isXZ(i) {
			a[PhaseApply] += c.Size * applyXZ
		} else {
			a[PhaseApply] += c.Size
		}
	}
	a[PhaseCompress] /= streamShare
	return a
}

// isXZ tells by its name whether content i is a .xz file that an encoder may make again.
func (l *listing) isXZ(i int) bool {
	return l.contents[i].Size <= PieceMax && strings.HasSuffix(l.paths[i], ".xz")
}

// matchWork is content i's share in the amount of PhaseMatch.
func (l *listing) matchWork(i int) int64 {
	if l.isXZ(i) {
		return l.contents[i].Size * matchXZ
	}
	return l.contents[i].Size
}

// Work is the entry's share in the amount of PhaseApply.
func (e *Entry) Work() int64 {
	if t, ok := transform.ByID(e.Transform); ok && transform.EffortOf(t).Slow > 1 {
		return e.Length * applyXZ
	}
	return e.Length
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
	Done  int64 // of the phase's amount: all at its end
	All   Amounts
}

// teller tells somebody how far phases have come. Several goroutines use it.
type teller struct {
	tell func(Progress) // nil: nobody wants to know

	mu   sync.Mutex
	all  Amounts
	done Amounts

	contents int64 // bytes of all contents
	became   int64 // of those that have become streams
	streams  int64 // bytes of these, as coded has them
}

func newTeller(tell func(Progress), l *listing, s search) *teller {
	t := &teller{tell: tell, all: amountsOf(l, s)}
	for _, c := range l.contents {
		t.contents += c.Size
	}
	return t
}

// did adds to what a phase has done.
func (t *teller) did(p Phase, work int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(p, work)
}

// add is did for a caller that holds mu.
func (t *teller) add(p Phase, work int64) {
	t.done[p] += work
	t.all[p] = max(t.all[p], t.done[p])
	if t.tell != nil {
		t.tell(Progress{p, t.done[p], t.all})
	}
}

// coded gives how many of n bytes of streams a coder takes: none when it makes about as many of
// them, by an estimate.
func coded(n, estimated int64) int64 {
	if estimated > n-n/100 {
		return 0
	}
	return n
}

// matched says that so many bytes of contents have become so many of streams, as coded has them,
// and that this is so much of PhaseMatch.
func (t *teller) matched(plain, streams, work int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.became += plain
	t.streams += streams
	share := float64(t.streams+streamsUsual/streamShare) / float64(t.became+streamsUsual)
	t.all[PhaseCompress] = t.streams + int64(share*float64(t.contents-t.became))
	t.add(PhaseMatch, work)
}

// within tells how far a content of so many bytes has come whose patch takes long: each call of
// step takes off a third of what is left of its work, and end all, when it has become streams.
func (t *teller) within(plain, work int64) *within { return &within{t, plain, work} }

type within struct {
	to    *teller
	plain int64
	left  int64 // work
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

func (w *within) end(streams int64) { w.to.matched(w.plain, streams, w.left) }

// ended says that a phase has done all, also what it found to be needless.
func (t *teller) ended(p Phase) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(p, t.all[p]-t.done[p])
}
