package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"deltaup/apply/internal/nospace"
	"deltaup/apply/slotwriter"
	"deltaup/internal/human"
	"deltaup/mirror"
)

// Run carries the update out: it fetches and verifies everything that is missing, writes the image
// without its superblock, reads it back, writes the outputs, and writes the superblock last. After
// an error the slot holds what it held, or nothing bootable. Another Run, of this or of a later
// process, goes on where it was.
func (u *Update) Run(ctx context.Context) (Result, error) {
	if u.r.PlanOnly && u.r.Slot == nil {
		return Result{}, errors.New("this update was only planned")
	}
	start := time.Now()
	if !u.ready { // an earlier Run has used it up
		if err := u.findAnew(ctx); err != nil {
			return Result{}, err
		}
	}
	result := Result{
		Version:   u.release.Version,
		Route:     u.quote.Route,
		ImageSize: u.quote.ImageSize,
		Current:   u.current,
	}
	if err := u.runUntilSure(ctx, &result); err != nil {
		return Result{}, err
	}
	if err := u.cleanUp(ctx); err != nil {
		return Result{}, err
	}
	stats := u.r.Client.Stats()
	result.BytesFetched, result.Requests = stats.BytesBody, stats.Requests
	result.Time = time.Since(start)
	return result, nil
}

// runUntilSure runs the steps, and again from the seeds on when it turns out that what was planned
// with is not so: the mirrors send only whole files, a kept recipe is wrong, a seed's medium fails.
func (u *Update) runUntilSure(ctx context.Context, result *Result) error {
	err := u.steps(ctx, result)
	if u.fetcher.turnsWhole(err) {
		if err = u.findAnew(ctx); err == nil {
			err = u.steps(ctx, result)
		}
	}
	for n := 0; n < rounds && (u.blamesKept(err) || errors.Is(err, ErrSeed) && u.failing()); n++ {
		if err = u.startOver(ctx, err); err == nil {
			result.BlocksCopied, result.BlocksCompressed = 0, 0
			err = u.steps(ctx, result)
		}
	}
	return err
}

// steps takes the steps that doc/pull.md numbers, from 6 on. Prepare took those before.
func (u *Update) steps(ctx context.Context, result *Result) error {
	u.ready = false
	if u.image == nil && len(u.outputs) == 0 {
		return nil
	}
	var image *slotwriter.Held
	for {
		if err := u.fetch(ctx); err != nil { // 6 to 8
			return err
		}
		if u.image == nil {
			break
		}
		var err error
		if image, err = u.write(ctx, result); err == nil { // 9 to 11
			break
		}
		if err := u.route.failed(ctx, err, result); err != nil {
			return err
		}
		if err := u.replan(ctx); err != nil {
			return err
		}
	}
	if err := u.writeOutputs(ctx, image); err != nil { // 12
		return err
	}
	if image == nil {
		return nil
	}
	return u.makeBootable(image) // 13
}

// fetch makes sure of the room and fetches until all that is planned is on disk and verified.
func (u *Update) fetch(ctx context.Context) error {
	if err := u.makeRoom(); err != nil { // step 6
		return err
	}
	if err := u.fetchAll(ctx); err != nil { // steps 7 and 8
		return err
	}
	if made, err := u.makeInitrd(ctx); made || err != nil {
		return err
	}
	return u.fetch(ctx) // once: by another plan
}

// makeRoom makes sure of the room in the slot and in the state folder.
func (u *Update) makeRoom() error {
	if u.image != nil {
		// Before the state folder is looked at: both may be on one file system.
		if err := u.r.Slot.Reserve(u.image.Size); err != nil {
			return nospace.Mark(err)
		}
	}
	free, err := u.state.Free()
	if err != nil {
		return err
	}
	if free < u.plan.Bytes { // what is only kept to save time makes room
		if err := u.state.Recipes.Clear(); err != nil {
			return errors.Join(u.noRoom(free), err)
		}
		if free, err = u.state.Free(); err != nil {
			return err
		}
	}
	if free < u.plan.Bytes {
		return u.noRoom(free)
	}
	return nil
}

// noRoom says that the state folder's file system is too small for the plan.
func (u *Update) noRoom(free int64) error {
	return fmt.Errorf("state folder %s: %w: %s are to be fetched, %s more than are free",
		u.state.Name(), ErrNoSpace, human.Size(u.plan.Bytes), human.Size(u.plan.Bytes-free))
}

// fetchAll fetches until all that is planned is on disk and verified. What cannot be had changes
// the plan as long as there is another route.
func (u *Update) fetchAll(ctx context.Context) error {
	total := &counter{total: u.plan.Bytes, stage: StageFetch, events: &u.events}
	for {
		got, fetchErr := u.fetchOnce(ctx, total)
		if fetchErr == nil {
			bad, err := u.verify(ctx)
			if err != nil || len(bad) == 0 {
				return err
			}
			u.events.warn("%d pieces of what was fetched are corrupt, the first of them: %v",
				len(bad), bad[0].cause)
			fetchErr = u.fetcher.discard(bad, got)
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
		if u.usesKept() { // a base may be another one
			return &keptError{err}
		}
		return u.patch.tryAll(ctx)
	}
	if u.fetcher.turnsWhole(err) {
		return nil
	}
	var r *rangeError
	if errors.As(err, &r) && unusable(err) {
		for _, route := range u.table {
			if route.lost(r.file, err) {
				return nil
			}
		}
	}
	return err
}

// write writes and proves the image, all but its superblock, unless that was done beside fetching.
func (u *Update) write(ctx context.Context, result *Result) (*slotwriter.Held, error) {
	if w := u.written; w != nil {
		result.Route, result.BlocksCopied = w.result.Route, w.result.BlocksCopied
		return w.held, nil
	}
	result.Route = string(u.route.name())
	return u.route.write(ctx, result, nil)
}

// otherImage decides what to do after an error of writing the image. An image that is not the
// published one is tried once without copied blocks, which nothing else has proved; then it is
// fetched whole. It returns the error when nothing is left to be tried.
func (u *Update) otherImage(ctx context.Context, err error, result *Result) error {
	switch copied := result.BlocksCopied > 0; {
	case !errors.Is(err, slotwriter.ErrOtherImage):
		return u.giveUp(ctx, err)
	case u.usesKept():
		return &keptError{err}
	case copied && !u.noCopies:
		u.events.warn("%v; rebuilding it without copied blocks", err)
		u.noCopies = true
	default:
		u.events.warn("%v; fetching it whole", err)
		for _, r := range u.table {
			if r != route(u.whole) {
				u.closed[r.name()] = err
			}
		}
	}
	return nil
}

// fill has write write the image to the slot, all but its head, and proves it meanwhile.
func (u *Update) fill(ctx context.Context, inOrder bool,
	write func(context.Context, io.WriterAt) error) (*slotwriter.Held, error) {
	o := slotwriter.Options{
		InOrder:  inOrder,
		ReadBack: u.r.ReadBack,
		Progress: func(done, total int64) { // until all is written the stage is another one
			u.events.progress(StageVerify, mirror.ImageName, done, total)
		},
	}
	image := slotwriter.Image{ID: u.image.ID, Size: u.image.Size}
	return slotwriter.Fill(ctx, u.r.Slot, image, o, write)
}

// copyInto writes and proves an image that needs no building.
func (u *Update) copyInto(ctx context.Context,
	image func(write func(p []byte, off int64) error) error) (*slotwriter.Held, error) {
	return u.fill(ctx, true, func(ctx context.Context, w io.WriterAt) error {
		err := image(func(p []byte, off int64) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			_, err := w.WriteAt(p, off)
			u.events.progress(StageRebuild, mirror.ImageName, off+int64(len(p)), u.image.Size)
			return err
		})
		if err != nil {
			return fmt.Errorf("copy into slot %s: %w", u.r.Slot.Name(), err)
		}
		return nil
	})
}

// writeOutputs writes the artifacts. Image is the one in the slot, nil when none was written.
func (u *Update) writeOutputs(ctx context.Context, image *slotwriter.Held) error {
	src := newSource(u.seeds, u.state.Cache, u.at, nil)
	for i := range u.outputs {
		o := &u.outputs[i]
		err := o.write(func(w io.Writer) error { return u.content(ctx, o, image, src, w) })
		if err != nil {
			return fmt.Errorf("artifact %s to %s: %w", o.artifact.Name, o.path, err)
		}
	}
	return nil
}

// makeBootable writes the superblock, and keeps how quickly the slot took the image.
func (u *Update) makeBootable(image *slotwriter.Held) error {
	if err := image.Release(); err != nil {
		return err
	}
	if busy := image.Busy(); busy > 0 {
		if err := u.state.LearnWrite(u.image.Size, busy); err != nil {
			u.events.warn("state folder %s: %v", u.state.Name(), err)
		}
	}
	return nil
}

// cleanUp is step 14.
func (u *Update) cleanUp(ctx context.Context) error {
	// what runs already permits nothing older
	if signed := u.meta.signed; signed != nil && u.r.Slot != nil && u.r.Copy == "" {
		if err := u.meta.trust.Installed(signed); err != nil {
			return err
		}
	}
	if err := u.state.Prune(u.meta.used); err != nil {
		u.events.warn("state folder %s: %v", u.state.Name(), err)
	}
	if err := u.keepRecipe(ctx); err != nil && ctx.Err() == nil {
		// the next update takes longer
		u.events.warn("the recipe of slot %s is not kept: %v", u.r.Slot.Name(), err)
	}
	return nil
}
