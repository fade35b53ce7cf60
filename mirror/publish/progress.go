package publish

import (
	"context"
	"time"

	"deltaup/mirror"
)

// Progress is how far a stage has come.
type Progress struct {
	Stage Stage
	Of    string // the patch set that it is about, such as "image from 1"; "": none
	Done  int64  // bytes
	Total int64

	Set, Sets int           // which of all patch sets it is, from 1; 0: none
	Left      time.Duration // until all patch sets are made; 0: not known yet
}

// measureFor is how long patch sets have to be in the making before the rest of them is estimated.
const measureFor = 3 * time.Second

// work is all patch sets of a publication. Each has a size in advance, the plain bytes that it has
// to find patches for; the time that those done so far took tells how long the rest takes. Applying
// a set, the search for similar contents and compression count in that time.
type work struct {
	tell  func(Progress) // nil: nobody wants to know
	now   func() time.Time
	begun time.Time
	names []string // of the sets, in the order in which they are made
	size  map[string]int64
	done  int64 // bytes of the sets that are made
	at    int64 // of the one that is being made
}

func newWork(tell func(Progress)) *work {
	return &work{tell: tell, now: time.Now, size: map[string]int64{}}
}

// expect adds a set that will be made.
func (w *work) expect(name string, size int64) {
	w.names = append(w.names, name)
	w.size[name] = size
}

// progress is told how far a stage of a set has come.
func (w *work) progress(s Stage, name string) func(done, total int64) {
	if w.begun.IsZero() {
		w.begun = w.now()
	}
	return func(done, total int64) {
		if s == StagePatch {
			w.size[name], w.at = total, done // now it is known
		}
		if w.tell == nil {
			return
		}
		p := Progress{Stage: s, Of: name, Done: done, Total: total, Sets: len(w.names), Left: w.left()}
		for i, n := range w.names {
			if n == name {
				p.Set = i + 1
			}
		}
		w.tell(p)
	}
}

// finished takes a set off, made or not.
func (w *work) finished(name string) {
	w.done += w.size[name]
	w.at = 0
}

// left estimates when all sets are made; 0 is not known.
func (w *work) left() time.Duration {
	total := int64(0)
	for _, size := range w.size {
		total += size
	}
	ran, done := w.now().Sub(w.begun), w.done+w.at
	if ran < measureFor || done <= 0 || done >= total {
		return 0
	}
	return time.Duration(float64(ran) * float64(total-done) / float64(done))
}

// expect adds the sets that will be made to a goal.
func (p *patching) expect(ctx context.Context, releases []*mirror.Release, g goal) {
	for old := range basesOf(g, releases) {
		p.work.expect(setName(g, old), g.size(ctx, old))
	}
}
