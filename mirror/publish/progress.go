package publish

import (
	"context"
	"math"
	"time"

	"deltaup/delta/patchset"
	"deltaup/mirror"
)

// Progress is how far a stage has come.
type Progress struct {
	Stage Stage
	Of    string // the patch set that it is about, such as "image from 1"; "": none
	Done  int64  // bytes; of a patch set as patchset.Amounts counts them
	Total int64

	Set, Sets int // which of all patch sets it is, from 1; 0: none
	// Share is how much of the work on all patch sets is done, from 0 to 1. It never falls.
	Share float64
	Left  time.Duration // until all patch sets are made; 0: not known yet
}

var stageOf = [patchset.Phases]Stage{
	patchset.PhaseSearch:   StageSearch,
	patchset.PhaseMatch:    StagePatch,
	patchset.PhaseCompress: StageCompress,
	patchset.PhaseApply:    StageProve,
}

// usual is how many nanoseconds a phase takes for a byte, as measured on trees of Debian with two
// processors. Only the proportions matter once a publication has measured its own.
var usual = [patchset.Phases]float64{
	patchset.PhaseSearch:   12,
	patchset.PhaseMatch:    100,
	patchset.PhaseCompress: 2000,
	patchset.PhaseApply:    16,
}

const (
	// measureFor is how long patch sets have to be in the making before the rest of them is
	// estimated.
	measureFor = 3 * time.Second
	// After so long of usual work, what was measured of a machine counts as much as what is usual.
	usualFor = time.Second
	// After so many nanoseconds of a phase's usual work, what was measured of it counts as much as
	// what is usual.
	usualPhase = float64(time.Second)
	// halfLife is after how long it counts half for the time that is left how fast work went:
	// others use the machine, too.
	halfLife = time.Minute
)

// work is all patch sets of a publication. Each phase of each set has an amount of bytes that is
// known in advance, or estimated and soon corrected. How long a byte of each phase takes is measured
// as the work goes on. Together they tell how long the rest takes, and what share of all work
// something is.
type work struct {
	tell  func(Progress) // nil: nobody wants to know
	now   func() time.Time
	begun time.Time
	last  time.Time // when work was done last
	sets  []setWork // in the order in which they are made
	set   int       // how many of them were begun
	share float64   // Progress.Share

	took  [patchset.Phases]float64 // ns
	bytes [patchset.Phases]float64 // that were done in that time
	// the same of late
	lateTook  float64
	lateBytes [patchset.Phases]float64
}

// setWork is the work on one set.
type setWork struct {
	name      string
	all, done patchset.Amounts
	at        patchset.Phase // the one that was told of last
}

func newWork(tell func(Progress)) *work { return &work{tell: tell, now: time.Now} }

// expect adds a set that will be made.
func (w *work) expect(name string, a patchset.Amounts) {
	w.sets = append(w.sets, setWork{name: name, all: a})
}

// begins takes up the next of the expected sets.
func (w *work) begins() {
	if w.set == 0 {
		w.begun = w.now()
		w.last = w.begun
	}
	w.set++
}

// current is the set that is being made.
func (w *work) current() *setWork { return &w.sets[w.set-1] }

// making is told how far making the set has come.
func (w *work) making(p patchset.Progress) {
	w.current().all = p.All
	// until their patches are made, those of the sets to come seem to compress like these
	if matched := p.All[patchset.PhaseMatch]; matched > 0 {
		share := float64(p.All[patchset.PhaseCompress]) / float64(matched)
		for i := range w.sets[w.set:] {
			all := &w.sets[w.set+i].all
			all[patchset.PhaseCompress] = int64(share * float64(all[patchset.PhaseMatch]))
		}
	}
	w.did(p.Phase, p.Done)
}

// proving is told how far applying the set has come.
func (w *work) proving(done, total int64) {
	w.current().all[patchset.PhaseApply] = total
	w.did(patchset.PhaseApply, done)
}

// did is told how many bytes of the set a phase has done.
func (w *work) did(at patchset.Phase, done int64) {
	s, now := w.current(), w.now()
	if n := done - s.done[at]; n > 0 { // else the time went into what has no measure
		ns := float64(now.Sub(w.last))
		fade := math.Exp2(-ns / float64(halfLife))
		w.lateTook *= fade
		for i := range w.lateBytes {
			w.lateBytes[i] *= fade
		}
		w.took[at] += ns
		w.bytes[at] += float64(n)
		w.lateTook += ns
		w.lateBytes[at] += float64(n)
	}
	w.last, s.at = now, at
	w.advance(func() { s.done[at] = done })
	w.report()
}

// finished takes the set off, made or not.
func (w *work) finished() {
	s, share := w.current(), w.share
	if w.advance(func() { s.done = s.all }); w.share > share {
		w.report()
	}
}

// advance raises the share by what of the rest some progress takes off. A change of the costs
// alters how fast the share grows from then on, and not what it is.
func (w *work) advance(progress func()) {
	costs := w.costs()
	before := w.rest(costs)
	progress()
	after := w.rest(costs)
	switch {
	case after == 0:
		w.share = 1
	case after < before:
		w.share += (1 - w.share) * (before - after) / before
	}
}

// costs gives the nanoseconds that a byte of each phase takes.
func (w *work) costs() (c [patchset.Phases]float64) {
	took, expected := float64(usualFor), float64(usualFor)
	for i := range c {
		took += w.took[i]
		expected += w.bytes[i] * usual[i]
	}
	slow := took / expected
	for i := range c {
		c[i] = (w.took[i] + usualPhase*slow) / (w.bytes[i] + usualPhase/usual[i])
	}
	return c
}

// rest gives the nanoseconds that the rest takes.
func (w *work) rest(costs [patchset.Phases]float64) (ns float64) {
	for i := range w.sets {
		s := &w.sets[i]
		for k, cost := range costs {
			ns += float64(max(0, s.all[k]-s.done[k])) * cost // all may be an estimate
		}
	}
	return ns
}

// left is how long the rest takes at the pace of late.
func (w *work) left() time.Duration {
	costs := w.costs()
	late := float64(usualFor)
	for i, cost := range costs {
		late += w.lateBytes[i] * cost
	}
	return time.Duration(w.rest(costs) * (w.lateTook + float64(usualFor)) / late)
}

func (w *work) report() {
	if w.tell == nil {
		return
	}
	s := w.current()
	p := Progress{
		Stage: stageOf[s.at], Of: s.name, Done: s.done[s.at], Total: s.all[s.at],
		Set: w.set, Sets: len(w.sets), Share: w.share,
	}
	if w.now().Sub(w.begun) >= measureFor {
		p.Left = w.left()
	}
	w.tell(p)
}

// expect adds the sets that will be made to a goal.
func (p *patching) expect(ctx context.Context, releases []*mirror.Release, g goal) {
	for old := range basesOf(g, releases) {
		// What cannot be read is 0. The warning comes when the set is made.
		amounts, _ := g.amounts(ctx, old)
		p.work.expect(setName(g, old), amounts)
	}
}
