package apply

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"deltaup/apply/slotwriter"
	"deltaup/internal/human"
	"deltaup/mirror"
	"deltaup/mkimage/squashfs"
)

func (u *Update) prepare(ctx context.Context) error {
	var err error
	if u.release, err = u.meta.release(ctx, u.r.Channel, u.r.Version); err != nil {
		return err
	}
	if u.r.Compatible != "" && u.release.Compatible != "" &&
		u.r.Compatible != u.release.Compatible {
		return fmt.Errorf("release %s is for %q, this is %q: %w", u.release.Version,
			u.release.Compatible, u.r.Compatible, ErrIncompatible)
	}
	if u.r.Accept != nil {
		if u.r.Outputs, err = u.r.Accept(u.release); err != nil {
			return err
		}
	}
	if err := u.takeBundled(); err != nil {
		return err
	}
	return u.findWay(ctx)
}

// findWay takes the steps 3 to 5 of doc/pull.md: it finds out what has still to be made, reads the
// seeds and plans.
func (u *Update) findWay(ctx context.Context) error {
	err := u.find(ctx)
	if u.fetcher.turnsWhole(err) {
		return u.findAnew(ctx)
	}
	if u.blamesKept(err) {
		return u.startOver(ctx, err)
	}
	u.ready = err == nil
	return err
}

// findAnew forgets what was found, and finds it once more.
func (u *Update) findAnew(ctx context.Context) error {
	err := u.found.close()
	u.machine.encoders = nil
	if u.found = u.newFound(); err != nil {
		return err
	}
	return u.findWay(ctx)
}

func (u *Update) find(ctx context.Context) error {
	if err := u.wanted(ctx); err != nil {
		return err
	}
	if u.image == nil && len(u.outputs) == 0 {
		u.setQuote()
		return nil
	}
	u.fetcher.learnRanges(ctx, u.release)
	u.noteSeeds()
	reads, err := u.readsSeeds(ctx)
	if err != nil {
		return err
	}
	if u.filesUnread = !reads; reads {
		if err := u.openSeeds(ctx); err != nil {
			return err
		}
	}
	if u.needsIndex() {
		if err := u.loadIndex(ctx); err != nil { // raw artifacts come by chunks
			return err
		}
	}
	if u.rebuilds() {
		if err := u.findRoutes(ctx); err != nil {
			return err
		}
	}
	if err = u.replan(ctx); err == nil {
		err = u.loadParts(ctx)
	}
	u.setQuote()
	return err
}

// rebuilds tells whether the image is wanted and is one that has a recipe.
func (u *Update) rebuilds() bool { return u.image != nil && u.image.Kind == mirror.KindSquashfs }

// wanted finds out which of the release's artifacts have still to be made.
func (u *Update) wanted(ctx context.Context) error {
	var err error
	if u.outputs, err = findOutputs(u.release, u.r.Outputs); err != nil {
		return err
	}
	if u.r.Slot == nil && !u.r.PlanOnly {
		return nil
	}
	image := u.release.Artifact(mirror.ImageName)
	if image == nil {
		return fmt.Errorf("release %s: image: %w", u.release.Version, ErrNoArtifact)
	}
	u.fetcher.sizes[image.ID] = image.Size
	if u.r.Slot == nil {
		u.image = image
		return nil
	}
	capacity, err := u.r.Slot.Capacity()
	if err != nil {
		return err
	}
	if capacity < image.Size {
		return fmt.Errorf("slot %s: %w: the image of release %s has %s, %s more than it holds",
			u.r.Slot.Name(), ErrNoSpace, u.release.Version, human.Size(image.Size),
			human.Size(image.Size-capacity))
	}
	if u.current, err = holds(ctx, u.r.Slot, image, u.r.ReadBack); err != nil {
		return err
	}
	if !u.current {
		u.image = image
	}
	return nil
}

// openSeeds opens the seeds that were given, and what the outputs replace.
func (u *Update) openSeeds(ctx context.Context) error {
	for _, path := range u.r.Seeds {
		seed, err := u.openSeed(ctx, path, &u.events)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err != nil {
			u.leaveOut(path, err)
			continue
		}
		u.seeds.list = append(u.seeds.list, seed)
		if err := u.keepSeed(seed); err != nil {
			// the next update takes longer
			u.events.warn("the recipe of seed %s is not kept: %v", path, err)
		}
	}
	if err := u.openCopy(ctx); err != nil {
		return err
	}
	if u.current && len(u.outputs.rebuilt()) > 0 { // the slot is not written any more
		if seed, err := u.openSeed(ctx, u.r.Slot.Name(), &u.events); err == nil {
			u.seeds.list = append(u.seeds.list, seed)
		}
	}
	for _, o := range u.outputs {
		if seed, err := u.openSeed(ctx, o.path, &events{}); err == nil {
			u.seeds.list = append(u.seeds.list, seed)
		}
	}
	u.outputs.findSame(u.seeds.list)
	// the copied image has all that there is in what is built beside it, or nearly
	if u.r.Copy == "" {
		if err := u.seeds.unpack(ctx, u.outputs.rebuilt(), u.state.Tmp()); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// openCopy makes the copy of the image a seed like others when the image is not laid from it piece
// by piece.
func (u *Update) openCopy(ctx context.Context) error {
	if u.r.Copy == "" || u.copyIsSeed || u.image == nil || u.laysCopy() {
		return nil
	}
	u.copyIsSeed = true
	seed, err := u.openSeed(ctx, u.r.Copy, &u.events)
	if err != nil {
		if ctx.Err() == nil { // it is damaged, so much that it is of no use
			u.events.warn("%v", err)
		}
		return ctx.Err()
	}
	u.seeds.list = append(u.seeds.list, seed)
	return nil
}

// holds tells whether the slot already has the image. It reads the slot whole only when that looks
// so. A slot that starts with zeros, as an interrupted update leaves one, does not, nor does one
// that starts with an image of another length. Seen, unless nil, sees what is read.
func holds(ctx context.Context, slot SizedStorage, image *mirror.Artifact,
	seen func(p []byte, off int64)) (bool, error) {
	head := make([]byte, slotwriter.HeadSize)
	if n, err := slot.ReadAt(head, 0); err != nil && err != io.EOF {
		return false, fmt.Errorf("slot %s: %w", slot.Name(), err)
	} else if bytes.Equal(head[:n], make([]byte, n)) {
		return false, nil
	}
	if _, err := slot.ReadAt(head[:1], image.Size-1); err != nil {
		return false, nil // shorter; a medium that cannot be read shows when it is written
	}
	if image.Kind == mirror.KindSquashfs {
		old, err := squashfs.Open(slot, image.Size)
		if err != nil || !endsIn(image.Size, old.Info().BytesUsed) {
			return false, nil
		}
	}
	id, err := slotwriter.ReadBack(ctx, image.Size, slot.ReadAt, seen)
	if err != nil && ctx.Err() == nil {
		return false, nil
	}
	return id == image.ID, err
}

// endsIn tells whether an image of that size may use so many bytes: all but trailer and padding.
func endsIn(size, used int64) bool {
	return used <= size && size-used < squashfs.TrailerMax+squashfs.PadSize
}
