package verify

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
)

// Set is a patch set whose head is what a release says.
type Set struct {
	file io.ReaderAt
	Head *patchset.Head
}

// Joins holds the set of an image against the release's entry and the hash of the text of the
// recipe that it has to lead to.
func (s *Set) Joins(p *mirror.Patch, to chunkstore.ID) (err error) {
	switch {
	case s.Head.From != p.Recipe:
		err = fmt.Errorf("it leads from the recipe %s", s.Head.From)
	case s.Head.To != to:
		err = fmt.Errorf("it leads to the recipe %s", s.Head.To)
	default:
		return nil
	}
	return fmt.Errorf("%w: %w", chunkstore.ErrCorrupt, err)
}

// OpenSet reads a set's head and holds it against what the release says.
func OpenSet(file io.ReaderAt, p *mirror.Patch) (*Set, error) {
	set, head := p.Set, p.Head
	b, err := readAt(file, 0, min(patchset.FixedSize, set.Size))
	if err != nil {
		return nil, err
	}
	size, err := patchset.HeadSize(b)
	if err != nil {
		return nil, err
	}
	if size != head.Size {
		return nil, fmt.Errorf("%w: its head has %d bytes, not %d", chunkstore.ErrCorrupt, size,
			head.Size)
	}
	if b, err = readAt(file, 0, size); err != nil {
		return nil, err
	}
	h, err := patchset.ReadHead(b)
	if err != nil {
		return nil, err
	}
	switch {
	case h.ID != head.ID:
		err = fmt.Errorf("its head has the hash %s", h.ID)
	case h.SetSize() != set.Size:
		err = fmt.Errorf("it should have %d bytes", h.SetSize())
	default:
		return &Set{file, h}, nil
	}
	return nil, fmt.Errorf("%w: %w", chunkstore.ErrCorrupt, err)
}

// stored reads the bytes of group n.
func (s *Set) stored(n int) ([]byte, error) {
	return readAt(s.file, s.Head.Groups[n].Offset, s.Head.Groups[n].Length)
}

// Groups opens the groups of a step.
func (s *Set) Groups(step *patchset.Step) *patchset.Groups { return step.Groups(s.stored) }

// openOthers decodes the groups of other ways, of which nothing is made here.
func (s *Set) openOthers(step *patchset.Step) error {
	groups := s.Groups(step)
	for i := range step.Entries {
		if other := step.Entries[i].Other(); other != nil {
			if _, err := groups.Open(other.Group); err != nil {
				return err
			}
		}
	}
	return nil
}

func readAt(r io.ReaderAt, offset, length int64) ([]byte, error) {
	b := make([]byte, length)
	if n, err := r.ReadAt(b, offset); n < len(b) {
		return nil, err
	}
	return b, nil
}

// applyAll makes, verifies and cuts all contents of a step, some at once.
func (s *Set) applyAll(ctx context.Context, step *patchset.Step, old patchset.Contents,
	progress func(done, total int64)) error {
	var mu sync.Mutex
	done, total := int64(0), int64(0)
	for i := range step.Entries {
		total += step.Entries[i].Work()
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(min(runtime.GOMAXPROCS(0), appliersMax))
	for begin := 0; begin < len(step.Entries); {
		first, end := begin, s.partEnd(step, begin)
		g.Go(func() error {
			a := &applier{
				ctx: ctx, set: s, step: step, old: old, groups: s.Groups(step), group: -1,
				splitter: chunkstore.NewSplitter(step.To.Chunking),
			}
			for i := first; i < end; {
				if err := ctx.Err(); err != nil {
					return err
				}
				next, err := a.content(i)
				if err != nil {
					return err
				}
				mu.Lock()
				for ; i < next; i++ {
					done += step.Entries[i].Work()
				}
				progress(done, total)
				mu.Unlock()
			}
			return nil
		})
		begin = end
	}
	return g.Wait()
}

// appliersMax is how many parts of a set are applied at once. Each takes the memory of a target.
const appliersMax = 4

// partEnd gives the end of the part of a step that begins at entry i: where both a content and a
// run of groups end, so that the parts need nothing of each other.
func (s *Set) partEnd(step *patchset.Step, i int) int {
	for i++; i < len(step.Entries); i++ {
		e, before := &step.Entries[i], &step.Entries[i-1]
		if e.Content != before.Content && e.Group != before.Group &&
			!s.Head.Groups[e.Group].GoesOn {
			break
		}
	}
	return i
}

// applier gives the contents of a part of a step one after another.
type applier struct {
	ctx      context.Context
	set      *Set
	step     *patchset.Step
	old      patchset.Contents
	splitter *chunkstore.Splitter

	groups *patchset.Groups
	group  int // that is open, -1 for none
	open   *patchset.Group
	// of the content at hand, and what its entries take
	of    *chunkstore.Content
	ready *patchset.Prepared
}

// content makes the content of entry i, verifies it and cuts it. It returns the next content's
// entry.
func (a *applier) content(i int) (int, error) {
	c := a.step.Entries[i].Content
	in := &entryReader{a: a, c: c, next: i}
	got, err := a.splitter.Split(in, nil)
	if err != nil {
		return 0, fmt.Errorf("content %s: %w", c.ID, err)
	}
	if c.ID.IsStandIn() { // the recipe's hash proves it in the end
		c.ID = got.ID
	}
	if got.ID != c.ID || got.Size != c.Size {
		return 0, fmt.Errorf("content %s: %w: the set gives %s of %d bytes", c.ID,
			chunkstore.ErrCorrupt, got.ID, got.Size)
	}
	if c.Chunks == nil {
		c.Chunks = got.Chunks
	}
	return in.next, nil
}

// entryReader reads the pieces of one content in order.
type entryReader struct {
	a     *applier
	c     *chunkstore.Content
	next  int // entry
	piece []byte
}

func (r *entryReader) Read(b []byte) (int, error) {
	for len(r.piece) == 0 {
		entries := r.a.step.Entries
		if r.next == len(entries) || entries[r.next].Content != r.c {
			return 0, io.EOF
		}
		var err error
		if r.piece, err = r.a.piece(r.next); err != nil {
			return 0, err
		}
		r.next++
	}
	n := copy(b, r.piece)
	r.piece = r.piece[n:]
	return n, nil
}

// piece makes one entry's bytes.
func (a *applier) piece(i int) ([]byte, error) {
	e := &a.step.Entries[i]
	if a.of != e.Content {
		a.ready = nil // not two in memory
		var err error
		if a.ready, err = a.step.Prepare(i, a.opened); err != nil {
			return nil, err
		}
		a.of = e.Content
	}
	g, err := a.opened(e.Group)
	if err != nil {
		return nil, err
	}
	if e.Base == nil {
		return g.Content(i, nil, a.ready)
	}
	base, err := a.old.Open(a.ctx, e.Base)
	if err != nil {
		return nil, err
	}
	defer base.Close()
	return g.Content(i, base, a.ready)
}

// opened opens a group, and keeps it.
func (a *applier) opened(n int) (*patchset.Group, error) {
	if n != a.group {
		a.group, a.open = -1, nil // not two groups in memory
		g, err := a.groups.Open(n)
		if err != nil {
			return nil, err
		}
		a.group, a.open = n, g
	}
	return a.open, nil
}
