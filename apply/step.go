package apply

import (
	"context"
	"errors"
	"fmt"

	"deltaup/apply/internal/nospace"
	"deltaup/apply/state"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/delta/patchset"
	"deltaup/internal/durable"
	"deltaup/mirror"
)

// To take the step from an old content to a new one, as for a packed kernel, takes about all the
// memory that a pull has. So contents that are made by a step, and their bases, are made before the
// image, one after another, as files in the state folder. A target that lacks the memory, the room
// or the time does without: such a content has a group of its own.

// hasRoom tells whether so many bytes have room in the state folder. Tests have less.
var hasRoom = (*state.Folder).HasRoom

// ahead is a content that is made before the image.
type ahead struct {
	id     chunkstore.ID
	size   int64
	set    *set
	before int // sets that come before set
}

// entries are those of the content, in order.
func (a *ahead) entries() []int { return a.set.entries[a.id] }

// aheadKey tells contents apart that are needed as bases of a step from those that are needed
// otherwise.
type aheadKey struct {
	id       chunkstore.ID
	stepBase bool
}

// ahead lists what has to be made before some contents, which gives says can be made: what steps
// make of them and on the way to them, and the bases of steps. Bases come first.
func (c *chain) ahead(contents []*chunkstore.Content) (list []ahead) {
	seen, listed := map[aheadKey]bool{}, map[chunkstore.ID]bool{}
	var visit func(id chunkstore.ID, sets int, stepBase bool)
	visit = func(id chunkstore.ID, sets int, stepBase bool) {
		s, before := c.maker(id, sets)
		key := aheadKey{id, stepBase}
		if s == nil || seen[key] {
			return
		}
		seen[key] = true
		a := ahead{id: id, set: s, before: before}
		first := stepBase
		for _, i := range a.entries() {
			e := &s.step.Entries[i]
			a.size = e.Content.Size
			if e.Base != nil {
				visit(e.Base.ID, before, e.Stepped())
			}
			first = first || e.Stepped()
		}
		if first && !listed[id] {
			listed[id] = true
			list = append(list, a)
		}
	}
	for _, x := range contents {
		if c.gives(x.ID, len(c.sets)) {
			visit(x.ID, len(c.sets), false)
		}
	}
	return list
}

// makeAhead makes a content, whose base is there, as a file. Errors are those of entry, or of the
// file.
func (c *chain) makeAhead(ctx context.Context, a *ahead) error {
	if c.spools[a.id] != nil {
		return nil
	}
	f, err := durable.Create(c.tmp)
	if err != nil {
		return nospace.Mark(fmt.Errorf("state folder: %w", err))
	}
	for _, i := range a.entries() {
		if err = c.writeEntry(ctx, a, i, f); err != nil {
			f.Discard()
			return err
		}
	}
	c.release() // what follows may keep as much
	c.spools[a.id] = f
	return nil
}

// writeEntry appends what an entry makes to a file.
func (c *chain) writeEntry(ctx context.Context, a *ahead, i int, f *durable.File) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	g, base, ready, err := c.prepare(ctx, a.set, a.before, i)
	if err != nil {
		return err
	}
	var full error
	err = g.WriteContent(i, base, ready, func(p []byte) error {
		if _, err := f.Write(p); err != nil {
			full = nospace.Mark(fmt.Errorf("state folder: %w", err))
		}
		return full
	})
	if full != nil {
		return full
	}
	return entryError(a.set, i, err)
}

// declineSteps has the chain do without the steps that take more memory than there is, and without
// all that are left when there is too little room for what they make, or when they take longer than
// to fetch what they save.
func (r *patchRoute) declineSteps() error {
	c, u := r.chain, r.u
	recipes := u.seeds.recipes(u.recipe)
	for _, s := range c.sets {
		u.ways().choose(s, recipes)
	}
	c.decline(func(s *set, e *patchset.Entry) bool { return u.ways().tooLarge(recipes, s, e) })
	list := c.ahead(r.lacks())
	if len(list) == 0 {
		return nil
	}
	var made, saved, patched int64
	var pieces []delta.Piece
	last := map[chunkstore.ID]bool{} // of the contents of the release
	for x := range u.recipe.Contents() {
		last[x.ID] = true
	}
	for i := range list {
		a := &list[i]
		made += a.size
		if last[a.id] {
			saved += a.size
		}
		for _, i := range a.entries() {
			e := &a.set.step.Entries[i]
			length, effort := e.Rewritten()
			patched += length * effort.Slow
			pieces = append(pieces, a.set.group(e.Group))
		}
	}
	fetched := u.fetcher.lacksPieces(pieces)
	n := c.needs(r.lacks())
	room, err := hasRoom(u.state, made+u.fetcher.lacksPieces(n.pieces()))
	if err != nil {
		return err
	}
	if len(n.leftOut) == 0 && !u.indexed {
		var index delta.Offer
		u.addIndex(&index)
		saved += index.MetaBytes
	}
	quick := u.r.Optimize == delta.ForBytes ||
		stepping(u.machine.cpu, patched) <= u.meta.line.Carries(saved-fetched)
	if !room || !quick {
		c.decline(func(*set, *patchset.Entry) bool { return true })
	}
	return nil
}

// steps tells whether contents are made by a step.
func (c *chain) steps() bool {
	for _, s := range c.sets {
		if s.step == nil {
			continue
		}
		for i := range s.step.Entries {
			if s.step.Entries[i].Stepped() && !s.declined[i] {
				return true
			}
		}
	}
	return false
}

// decline has the chain do without those steps for which out is true.
func (c *chain) decline(out func(s *set, e *patchset.Entry) bool) {
	for _, s := range c.sets {
		for i := range s.step.Entries {
			if e := &s.step.Entries[i]; e.Stepped() && out(s, e) {
				s.declined[i] = true
			}
		}
	}
}

// lacks lists the contents of the release that no seed has whole.
func (r *patchRoute) lacks() (list []*chunkstore.Content) {
	for x := range r.u.recipe.Contents() {
		if r.u.seeds.of(x.ID) == nil {
			list = append(list, x)
		}
	}
	return list
}

// makeSteps makes what has to be made before the image, where the plan's route needs it. It returns
// false, with a new plan, when a content cannot be made and comes otherwise.
func (u *Update) makeSteps(ctx context.Context) (bool, error) {
	if u.image == nil || u.route != route(u.patch) {
		return true, nil
	}
	c := u.patch.chain
	list := c.ahead(u.patch.lacks())
	if len(list) == 0 {
		return true, nil
	}
	u.events.progress(StageRebuild, mirror.ImageName, 0, u.image.Size)
	err := u.alone(func() error {
		for i := range list {
			if err := c.makeAhead(ctx, &list[i]); err != nil {
				return err
			}
		}
		c.keep(0, 0)
		return nil
	})
	var patch *patchError
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, ErrNoSpace):
		u.events.warn("what a step was to make is fetched otherwise: %v", err)
		c.decline(func(*set, *patchset.Entry) bool { return true })
	case !errors.As(err, &patch):
		return false, err
	case u.seeds.useKept(): // a base may be another one
		return false, &keptError{err}
	default:
		u.events.warn("%v; what it was to give is fetched otherwise", err)
		patch.leaveOut()
	}
	return false, u.replan(ctx)
}

// alone runs fn with nothing in memory that only the rebuild needs, which then has it again.
func (u *Update) alone(fn func() error) error {
	u.machine.encoders = nil
	return fn()
}
