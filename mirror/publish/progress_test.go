package publish

import (
	"testing"
	"time"

	"deltaup/delta/patchset"
)

// worker makes sets on a clock of its own. A byte of each step costs it some time.
type worker struct {
	*work
	t       *testing.T
	clock   time.Time
	reports []Progress
	at      []time.Time // when each came
}

func newWorker(t *testing.T) *worker {
	w := &worker{t: t, clock: time.Unix(1e9, 0)}
	w.work = newWork(func(p Progress) {
		if n := len(w.reports); n > 0 && p.Share < w.reports[n-1].Share {
			t.Errorf("the share fell: %+v after %+v", p, w.reports[n-1])
		}
		if p.Share < 0 || p.Share > 1 || p.Left < 0 {
			t.Errorf("%+v", p)
		}
		w.reports = append(w.reports, p)
		w.at = append(w.at, w.clock)
	})
	w.now = func() time.Time { return w.clock }
	return w
}

func (w *worker) last() Progress { return w.reports[len(w.reports)-1] }

// pieces is how many reports a step of make gives.
const pieces = 8

// make makes a set: bytes are its amounts, costs the nanoseconds of a byte of each step. It demands
// that the share grows with each piece, whatever the step.
func (w *worker) make(bytes patchset.Amounts, costs [patchset.Phases]float64) {
	w.t.Helper()
	w.begins()
	grows := func(at patchset.Phase, n int64, tell func(done int64)) {
		w.t.Helper()
		before := w.share
		w.clock = w.clock.Add(time.Duration(float64(bytes[at]) / pieces * costs[at]))
		tell(bytes[at] * n / pieces)
		p := w.last()
		if p.Stage != stageOf[at] || p.Done != bytes[at]*n/pieces || p.Total != bytes[at] {
			w.t.Errorf("step %d, piece %d: %+v", at, n, p)
		}
		if bytes[at] > 0 && p.Share <= before {
			w.t.Errorf("set %d, step %d, piece %d: the share stands still at %v", w.set, at, n, before)
		}
	}
	for n := range int64(pieces) {
		grows(patchset.PhaseSearch, n+1, func(done int64) {
			w.making(patchset.Progress{Phase: patchset.PhaseSearch, Done: done, All: bytes})
		})
	}
	for n := range int64(pieces) { // batch by batch
		for _, p := range []patchset.Phase{patchset.PhaseMatch, patchset.PhaseCompress} {
			grows(p, n+1, func(done int64) {
				w.making(patchset.Progress{Phase: p, Done: done, All: bytes})
			})
		}
	}
	for n := range int64(pieces) {
		grows(patchset.PhaseApply, n+1, func(done int64) { w.proving(done, bytes[patchset.PhaseApply]) })
	}
	w.finished()
}

// TestWorkShare makes sets on machines whose steps take other times than usual. The share moves in
// each step, never falls and ends at 1. Once the first set has shown what each step costs, what is
// said to be left is no more than a quarter off.
func TestWorkShare(t *testing.T) {
	times := func(search, match, compress, prove float64) (c [patchset.Phases]float64) {
		for i, n := range [patchset.Phases]float64{search, match, compress, prove} {
			c[i] = n * usual[i]
		}
		return c
	}
	const mb = 1 << 20
	image := patchset.Amounts{500 * mb, 80 * mb, 80 * mb, 80 * mb}
	another := patchset.Amounts{450 * mb, 120 * mb, 120 * mb, 115 * mb}
	plain := patchset.Amounts{0, 60 * mb, 60 * mb, 60 * mb} // nothing to search
	initrd := patchset.Amounts{3 * mb, 2 * mb, 2 * mb, 2 * mb}
	for what, costs := range map[string][patchset.Phases]float64{
		"usual":               times(1, 1, 1, 1),
		"slow":                times(9, 9, 9, 9),
		"fast":                times(0.1, 0.1, 0.1, 0.1),
		"slow disk":           times(10, 1, 1, 10),
		"many processors":     times(1, 0.1, 0.1, 1),
		"patches take long":   times(1, 4, 1, 1),
		"compression is long": times(1, 1, 4, 1),
	} {
		t.Run(what, func(t *testing.T) {
			w := newWorker(t)
			sets := []patchset.Amounts{image, another, plain, initrd}
			for i, s := range sets {
				w.expect([]string{"a", "b", "c", "d"}[i], s)
			}
			for _, s := range sets {
				w.make(s, costs)
			}
			if p := w.last(); p.Share != 1 || p.Left != 0 || p.Set != 4 || p.Sets != 4 || p.Of != "d" {
				t.Errorf("the end: %+v", p)
			}
			for i, p := range w.reports {
				left := w.clock.Sub(w.at[i])
				if p.Set == 1 || w.at[i].Sub(w.begun) < measureFor || left < time.Second {
					continue
				}
				if p.Left > left*5/4 || p.Left < left*3/4 {
					t.Errorf("at a share of %.2f: %v left, really %v", p.Share, p.Left, left)
				}
			}
		})
	}
}

// TestWorkEarly: nothing is said to be left before something was measured.
func TestWorkEarly(t *testing.T) {
	w := newWorker(t)
	all := patchset.Amounts{1 << 20, 1 << 20, 1 << 20}
	w.expect("a", all)
	w.begins()
	w.making(patchset.Progress{Phase: patchset.PhaseSearch, Done: 1 << 18, All: all})
	if p := w.last(); p.Left != 0 || p.Share <= 0 {
		t.Errorf("at once: %+v", p)
	}
	w.clock = w.clock.Add(measureFor)
	w.making(patchset.Progress{Phase: patchset.PhaseSearch, Done: 1 << 19, All: all})
	if p := w.last(); p.Left == 0 {
		t.Errorf("later: %+v", p)
	}
}

// TestWorkUnmade: a set that cannot be made is taken off, also the last one. One of which nothing
// was known in advance does no harm.
func TestWorkUnmade(t *testing.T) {
	const mb = 1 << 20
	half := patchset.Amounts{0, mb, mb, mb}
	w := newWorker(t)
	for _, name := range []string{"made", "unknown", "unmade", "broken off"} {
		if name == "unknown" {
			w.expect(name, patchset.Amounts{})
		} else {
			w.expect(name, half)
		}
	}
	w.make(half, usual)
	third := w.last().Share
	w.make(half, usual)
	w.begins()
	w.finished()
	if p := w.last(); p.Of != "unmade" || p.Share < third+0.3 || p.Share > 0.8 {
		t.Errorf("without a set: %+v", p)
	}
	w.begins()
	w.making(patchset.Progress{Phase: patchset.PhaseMatch, Done: mb / 2, All: half})
	if p := w.last(); p.Share >= 1 {
		t.Errorf("before the end: %+v", p)
	}
	w.finished()
	if p := w.last(); p.Share != 1 || p.Of != "broken off" || p.Stage != StagePatch {
		t.Errorf("the end: %+v", p)
	}

	w = newWorker(t)
	w.expect("unknown", patchset.Amounts{})
	w.begins()
	w.finished()
	if p := w.last(); p.Share != 1 {
		t.Errorf("nothing to do: %+v", p)
	}
}

// TestWorkMore does more than was estimated. The share stays within 1, and what is left above 0.
func TestWorkMore(t *testing.T) {
	w := newWorker(t)
	w.expect("image from 1", patchset.Amounts{10, 100, 10})
	w.begins()
	for n := range int64(30) {
		w.clock = w.clock.Add(time.Second)
		w.making(patchset.Progress{
			Phase: patchset.PhaseCompress, Done: 10 * n, All: patchset.Amounts{10, 100, 10},
		})
	}
	if w.share >= 1 {
		t.Errorf("the share is %v before the other steps", w.share)
	}
	w.finished()
	if w.share != 1 {
		t.Errorf("the share is %v at the end", w.share)
	}
}
