package apply

import (
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/apply/internal/nospace"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/delta/initrdset"
	"deltaup/internal/durable"
	"deltaup/mirror"
)

// initrdSet is the patch set of an initrd that is wanted.
type initrdSet struct {
	*set
	*initrdset.Set
	spool *durable.File                       // of the contents that the set gives
	made  map[chunkstore.ID]*io.SectionReader // of them, in the spool; nil: not made yet
}

// smallSet is the size up to which an initrd's set is taken to have one group, which is needed
// whatever else is.
const smallSet = 256 << 10

// openInitrdSet fetches what gives the recipe of an initrd out of a patch set, when one leads from
// a seed. When there is none, or it is of no use, which is a warning, it returns nil.
func (u *Update) openInitrdSet(ctx context.Context, o *output) (*initrdSet, error) {
	from, p := u.initrdSeed(&o.artifact)
	if p == nil || u.initrdClosed {
		return nil, nil
	}
	patch := &mirror.Patch{From: p.From, Set: p.Set, Head: p.Head}
	x := &initrdSet{set: u.fetcher.newSet(patch, u.release)}
	x.small = p.Set.Size <= smallSet
	err := u.readInitrdSet(ctx, x, from)
	if err == nil {
		return x, nil
	}
	return nil, u.closeInitrdSet(err)
}

// initrdSeed finds the smallest of an initrd's patch sets that leads from a seed.
func (u *Update) initrdSeed(a *mirror.Artifact) (from *seed, best *mirror.InitrdPatch) {
	for _, s := range u.seeds.list {
		if s.initrd == nil {
			continue
		}
		if p := a.PatchFrom(s.raw.ID); p != nil && (best == nil || p.Set.Size < best.Set.Size) {
			from, best = s, p
		}
	}
	return from, best
}

// closeInitrdSet gives the set up, with a warning, when err says that it is of no use. It passes
// other errors on.
func (u *Update) closeInitrdSet(err error) error {
	if !unusable(err) || errors.Is(err, ErrSeed) {
		return err
	}
	u.events.warn("the patch set of the initrd is given up: %v", err)
	u.initrdClosed, u.initrdPieces = true, nil
	return nil
}

// readInitrdSet reads head and first group, and plans for the others.
func (u *Update) readInitrdSet(ctx context.Context, x *initrdSet, from *seed) error {
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
	if x.Set, err = initrdset.Open(x.head, from.initrd.recipe, u.recipe, first); err != nil {
		return published(x.name(), err)
	}
	u.initrdPieces = nil
	for _, g := range x.head.Groups[1:] {
		u.initrdPieces = append(u.initrdPieces,
			delta.Piece{File: x.file(), Extent: delta.Extent{Offset: g.Offset, Length: g.Length}})
	}
	return nil
}

// makeInitrd makes what the patch set of an initrd gives, before anything is written that would
// have to wait for it. It returns false, after a warning and with a new plan, when the set is of no
// use.
func (u *Update) makeInitrd(ctx context.Context) (bool, error) {
	o := u.initrd()
	if o == nil || o.initrd == nil || o.initrd.set == nil || o.initrd.set.made != nil {
		return true, nil
	}
	x := o.initrd.set
	err := x.make(ctx, u)
	if err == nil {
		return true, nil
	}
	if u.seeds.useKept() && unusable(err) { // a base may be another one
		return false, &keptError{err}
	}
	if err := u.closeInitrdSet(err); err != nil {
		return false, err
	}
	return false, u.loadInitrd(ctx)
}

func (x *initrdSet) make(ctx context.Context, u *Update) (err error) {
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
func (x *initrdSet) open(id chunkstore.ID) io.ReadCloser {
	if x == nil || x.made[id] == nil {
		return nil
	}
	r := x.made[id]
	return io.NopCloser(io.NewSectionReader(r, 0, r.Size()))
}

// is tells whether the set is that file of the mirror.
func (x *initrdSet) is(file delta.File) bool { return x != nil && x.file() == file }

func (x *initrdSet) close() {
	if x != nil && x.spool != nil {
		x.spool.Discard()
	}
}
