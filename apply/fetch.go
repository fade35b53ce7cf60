package apply

import (
	"context"
	"errors"
	"fmt"

	"deltaup/apply/internal/nospace"
	"deltaup/apply/state"
	"deltaup/internal/human"
)

// fetch makes sure of the room and fetches until all that is planned is on disk and verified.
func (u *Update) fetch(ctx context.Context) error {
	if u.image != nil { // step 6
		// Before the state folder is looked at: both may be on one file system.
		if err := u.r.Slot.Reserve(u.image.Size); err != nil {
			return nospace.Mark(err)
		}
	}
	if err := u.makeRoom(u.plan.Bytes); err != nil {
		return err
	}
	if err := u.fetchAll(ctx); err != nil { // steps 7 and 8
		return err
	}
	made, err := u.makeSteps(ctx)
	if made && err == nil {
		made, err = u.makeParts(ctx)
	}
	if made || err != nil {
		return err
	}
	return u.fetch(ctx) // by another plan: something was given up
}

// makeRoom makes sure that n more bytes fit into the state folder. What is only kept to save time
// makes room.
func (u *Update) makeRoom(n int64) error {
	s := u.state
	free, err := s.Free()
	if err != nil || n <= free {
		return err
	}
	if err := u.dropMade(); err != nil {
		return err
	}
	if free, err = s.Free(); err != nil || n <= free {
		return err
	}
	if err := s.Recipes.Clear(); err != nil {
		return errors.Join(noRoom(s, n, free), err)
	}
	if free, err = s.Free(); err != nil || n <= free {
		return err
	}
	return noRoom(s, n, free)
}

// noRoom says that the state folder's file system is too small for n more bytes.
func noRoom(s *state.Folder, n, free int64) error {
	return fmt.Errorf("state folder %s: %w: %s are to be fetched, %s more than are free", s.Name(),
		ErrNoSpace, human.Size(n), human.Size(n-free))
}

// fetchAll fetches until all that is planned is on disk and verified. What cannot be had changes
// the plan as long as there is another route.
func (u *Update) fetchAll(ctx context.Context) error {
	total := &counter{total: u.plan.Bytes, stage: StageFetch, events: &u.events}
	for {
		making := u.makeBeside(ctx)
		got, fetchErr := u.fetchOnce(ctx, total)
		if fetchErr == nil {
			bad, err := u.verify(ctx)
			making.end(err == nil && len(bad) == 0)
			if err != nil || len(bad) == 0 {
				return errors.Join(err, ctx.Err())
			}
			u.events.warn("%d pieces of what was fetched are corrupt, the first of them: %v",
				len(bad), bad[0].cause)
			fetchErr = u.fetcher.discard(bad, got)
		} else {
			making.end(false)
		}
		if fetchErr != nil {
			if err := u.giveUp(ctx, fetchErr); err != nil {
				return err
			}
		}
		if err := u.replan(ctx); err != nil {
			return err
		}
		total.total = total.done.Load() + u.plan.Bytes
	}
}

// fetchOnce fetches the plan's ranges, and has the image written beside that where the route does.
func (u *Update) fetchOnce(ctx context.Context, total *counter) ([]fetched, error) {
	writing := u.writeBeside(ctx, total)
	got, err := u.fetcher.ranges(ctx, u.plan.Ranges, total)
	if writing.end(err) {
		u.written = writing
	}
	return got, err
}

// giveUp closes what an error of fetching or of making contents says is of no use, with a warning.
// It returns the error when nothing is left open by that.
func (u *Update) giveUp(ctx context.Context, err error) error {
	var patch *patchError
	if errors.As(err, &patch) {
		if u.seeds.useKept() { // a base may be another one
			return &keptError{err}
		}
		return u.patch.tryAll(ctx)
	}
	if u.fetcher.turnsWhole(err) {
		return nil
	}
	var r *rangeError
	if !errors.As(err, &r) || !unusable(err) {
		return err
	}
	for _, route := range u.table {
		if route.lost(r.file, err) {
			return nil
		}
	}
	for _, o := range u.outputs.rebuilt() {
		if o.parts != nil && o.parts.set.is(r.file) {
			return u.withoutSet(ctx, o, err)
		}
	}
	return err
}
