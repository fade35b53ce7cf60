package apply

import (
	"context"

	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage/squashfs"
)

const (
	// wholeMin is the size of an image below which the seeds are always read: it takes no time.
	wholeMin = 16 << 20
	// probeFrom is the least rate, in bytes per second, of a line on which the whole image may be
	// there before the seeds are read.
	probeFrom = 2.5e6
	// probeSize is how many bytes tell such a line's rate.
	probeSize = 1 << 20
)

// readsSeeds decides whether the files in the seeds are read. On a fast line it takes less time to
// fetch the image whole, or those of its stored blocks that the seeds lack. To know these, the
// stored bytes of the seeds are enough.
func (u *Update) readsSeeds(ctx context.Context) (bool, error) {
	if !u.rebuilds() || len(u.outputs) > 0 || len(u.r.Seeds) == 0 || u.r.Copy != "" {
		return true, nil
	}
	if u.r.Route != "" || u.r.Optimize == delta.ForBytes || u.image.Size < wholeMin {
		return u.r.Route == "" || u.readsFiles(u.r.Route), nil
	}
	if err := u.fetcher.probe(ctx, u.release); err != nil {
		return true, err
	}
	if u.meta.line.Rate <= 0 {
		return true, nil
	}
	for _, path := range u.r.Seeds {
		if u.ignoreKept || !u.state.Recipes.Knows(path) {
			// else it shows when the seed is read
			if f, size, err := squashfs.OpenMedium(path); err == nil {
				u.unread += size
				f.Close() // read only
			}
		}
	}
	// To measure this machine takes time as well, and on a fast line the answer is often the same
	// on any.
	guess := func() delta.CPU {
		return u.machine.guess(u.r.Seeds, u.r.Early, u.state.DecodeRate())
	}
	for _, cpu := range []func() delta.CPU{u.machine.atMost, guess} {
		reads, err := u.routeReadsSeeds(ctx, cpu())
		if err != nil || !reads {
			return reads, err
		}
	}
	return true, nil
}

// routeReadsSeeds tells whether the route that is best on such a machine needs the files in the
// seeds.
func (u *Update) routeReadsSeeds(ctx context.Context, cpu delta.CPU) (bool, error) {
	o := u.options()
	o.CPU = cpu
	for {
		plan, err := delta.NewPlan(delta.Need{Offers: u.guesses()}, u.have(), o)
		if err != nil || u.readsFiles(plan.Route) {
			return true, nil
		}
		if plan.Exact {
			return false, nil
		}
		if err := u.named(plan.Route).load(ctx); err != nil {
			return true, err
		}
	}
}

// probe measures the line, unless it was told, with bytes of the patch set that a target of the
// release before takes: its head, and, when that was quick, some of the rest.
func (f *fetcher) probe(ctx context.Context, release *mirror.Release) error {
	if f.wholeFiles || f.meta.told || f.client.Local() || len(release.Patches) == 0 {
		return nil
	}
	s := f.newSet(&release.Patches[0], release)
	head, size := s.patch.Head.Size, s.patch.Set.Size
	if _, err := f.extent(ctx, s.file(), delta.Extent{Length: head}); err != nil ||
		f.meta.line.Rate < probeFrom {
		return ignoreUnusable(err)
	}
	_, err := f.extent(ctx, s.file(),
		delta.Extent{Offset: head, Length: min(probeSize, size-head)})
	return ignoreUnusable(err)
}

// readSeedsNow reads the files in the seeds after all, and finds the routes from them.
func (u *Update) readSeedsNow(ctx context.Context) error {
	if !u.filesUnread {
		return nil
	}
	u.filesUnread = false
	if err := u.openSeeds(ctx); err != nil {
		return err
	}
	return u.findRoutes(ctx)
}

// findRoutes finds out what leads from the seeds to the image.
func (u *Update) findRoutes(ctx context.Context) error {
	if err := u.patch.find(ctx); err != nil {
		return err
	}
	memory := u.encoderMemory(u.patch.chain)
	u.machine.measure(ctx, u.seeds, u.state.DecodeRate(), memory)
	return nil
}
