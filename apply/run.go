package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"deltaup/apply/internal/nospace"
	"deltaup/apply/slotwriter"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// Run carries the update out: room is made sure of, everything missing is fetched
// and verified, the image is written without its superblock and read back, outputs are
// written, and the superblock comes last. After an error the slot holds what it held, or
// nothing bootable; another Run, of this or of a later process, goes on where it was.
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
	u.ready = false
	result := Result{
		Version:   u.release.Version,
		Route:     u.quote.Route,
		ImageSize: u.quote.ImageSize,
		Current:   u.current,
	}
	err := u.run(ctx, &result)
	if u.turnsWhole(err) {
		if err = u.findAnew(ctx); err == nil {
			u.ready = false
			err = u.run(ctx, &result)
		}
	}
	for n := 0; n < rounds && (u.belied(err) || errors.Is(err, ErrSeed) && u.failing()); n++ {
		if err = u.startOver(ctx, err); err == nil {
			u.ready = false
			result.BlocksCopied, result.BlocksCompressed = 0, 0
			err = u.run(ctx, &result)
		}
	}
	if err != nil {
		return Result{}, err
	}
	// what runs already permits nothing older
	if signed := u.meta.signed; signed != nil && u.r.Slot != nil && u.r.Copy == "" {
		if err := u.meta.trust.Installed(signed); err != nil {
			return Result{}, err
		}
	}
	if err := u.state.Prune(u.meta.used); err != nil {
		u.events.warn("state folder %s: %v", u.state.Name(), err)
	}
	if err := u.keepRecipe(ctx); err != nil && ctx.Err() == nil {
		// the next update takes longer
		u.events.warn("the recipe of slot %s is not kept: %v", u.r.Slot.Name(), err)
	}
	stats := u.r.Client.Stats()
	result.BytesFetched, result.Requests, result.Time = stats.BytesBody, stats.Requests, time.Since(
		start,
	)
	return result, nil
}

func (u *Update) run(ctx context.Context, result *Result) error {
	if u.image == nil && len(u.outputs) == 0 {
		return nil
	}
	if err := u.fetch(ctx); err != nil {
		return err
	}
	var held *slotwriter.Held
	if u.image != nil {
		var err error
		if held, err = u.writeImage(ctx, result); err != nil {
			return err
		}
	}
	src := newSource(u.seeds, u.state.Cache, u.at, nil)
	for i := range u.outputs {
		o := &u.outputs[i]
		if err := o.write(func(w io.Writer) error { return u.content(ctx, o, held, src, w) }); err != nil {
			return fmt.Errorf("artifact %s to %s: %w", o.artifact.Name, o.path, err)
		}
	}
	if held == nil {
		return nil
	}
	if err := held.Release(); err != nil {
		return err
	}
	if busy := held.Busy(); busy > 0 {
		if err := u.state.LearnWrite(u.image.Size, busy); err != nil {
			u.events.warn("state folder %s: %v", u.state.Name(), err)
		}
	}
	return nil
}

// fetch makes sure of the room before it fetches a byte.
func (u *Update) fetch(ctx context.Context) error {
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
	if err := u.fetchAll(ctx, &counter{total: u.plan.Bytes, stage: StageFetch, events: &u.events}); err != nil {
		return err
	}
	if made, err := u.makeInitrd(ctx); made || err != nil {
		return err
	}
	return u.fetch(ctx) // once: by another plan
}

// writeImage writes and proves the image, all but its superblock. A rebuild that fails for the sake
// of what was fetched or planned is done anew another way.
func (u *Update) writeImage(ctx context.Context, result *Result) (*slotwriter.Held, error) {
	if u.raw != nil {
		return u.copyRaw(ctx)
	}
	if e := u.early; e != nil {
		result.Route, result.BlocksCopied = string(delta.RouteBlocks), e.result.BlocksCopied
		return e.held, nil
	}
	for {
		result.Route = u.route()
		if u.plan.Route == delta.RouteWhole {
			result.BlocksCopied, result.BlocksCompressed = 0, 0
			return u.copyWhole(ctx)
		}
		var held *slotwriter.Held
		var err error
		if u.plan.Route == delta.RouteBlocks {
			held, err = u.layPieces(ctx, result, nil)
		} else {
			held, err = u.rebuild(ctx, result)
		}
		if err == nil {
			return held, nil
		}
		if err := u.otherWay(ctx, err, result.BlocksCopied > 0); err != nil {
			return nil, err
		}
		if err := u.replan(ctx); err != nil {
			return nil, err
		}
		if err := u.fetch(ctx); err != nil {
			return nil, err
		}
	}
}

// otherWay decides what to do after a rebuild that failed; it returns the error when there is
// nothing to be done. An image that is not the published one is tried once without copied blocks,
// which nothing else has proved; then it is fetched whole.
func (u *Update) otherWay(ctx context.Context, err error, copied bool) error {
	switch {
	case errors.Is(err, slotwriter.ErrOtherImage) && u.believes():
		return &beliedError{err}
	case errors.Is(err, slotwriter.ErrOtherImage) && copied && !u.prove:
		u.events.warn("%v; rebuilding it without copied blocks", err)
		u.prove = true
	case errors.Is(err, slotwriter.ErrOtherImage):
		u.events.warn("%v; fetching it whole", err)
		for _, r := range []delta.Route{delta.RoutePatch, delta.RouteChunks, delta.RouteBlocks} {
			u.closed[r] = err
		}
	default:
		return u.giveUp(ctx, err)
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

// rebuild makes the image from contents and blocks.
func (u *Update) rebuild(ctx context.Context, result *Result) (*slotwriter.Held, error) {
	return u.fill(ctx, true, func(ctx context.Context, w io.WriterAt) error {
		stats, err := mkimage.Build(ctx, u.recipe, u.source(), w, mkimage.BuildOptions{
			Memory:   u.encoderMemory(u.plan.Route),
			Encoders: u.encoders,
			Progress: func(done, total int64) { u.events.progress(StageRebuild, mirror.ImageName, done, total) },
		})
		result.BlocksCopied, result.BlocksCompressed = stats.BlocksCopied, stats.BlocksCompressed
		if errors.Is(err, mkimage.ErrContent) && !errors.Is(err, ErrSeed) {
			// Seeds and frames are verified before Build sees them: it is the recipe that
			// contradicts itself.
			return fmt.Errorf("%w: %w", slotwriter.ErrOtherImage, err)
		}
		if err != nil {
			return fmt.Errorf("rebuild into slot %s: %w", u.r.Slot.Name(), err)
		}
		return nil
	})
}

// source gives what the plan's route builds the image from.
func (u *Update) source() mkimage.Source {
	src := newSource(u.seeds, u.state.Cache, u.at, u.recipe)
	if u.plan.Route == delta.RoutePatch {
		src.chain = u.chain
	}
	if u.prove {
		return src
	}
	return withStored(src)
}

// copyRaw writes an image that is no squashfs from its chunks.
func (u *Update) copyRaw(ctx context.Context) (*slotwriter.Held, error) {
	held, err := u.copyInto(ctx, func(write func(p []byte, off int64) error) error {
		r, err := newSource(u.seeds, u.state.Cache, u.at, nil).Open(ctx, u.raw)
		if err != nil {
			return err
		}
		defer r.Close() // read only
		buf := make([]byte, 1<<20)
		for off := int64(0); ; {
			n, err := io.ReadFull(r, buf)
			if n > 0 {
				if err := write(buf[:n], off); err != nil {
					return err
				}
				off += int64(n)
			}
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	if errors.Is(err, slotwriter.ErrOtherImage) { // each chunk is right, so the list of them is not
		err = published(mirror.IndexPath(u.release.Index.ID), err)
	}
	return held, err
}

// copyWhole writes the image that was fetched whole, and whose hash is right.
func (u *Update) copyWhole(ctx context.Context) (*slotwriter.Held, error) {
	held, err := u.copyInto(ctx, func(write func(p []byte, off int64) error) error {
		return u.cachedImage(ctx, write)
	})
	// the state folder gives other bytes than when they were verified
	if errors.Is(err, slotwriter.ErrOtherImage) {
		err = fmt.Errorf("slot %s: %w: %w", u.r.Slot.Name(), ErrVerify, err)
	}
	return held, err
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
