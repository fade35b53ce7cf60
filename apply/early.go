package apply

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"deltaup/apply/state"
	"deltaup/chunkstore"
	"deltaup/delta"
)

// Early is what is found out about the seeds before the release is known, while an answer of the
// mirror is on its way. It saves time and nothing else: what goes wrong is found out once more by
// [Prepare], and told there.
type Early struct {
	stored bool // stored blocks may be the quickest
	open   int  // see Connections
	cancel context.CancelFunc
	steps  []func()      // to be taken
	ended  chan struct{} // closed when nothing more is found out; nil: it has not begun
	scans  map[string]*early[pieceScan]
	seeds  map[string]*early[seed]
}

// early is something that is being found out.
type early[T any] struct {
	done  chan struct{} // closed when it is known
	value *T            // nil: there is nothing of use, or it was taken
}

// filesUpTo is the rate, in bytes per second, of a line on which no machine is quicker with the
// files in the seeds than without: 1 Gbit/s carries an image in the time in which it is written.
const filesUpTo = 100e6

// NewEarly makes the early work on the seeds of r, of which it also takes the line, the state
// folder, and what is wanted. Put it into r, begin it when there is something to be pulled, and
// close it when [Prepare] is not called. Of seeds that are images it reads what the routes will
// want for sure: the stored bytes on a fast line, see WantsBlockmap; and the recipe, if it is kept,
// with how quickly the seed's blocks are compressed here.
func NewEarly(ctx context.Context, r *Request) *Early {
	ctx, cancel := context.WithCancel(ctx)
	e := &Early{
		cancel: cancel,
		scans:  map[string]*early[pieceScan]{},
		seeds:  map[string]*early[seed]{},
	}
	if e.stored = r.wantsBlockmap(); e.stored {
		e.open = cmp.Or(r.Parallel, delta.DefaultParallel)
	}
	seeds := slices.Compact(slices.Sorted(slices.Values(r.Seeds)))
	if e.stored {
		for _, path := range seeds {
			e.add(enter(e.scans, path, func() *pieceScan { return scanEarly(ctx, path) }))
		}
	}
	if r.Line.Rate < filesUpTo && r.Copy == "" && r.Route != "blocks" && r.Route != "whole" {
		kept := state.RecipesOf(r.StateDir)
		for _, path := range seeds {
			e.add(enter(e.seeds, path, func() *seed { return openKept(ctx, path, kept) }))
		}
	}
	return e
}

// wantsBlockmap tells whether the release's block map is likely to be needed: on a line that is
// told to be so fast that the whole image may be there before the seeds are read.
func (r *Request) wantsBlockmap() bool {
	return r.Line.Rate >= probeFrom && r.Optimize != delta.ForBytes && len(r.Seeds) > 0 &&
		(r.Route == "" || r.Route == "blocks")
}

// WantsBlockmap tells whether the release's block map is likely to be needed. Then it should come
// with what else is known of the release.
func (e *Early) WantsBlockmap() bool { return e.stored }

// Connections is how many connections should be open when there is a plan; 0: one or two do.
func (e *Early) Connections() int { return e.open }

func (e *Early) add(step func()) { e.steps = append(e.steps, step) }

// Begin begins the work, once. Nothing has been found out when it is not called.
func (e *Early) Begin() {
	if e.ended != nil {
		return
	}
	e.ended = make(chan struct{})
	go func() {
		defer close(e.ended)
		for _, step := range e.steps {
			step()
		}
	}()
}

// enter enters what find is going to find out about a seed. Step finds it out.
func enter[T any](all map[string]*early[T], path string, find func() *T) (step func()) {
	x := &early[T]{done: make(chan struct{})}
	all[path] = x
	return func() {
		x.value = find()
		close(x.done)
	}
}

// look waits for what is found out about a seed; nil: nothing of use.
func (x *early[T]) look() *T {
	if x == nil {
		return nil
	}
	<-x.done
	return x.value
}

// take is look for who closes it.
func (x *early[T]) take() *T {
	value := x.look()
	if value != nil {
		x.value = nil
	}
	return value
}

// scan gives the pieces of a seed, once; nil when they are not known.
func (e *Early) scan(path string) *pieceScan {
	if e == nil || e.ended == nil {
		return nil
	}
	return e.scans[path].take()
}

// seed gives a seed whose recipe was kept, once; nil when it is not open.
func (e *Early) seed(path string) *seed {
	if e == nil || e.ended == nil {
		return nil
	}
	return e.seeds[path].take()
}

// speed tells how quickly blocks of a seed are compressed; nil when that is not known.
func (e *Early) speed(path string) *speed {
	if e == nil || e.ended == nil {
		return nil
	}
	if s := e.seeds[path].look(); s != nil {
		return s.speed
	}
	return nil
}

// Close ends the work, and closes what nobody has taken. It may be called again. E may be nil.
func (e *Early) Close() error {
	if e == nil {
		return nil
	}
	e.cancel()
	if e.ended == nil {
		return nil
	}
	<-e.ended
	var err error
	for _, x := range e.scans {
		if s := x.take(); s != nil {
			err = errors.Join(err, s.medium.Close())
		}
	}
	for _, x := range e.seeds {
		if s := x.take(); s != nil {
			err = errors.Join(err, s.close())
		}
	}
	return err
}

// scanEarly scans a seed in which all can be read.
func scanEarly(ctx context.Context, path string) *pieceScan {
	s, err := scanPieces(ctx, path, &events{})
	if err != nil || s.bad > 0 || s.image == nil || s.medium.lost.Load() > 0 {
		if s != nil {
			s.medium.Close() // read only
		}
		return nil
	}
	return s
}

// openKept opens a seed that begins with an image whose recipe is kept, and measures with it how
// quickly this machine compresses. What is odd about a seed [Prepare] tells.
func openKept(ctx context.Context, path string, kept state.Recipes) *seed {
	f, err := openMedium(path)
	if err != nil {
		return nil
	}
	s := &seed{path: path, f: f}
	s.image, err = imageAtStart(f, f.size())
	if err != nil || s.image == nil || !kept.Has(s.image) ||
		s.read(ctx, chunkstore.Params{}, &kept, &events{}) != nil || s.keptAs.IsZero() ||
		len(s.derived.Unreadable) > 0 || f.lost.Load() > 0 {
		f.Close() // read only
		return nil
	}
	s.speed = s.measure(ctx)
	return s
}
