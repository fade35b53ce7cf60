package apply

import (
	"context"
	"errors"
	"io"

	"deltaup/apply/internal/nospace"
	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/internal/durable"
)

// entry makes one entry of a set. Its base comes first: nothing is in memory for the entry while
// that is made.
func (c *chain) entry(ctx context.Context, s *set, before, i int) ([]byte, error) {
	g, base, ready, err := c.prepare(ctx, s, before, i)
	if err != nil {
		return nil, err
	}
	p, err := g.Content(i, base, ready)
	return p, entryError(s, i, err)
}

// prepare gives what makes an entry: its group, its base, and what is prepared for it.
func (c *chain) prepare(ctx context.Context, s *set, before, i int) (g *patchset.Group,
	base io.ReaderAt, ready *patchset.Prepared, err error) {
	e := &s.step.Entries[i]
	if e.Base != nil {
		if base, err = c.base(ctx, e.Base, before); err != nil {
			return nil, nil, nil, err
		}
	}
	open := func(n int) (*patchset.Group, error) { return c.group(s, n, entryMemory(e)) }
	if ready, err = c.prepared(s, i, open); err != nil {
		return nil, nil, nil, err
	}
	g, err = open(e.Group)
	return g, base, ready, err
}

// prepared gives what making an entry takes beside its group. It keeps that for the other entries
// of the content.
func (c *chain) prepared(s *set, i int,
	open func(n int) (*patchset.Group, error)) (*patchset.Prepared, error) {
	c.preparing.Lock()
	defer c.preparing.Unlock()
	content := s.step.Entries[i].Content
	if c.readyFor == content {
		return c.ready, nil
	}
	c.ready, c.readyFor = nil, nil // not two in memory
	ready, err := s.step.Prepare(i, open)
	if ready != nil {
		c.ready, c.readyFor = ready, content
	}
	return ready, err
}

// release gives up what is kept for the entries of a content.
func (c *chain) release() { c.ready, c.readyFor = nil, nil }

// entryError marks an error of making an entry, unless the error is that of its base.
func entryError(s *set, i int, err error) error {
	var inner *patchError
	if err != nil && !errors.As(err, &inner) && !errors.Is(err, ErrSeed) {
		err = &patchError{s, s.step.Entries[i].Group, i, err}
	}
	return err
}

// base opens a content of the release that a set leads from.
func (c *chain) base(ctx context.Context, x *chunkstore.Content, sets int) (io.ReaderAt, error) {
	s, before := c.maker(x.ID, sets)
	f := c.spools[x.ID]
	switch {
	case f != nil:
		return f, nil
	case s == nil:
		f, err := c.seed.file(ctx, x.ID)
		if err != nil {
			return nil, c.seed.changed(err)
		}
		return &seedFile{c.seed, f}, nil
	case x.Size > patchset.PieceMax:
		return c.spooled(x, c.made(ctx, s, before, x.ID))
	}
	m := c.made(ctx, s, before, x.ID)
	if err := m.at(0); err != nil && err != io.EOF {
		return nil, err
	}
	return patchset.Bytes(m.piece), nil
}

// spooled gives a content that is made in pieces as a file, for the patches that need it read all
// over it. When there is no room for the file, pieces are made each time that they are needed.
func (c *chain) spooled(x *chunkstore.Content, m *made) (io.ReaderAt, error) {
	f, err := durable.Create(c.tmp)
	if err == nil {
		_, err = io.Copy(f, io.NewSectionReader(m, 0, x.Size))
		c.release() // the next set may keep as much
		if err == nil {
			c.spools[x.ID] = f
			return f, nil
		}
		f.Discard()
	}
	if errors.Is(nospace.Mark(err), ErrNoSpace) {
		return m, nil
	}
	return nil, err
}

// close removes what lies in the state folder.
func (c *chain) close() {
	if c == nil {
		return
	}
	for id, f := range c.spools {
		f.Discard()
		delete(c.spools, id)
	}
}

// seedFile marks the errors of a seed's file.
type seedFile struct {
	seed *seed
	f    io.ReaderAt
}

func (f *seedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.f.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = f.seed.changed(err)
	}
	return n, err
}
