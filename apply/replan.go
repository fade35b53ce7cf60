package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
)

// replan plans with what is known and on disk now. As long as the best route's metadata are
// missing, it fetches them and plans again.
func (u *Update) replan(ctx context.Context) error {
	for {
		ways := u.ways()
		plan, err := delta.NewPlan(delta.Need{Ways: ways, Other: u.other, Pieces: u.initrdPieces},
			have{Cache: u.state.Cache, seeds: u.seeds}, u.options())
		if errors.Is(err, chunkstore.ErrCorrupt) {
			return published(mirror.IndexPath(u.release.Index.ID), err)
		}
		if errors.Is(err, delta.ErrNoRoute) && u.seedless && u.r.Route == "" {
			if err := u.readSeedsNow(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("release %s: %w", u.release.Version, u.noRoute(err))
		}
		u.plan, u.way = plan, delta.Way{}
		if i := slices.IndexFunc(ways, func(w delta.Way) bool { return w.Route == plan.Route }); i >= 0 {
			u.way = ways[i]
		}
		if plan.Exact {
			return nil
		}
		if err := u.load(ctx, plan.Route); err != nil && !u.turnsWhole(err) {
			return err
		}
		if u.r.Copy != "" && !u.copied && !u.copies() {
			if err := u.openCopy(ctx); err != nil {
				return err
			}
			if err := u.findRoutes(ctx); err != nil {
				return err
			}
		}
	}
}

func (u *Update) options() delta.Options {
	o := delta.Options{
		Line:     u.meta.line,
		CPU:      u.cpu,
		Optimize: u.r.Optimize,
		Parallel: u.r.Parallel,
	}
	if u.wholeFiles {
		o.Whole = u.size
	}
	return o
}

func (u *Update) setQuote() {
	stats := u.r.Client.Stats()
	u.quote = Quote{
		Version:      u.release.Version,
		Route:        "none",
		MetaBytes:    stats.BytesBody,
		MetaRequests: stats.Requests,
		Current:      u.current,
		WholeFiles:   u.wholeFiles,
	}
	if signed := u.meta.signed; signed != nil {
		u.quote.KernelArguments, u.quote.Notes = signed.KernelArguments, signed.Notes
	}
	if image := u.release.Artifact(mirror.ImageName); image != nil {
		u.quote.ImageSize = image.Size
	}
	p := u.plan
	if p == nil {
		return
	}
	if u.image != nil {
		u.quote.Route = u.route()
	}
	if p.Route == delta.RoutePatch {
		u.quote.Sets = len(u.chain.sets)
	}
	u.quote.Bytes, u.quote.Requests, u.quote.Time = p.Bytes, p.Requests, p.Time
	u.quote.ChunksHave, u.quote.ChunksCached, u.quote.ChunksFetch = p.ChunksHave, p.ChunksCached, p.ChunksFetch
	u.quote.Alternatives = p.Alternatives
}

// route names the plan's route; a raw image has no other than by chunks.
func (u *Update) route() string {
	if u.raw != nil {
		return string(delta.RouteChunks)
	}
	return string(u.plan.Route)
}
