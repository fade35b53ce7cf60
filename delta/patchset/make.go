package patchset

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
	"deltaup/delta/transform"
	"deltaup/mkimage"
)

const (
	// groupTarget is the size of streams, in bytes, at which a group is closed. A larger group
	// compresses better. A smaller one takes less memory to apply and fewer bytes to fetch again.
	groupTarget = 8 << 20
	// batchSize is the plain bytes of the contents whose patches are made before their groups are
	// compressed. It bounds the memory.
	batchSize = 192 << 20
)

// Make writes the set that leads from one release to another to w. Equal arguments give equal
// bytes. Make takes less than 2 GiB of memory, whatever the sizes of contents, and room for a
// temporary file of the set's size. It applies every patch before it writes it. Errors are those of
// ctx, w and the contents of both, or wrap chunkstore.ErrCorrupt.
func Make(ctx context.Context, w io.Writer, from, to Side, o MakeOptions) (*Stats, error) {
	m := &maker{
		from: from.Recipe, to: to.Recipe, old: from.Contents, new: to.Contents,
		o: o, room: newRoom(), stats: &Stats{},
	}
	if m.o.workers <= 0 {
		m.o.workers = runtime.GOMAXPROCS(0)
	}
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
	room     room
	progress *teller

	head    Head
	entries []Entry
	groups  []madeGroup // parallel to head.Groups
	open    openGroup
	closed  []openGroup
	others  map[*chunkstore.Content]*suffix.Streams // other ways to make contents
	spool   *os.File                                // temporary file of stored groups
	spooled int64
	stats   *Stats
}

// openGroup is a group that is being filled.
type openGroup struct {
	streams suffix.Streams
	entries int
	costly  *costly
}

// madeGroup is a group in the spool.
type madeGroup struct {
	at      int64 // offset in the spool
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
	m.similar, err = search.run(ctx, m.old, m.new,
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
	if err := m.patches(ctx); err != nil {
		return err
	}
	m.leaveOut()
	if err := m.addOthers(ctx); err != nil {
		return err
	}
	return m.write(w, renames)
}

// patches makes the patches of all contents and their groups, batch by batch.
func (m *maker) patches(ctx context.Context) error {
	for i := 0; i < len(m.contents); {
		end, size := i, int64(0)
		for end < len(m.contents) && (end == i || size+m.contents[end].Size <= batchSize) {
			size += m.contents[end].Size
			end++
		}
		found := make([]*candidate, end-i)
		g, groupCtx := errgroup.WithContext(ctx)
		g.SetLimit(m.o.workers)
		for n := range found {
			g.Go(func() (err error) {
				found[n], err = m.best(groupCtx, i+n)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		for n, c := range found {
			m.add(i+n, c)
		}
		if i = end; i == len(m.contents) {
			m.close()
		}
		if err := m.compress(ctx); err != nil {
			return err
		}
	}
	m.progress.ended(PhaseCompress)
	return ctx.Err()
}

// add puts the patches of content i into groups. c is nil when the set does not have it.
func (m *maker) add(i int, c *candidate) {
	if c == nil {
		return
	}
	alone := m.costly(c)
	apart := alone != nil || m.o.StepsApart && c.entries[0].Stepped()
	if apart {
		m.close()
	}
	for n := range c.entries {
		s := &c.streams[n]
		if m.open.entries > 0 && m.open.streams.Len()+s.Len() > groupTarget {
			m.close()
		}
		c.entries[n].Group = len(m.groups) + len(m.closed)
		m.open.costly = alone
		m.open.streams.Append(s)
		m.open.entries++
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

func (m *maker) close() {
	if m.open.entries == 0 {
		return
	}
	m.closed = append(m.closed, m.open)
	m.open = openGroup{}
}

// compress writes the closed groups to the spool.
func (m *maker) compress(ctx context.Context) error {
	fed := func(n int) { m.progress.did(PhaseCompress, int64(n)) }
	stored := make([][]byte, len(m.closed))
	sizes := make([][]streamSize, len(m.closed))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(m.o.workers)
	for i := range m.closed {
		g.Go(func() error {
			release, err := m.room.take(ctx, coderRoom(m.closed[i].streams.Len()))
			if err != nil {
				return err
			}
			defer release()
			stored[i], sizes[i] = appendBundle(nil, m.closed[i].streams[:], fed)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, b := range stored {
		if len(b) > groupMax {
			return fmt.Errorf("a group of %d bytes", len(b))
		}
		if _, err := m.spool.Write(b); err != nil {
			return err
		}
		g := &m.closed[i]
		m.groups = append(m.groups, madeGroup{m.spooled, g.entries, sizes[i], g.costly})
		m.spooled += int64(len(b))
		m.head.Groups = append(m.head.Groups,
			GroupRef{Length: int64(len(b)), Plain: int64(g.streams.Len()), Hash: chunkstore.Sum(b)})
	}
	m.closed = nil
	return nil
}
