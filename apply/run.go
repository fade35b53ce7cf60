package apply

import (
	"context"
	"errors"
	"time"

	"deltaup/apply/slotwriter"
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
	if err := u.runAgain(ctx, &result); err != nil {
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

// runAgain takes the steps, and takes them again from the seeds on when the plan went by something
// that turns out wrong: the mirrors send only whole files, a kept recipe is not that of the seed,
// or a seed's medium fails.
func (u *Update) runAgain(ctx context.Context, result *Result) error {
	err := u.steps(ctx, result)
	if u.fetcher.turnsWhole(err) {
		if err = u.findAnew(ctx); err == nil {
			err = u.steps(ctx, result)
		}
	}
	failing := func() bool { return u.seeds.failing() || u.blocks.pieces.failing() }
	for n := 0; n < maxRounds && (u.blamesKept(err) || errors.Is(err, ErrSeed) && failing()); n++ {
		if err = u.startOver(ctx, err); err == nil {
			result.BlocksCopied, result.BlocksCompressed = 0, 0
			err = u.steps(ctx, result)
		}
	}
	return err
}

// steps takes the steps 6 to 13 of doc/pull.md, "Order of work". Prepare has taken those before.
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

// cleanUp is step 14. It notes which release is installed, removes what was fetched, and keeps the
// recipe of the new image.
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
	if err := u.keepRecipe(); err != nil && ctx.Err() == nil {
		// the next update takes longer
		u.events.warn("the recipe of slot %s is not kept: %v", u.r.Slot.Name(), err)
	}
	return nil
}
