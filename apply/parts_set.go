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
)

// partsSet is the patch set to an output that is rebuilt beside the image.
type partsSet struct {
	*set
	*artifact.Set                                     // nil once the contents are made
	large         bool                                // making its contents takes much memory
	spool         *durable.File                       // of the contents that the set gives
	made          map[chunkstore.ID]*io.SectionReader // of them, in the spool; nil: not made yet
}

// makeParts makes what the patch sets beside the image give, before anything is written that would
// have to wait for it. It returns false, after a warning and with a new plan, when one is of no
// use.
func (u *Update) makeParts(ctx context.Context) (bool, error) {
	for _, o := range u.outputs.rebuilt() {
		if o.parts == nil || o.parts.set == nil || o.parts.set.made != nil {
			continue
		}
		makeSet := func() error { return o.parts.set.make(ctx, u) }
		var err error
		if o.parts.set.large {
			err = u.alone(makeSet)
		} else {
			err = makeSet()
		}
		if err == nil {
			continue
		}
		if u.seeds.useKept() && unusable(err) { // a base may be another one
			return false, &keptError{err}
		}
		var patch *patchError
		if errors.As(err, &patch) && unusable(err) && !errors.Is(err, ErrSeed) { // there is another way
			u.events.warn("%v; what it was to give is fetched otherwise", err)
			patch.leaveOut()
			o.pieces = o.parts.set.pieces()
			return false, u.replan(ctx)
		}
		return false, u.withoutSet(ctx, o, err)
	}
	return true, nil
}

// withoutSet plans anew without the patch set to an output, with a warning, when err says that it
// is of no use. It passes other errors on.
func (u *Update) withoutSet(ctx context.Context, o *output, err error) error {
	if err := o.closeSet(err, &u.events); err != nil {
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
	failed, err := x.Apply(ctx, group, base, func(c *chunkstore.Content, piece []byte) error {
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
		x.made, x.Set, x.step = made, nil, nil // it takes memory that the next set needs
	} else if e := &x.step.Entries[failed]; e.Encodes() {
		err = &patchError{x.set, e.Group, failed, err}
	}
	return err
}

// pieces lists the groups that are needed, but for the first one.
func (x *partsSet) pieces() (list []delta.Piece) {
	last := 0
	for i := range x.step.Entries {
		e := &x.step.Entries[i]
		switch {
		case e.Encodes(): // a group of its own
		case e.Group == last:
			continue
		default:
			last = e.Group
		}
		list = append(list, x.group(e.Group))
	}
	return list
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
