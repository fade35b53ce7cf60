package patchset

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/delta/transform"
	"deltaup/mkimage"
)

const (
	// runTarget is the size of streams, in bytes, at which a run of groups is closed. A longer run
	// compresses better. A shorter one takes less memory to apply.
	runTarget = 8 << 20
	// A group ends at so many bytes of its streams or of the contents that they make. The smaller
	// it is, the sooner it is of use and the fewer bytes come again when it is damaged. Each costs
	// about 60 bytes.
	groupTarget      = 256 << 10
	groupPlainTarget = 8 << 20
)

// Make writes the set that leads from one release to another to w. Equal arguments give equal
// bytes. Make takes less than 2 GiB of memory, whatever the sizes of contents, and room for a
// temporary file of the set's size. It applies every patch before it writes it. Errors are those of
// ctx, w and the contents of both, or wrap chunkstore.ErrCorrupt.
func Make(ctx context.Context, w io.Writer, from, to Side, o MakeOptions) (*Stats, error) {
	m := &maker{
		from: from.Recipe, to: to.Recipe, old: from.Contents, new: to.Contents,
		o: o, cache: cache{o.Cache}, stats: &Stats{},
	}
	if m.o.workers <= 0 {
		m.o.workers = runtime.GOMAXPROCS(0)
	}
	m.room = newRoom(m.o.workers)
	if err := m.run(ctx, w); err != nil {
		return nil, fmt.Errorf("make patch set: %w", err)
	}
	return m.stats, nil
}

// maker makes one set.
type maker struct {
	from, to *mkimage.Recipe
	old, new Contents
	o        MakeOptions
	*listing
	similar  map[*chunkstore.Content]*chunkstore.Content
	shifts   map[string]*transform.Shifts // by kernelsOf
	room     *room
	cache    cache
	progress *teller

	head    Head
	entries []Entry
	groups  []madeGroup // parallel to head.Groups
	open    openRun
	closed  []openRun
	number  int                                     // of the groups of closed runs, all in all
	others  map[*chunkstore.Content]*suffix.Streams // other ways to make contents
	spool   *os.File                                // temporary file of stored groups
	spooled int64
	stats   *Stats
}

// openRun is a run of groups that is being filled. Its streams are compressed as one.
type openRun struct {
	streams suffix.Streams
	groups  []groupEnd
	plain   int64 // bytes of the contents in the last group
	costly  *costly
}

// groupEnd is where a group of a run ends.
type groupEnd struct {
	entries int
	ends    [suffix.NumStreams]int // in each stream
}

// madeGroup is a group that is compressed.
type madeGroup struct {
	stored  []byte // nil: in the spool
	at      int64  // offset in the spool
	entries int
	sizes   []streamSize
	costly  *costly
}

func (m *maker) run(ctx context.Context, w io.Writer) (err error) {
	var renames []rename
	m.listing, renames = listingOf(m.from, m.to)
	search := newSearch(m.from, m.listing)
	m.progress = newTeller(m.o.Progress, m.listing, search)
	m.progress.did(PhaseSearch, 0) // it begins
	m.similar, err = search.run(ctx, m.old, m.new, m.o.workers,
		func(read int64) { m.progress.did(PhaseSearch, read) })
	if err != nil {
		return err
	}
	m.progress.ended(PhaseSearch)
	if err := m.learn(ctx); err != nil {
		return err
	}
	if m.spool, err = os.CreateTemp("", "patchset"); err != nil {
		return err
	}
	defer func() {
		m.spool.Close() // nobody reads it again
		if e := os.Remove(m.spool.Name()); err == nil {
			err = e
		}
	}()
	if err := m.work(ctx, len(m.contents)); err != nil {
		return err
	}
	m.progress.ended(PhaseCompress)
	m.leaveOut()
	if err := m.addOthers(ctx); err != nil {
		return err
	}
	return m.write(w, renames)
}

// add puts the patches of content i into groups. c is nil when the set does not have it.
func (m *maker) add(i int, c *candidate) {
	if c == nil {
		return
	}
	older := m.o.version != 0 && m.o.version < versionRuns
	alone := m.costly(c)
	apart := alone != nil || m.o.StepsApart && c.entries[0].Stepped()
	if apart {
		m.close()
	}
	for n := range c.entries {
		s := &c.streams[n]
		if len(m.open.groups) > 0 && m.open.streams.Len()+s.Len() > runTarget {
			m.close()
		}
		m.open.costly = alone
		m.open.add(s, c.entries[n].Length, apart || m.o.Large || older)
		c.entries[n].Group = m.number + len(m.open.groups) - 1
	}
	if apart {
		m.close()
	}
	if c.other != nil {
		if m.others == nil {
			m.others = make(map[*chunkstore.Content]*suffix.Streams)
		}
		m.others[c.entries[0].Content] = c.other
	}
	m.entries = append(m.entries, c.entries...)
	e := &c.entries[0]
	m.stats.Entries = append(m.stats.Entries, EntryStats{
		Path: m.paths[i], Content: e.Content,
		BasePath:  m.oldPaths[e.Base],
		Transform: e.Transform, Cost: c.cost,
	})
}

// add puts the patch of an entry that makes so many bytes into the run's last group, or into a new
// one unless all of the run is one group.
func (r *openRun) add(s *suffix.Streams, plain int64, one bool) {
	last := len(r.groups) - 1
	if last >= 0 && !one {
		size := r.streams.Len()
		if last > 0 {
			size -= r.groups[last-1].size()
		}
		if size+s.Len() > groupTarget || r.plain+plain > groupPlainTarget {
			last = len(r.groups)
		}
	}
	if last == len(r.groups) || last < 0 {
		r.groups, r.plain, last = append(r.groups, groupEnd{}), 0, len(r.groups)
	}
	r.streams.Append(s)
	r.plain += plain
	g := &r.groups[last]
	g.entries++
	for i := range r.streams {
		g.ends[i] = len(r.streams[i])
	}
}

// size is how many bytes of all streams come before the end.
func (e *groupEnd) size() (n int) {
	for _, end := range e.ends {
		n += end
	}
	return n
}

func (m *maker) close() {
	if len(m.open.groups) == 0 {
		return
	}
	m.number += len(m.open.groups)
	m.closed = append(m.closed, m.open)
	m.open = openRun{}
}
