package patchset

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
)

const (
	// aheadMax is how many bytes of streams wait at most until those of the contents before them
	// are made, or until they are compressed, before no further content is begun.
	aheadMax = 64 << 20
	// heldMax is how many contents wait for room at most. Each keeps what it has read.
	heldMax = 2
)

// work makes the patches of contents and compresses their runs, on all processors at once: while
// contents are matched, the runs of those before them are compressed. What it makes does not depend
// on which is done first. All of it is guarded by room.mu.
type work struct {
	*maker
	begun int          // contents
	added int          // contents whose patches are in runs
	found []*candidate // by content; nil: not made, added already, or there is none
	made  []bool       // by content
	ahead int64        // bytes of streams in found and in closed runs

	closed  []*closedRun // that are not written, in order
	streams []runStream  // of these, that are not begun
}

// closedRun is a run that is compressed, stream by stream.
type closedRun struct {
	openRun
	cut  [suffix.NumStreams]cutStream
	left int // streams that are not compressed yet
	made []madeGroup
}

// runStream is one stream of a run.
type runStream struct {
	of *closedRun
	k  int
}

// work does what there is to do for the first n contents, and for the runs that are closed.
func (m *maker) work(ctx context.Context, n int) error {
	w := &work{maker: m, found: make([]*candidate, n), made: make([]bool, n)}
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, m.room.wake)
	defer stop()
	if err := w.begin(); err != nil {
		return err
	}
	for range m.o.workers + heldMax {
		g.Go(func() error { return w.run(ctx) })
	}
	return g.Wait()
}

// run does one thing after another until all is done.
func (w *work) run(ctx context.Context) error {
	r := w.room
	r.mu.Lock()
	defer r.mu.Unlock()
	for ctx.Err() == nil && !w.done() {
		if r.idle > 0 {
			if do := w.next(); do != nil {
				r.idle--
				r.mu.Unlock()
				err := do(ctx)
				r.mu.Lock()
				r.idle++
				r.changed.Broadcast()
				if err != nil {
					return err
				}
				continue
			}
		}
		r.changed.Wait()
	}
	return ctx.Err()
}

func (w *work) done() bool {
	return w.added == len(w.found) && len(w.closed) == 0 && len(w.maker.closed) == 0
}

// next gives what can be done now, nil when there is nothing. What makes room comes first.
func (w *work) next() func(ctx context.Context) error {
	if len(w.streams) > 0 {
		s := w.streams[0]
		if bytes := coderRoom(len(s.of.streams[s.k])); w.room.fits(bytes) {
			w.streams = w.streams[1:]
			w.room.left -= bytes
			return func(context.Context) error { return w.compress(s, bytes) }
		}
	}
	if w.begun < len(w.found) && w.ahead < aheadMax && w.room.waiting < heldMax {
		i := w.begun
		w.begun++
		return func(ctx context.Context) error { return w.content(ctx, i) }
	}
	return nil
}

// content makes the patches of content i, and adds what can be added.
func (w *work) content(ctx context.Context, i int) error {
	c, err := w.best(ctx, i)
	if err != nil {
		return err
	}
	w.room.mu.Lock()
	defer w.room.mu.Unlock()
	w.found[i], w.made[i] = c, true
	w.ahead += c.size()
	for w.added < len(w.made) && w.made[w.added] {
		c := w.found[w.added]
		w.ahead -= c.size()
		w.add(w.added, c)
		w.found[w.added] = nil
		if w.added++; w.added == len(w.found) {
			w.close()
		}
	}
	return w.take()
}

// begin takes up the runs that were closed before.
func (w *work) begin() error {
	w.room.mu.Lock()
	defer w.room.mu.Unlock()
	return w.take()
}

// take takes up the runs that are closed.
func (w *work) take() (err error) {
	for _, r := range w.maker.closed {
		c := &closedRun{openRun: r}
		w.closed = append(w.closed, c)
		w.ahead += int64(c.streams.Len())
		for k, s := range c.streams {
			if len(s) > 0 {
				c.left++
				w.streams = append(w.streams, runStream{c, k})
			}
		}
		if c.left == 0 { // another way that there is not
			if c.made, err = c.assemble(c.cut); err != nil {
				return err
			}
		}
	}
	w.maker.closed = nil
	w.room.changed.Broadcast()
	return w.write()
}

// compress compresses a stream. It gives back the room that was taken for it.
func (w *work) compress(s runStream, room int64) error {
	cut, err := s.of.code(s.k, w.cache, func(n int) { w.progress.did(PhaseCompress, int64(n)) })
	if w.coded(s, cut, room) || err != nil {
		return err
	}
	made, err := s.of.assemble(s.of.cut)
	if err != nil {
		return err
	}
	w.room.mu.Lock()
	defer w.room.mu.Unlock()
	w.ahead -= int64(s.of.streams.Len())
	s.of.made, s.of.streams = made, suffix.Streams{}
	return w.write()
}

// coded notes a stream that is compressed. It tells whether there are others left of the run.
func (w *work) coded(s runStream, cut cutStream, room int64) (others bool) {
	w.room.mu.Lock()
	defer w.room.mu.Unlock()
	w.room.left += room
	s.of.cut[s.k] = cut
	s.of.left--
	return s.of.left > 0
}

// write writes the runs that are compressed, unless one before them is not.
func (w *work) write() error {
	for len(w.closed) > 0 && w.closed[0].made != nil {
		if err := w.store(w.closed[0].made); err != nil {
			return err
		}
		w.closed = w.closed[1:]
	}
	return nil
}

// store writes the groups of a run to the spool.
func (m *maker) store(groups []madeGroup) error {
	for i, g := range groups {
		if len(g.stored) > groupMax {
			return fmt.Errorf("a group of %d bytes", len(g.stored))
		}
		if _, err := m.spool.Write(g.stored); err != nil {
			return err
		}
		ref := GroupRef{Length: int64(len(g.stored)), Hash: chunkstore.Sum(g.stored), GoesOn: i > 0}
		for _, s := range g.sizes {
			ref.Plain += int64(s.plain)
		}
		m.head.Groups = append(m.head.Groups, ref)
		g.at, g.stored = m.spooled, nil
		m.groups = append(m.groups, g)
		m.spooled += ref.Length
	}
	return nil
}
