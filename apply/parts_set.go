package apply

import (
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/apply/internal/nospace"
	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/durable"
	"deltaup/mirror"
)

// partsSet is the patch set to an output that is rebuilt beside the image.
type partsSet struct {
	*set
	*artifact.Set
	spool *durable.File                       // of the contents that the set gives
	made  map[chunkstore.ID]*io.SectionReader // of them, in the spool; nil: not made yet
}

// smallSet is the size up to which a set beside an image is taken to have one group, which is needed
// whatever else is.
const smallSet = 256 << 10

// openPartsSet fetches what gives the recipe of an output out of a patch set, when one leads from a
// seed. When there is none, or it is of no use, which is a warning, it returns nil.
func (u *Update) openPartsSet(ctx context.Context, o *output) (*partsSet, error) {
	from, p := u.seedOfFile(&o.artifact)
	if p == nil || o.closed {
		return nil, nil
	}
	x := &partsSet{set: u.fetcher.newSet(p, u.release)}
	x.small = p.Set.Size <= smallSet
	err := u.readPartsSet(ctx, o, x, from)
	if err == nil {
		return x, nil
	}
	return nil, u.closePartsSet(o, err)
}

// seedOfFile finds the smallest of an artifact's patch sets that leads from a seed.
func (u *Update) seedOfFile(a *mirror.Artifact) (from *seed, best *mirror.Patch) {
	for _, s := range u.seeds.list {
		if s.apart == nil || s.apart.kind != a.Beside() {
			continue
		}
		if p := a.PatchFrom(s.raw.ID); p != nil && (best == nil || p.Set.Size < best.Set.Size) {
			from, best = s, p
		}
	}
	return from, best
}

// closePartsSet gives the set up, with a warning, when err says that it is of no use. It passes
// other errors on.
func (u *Update) closePartsSet(o *output, err error) error {
	if !unusable(err) || errors.Is(err, ErrSeed) {
		return err
	}
	u.events.warn("the patch set of the %s is given up: %v", o.artifact.Name, err)
	o.closed, o.pieces = true, nil
	return nil
}

// readPartsSet reads head and first group, and plans for the others.
func (u *Update) readPartsSet(ctx context.Context, o *output, x *partsSet, from *seed) error {
	var err error
	if x.head, err = u.fetcher.readHead(ctx, x.set); err != nil {
		return err
	}
	if x.head.SetSize() != x.patch.Set.Size || len(x.head.Groups) == 0 {
		return published(x.name(),
			fmt.Errorf("it is not the set that the release names: %w", chunkstore.ErrCorrupt))
	}
	first, err := u.fetcher.readGroup(ctx, x.set, 0)
	if err != nil {
		return err
	}
	x.Set, err = artifact.Open(x.head, from.apart.kind, from.apart.recipe, u.recipe, first)
	if err != nil {
		return published(x.name(), err)
	}
	o.pieces = nil
	for _, g := range x.head.Groups[1:] {
		o.pieces = append(o.pieces,
			delta.Piece{File: x.file(), Extent: delta.Extent{Offset: g.Offset, Length: g.Length}})
	}
	return nil
}

// makeParts makes what the patch sets beside the image give, before anything is written that would
// have to wait for it. It returns false, after a warning and with a new plan, when one is of no use.
func (u *Update) makeParts(ctx context.Context) (bool, error) {
	for _, o := range u.rebuilt() {
		if o.parts == nil || o.parts.set == nil || o.parts.set.made != nil {
			continue
		}
		err := o.parts.set.make(ctx, u)
		if err == nil {
			continue
		}
		if u.seeds.useKept() && unusable(err) { // a base may be another one
			return false, &keptError{err}
		}
		return false, u.withoutSet(ctx, o, err)
	}
	return true, nil
}

// withoutSet plans anew without the patch set to an output, with a warning, when err says that it is
// of no use. It passes other errors on.
func (u *Update) withoutSet(ctx context.Context, o *output, err error) error {
	if err := u.closePartsSet(o, err); err != nil {
		return err
	}
	o.parts.set.close()
	o.parts = nil
	return u.loadParts(ctx)
}

func (x *partsSet) make(ctx context.Context, u *Update) (err error) {
	if x.spool == nil {
		if x.spool, err = durable.Create(u.state.Tmp()); err != nil {
			return nospace.Mark(fmt.Errorf("state folder: %w", err))
		}
	}
	made, end := map[chunkstore.ID]*io.SectionReader{}, int64(0)
	group := func(n int) ([]byte, error) { return u.fetcher.readGroup(ctx, x.set, n) }
	base := func(c *chunkstore.Content) (io.ReaderAt, error) { return u.seeds.fileOf(ctx, c.ID) }
	err = x.Apply(ctx, group, base, func(c *chunkstore.Content, piece []byte) error {
		if made[c.ID] == nil {
			made[c.ID] = io.NewSectionReader(x.spool, end, c.Size)
		}
		if _, err := x.spool.WriteAt(piece, end); err != nil {
			return nospace.Mark(fmt.Errorf("state folder: %w", err))
		}
		end += int64(len(piece))
		return nil
	})
	if err == nil {
		x.made = made
	}
	return err
}

// open gives a content that the set made, nil when it did not.
func (x *partsSet) open(id chunkstore.ID) io.ReadCloser {
	if x == nil || x.made[id] == nil {
		return nil
	}
	r := x.made[id]
	return io.NopCloser(io.NewSectionReader(r, 0, r.Size()))
}

// is tells whether the set is that file of the mirror.
func (x *partsSet) is(file delta.File) bool { return x != nil && x.file() == file }

func (x *partsSet) close() {
	if x != nil && x.spool != nil {
		x.spool.Discard()
	}
}
