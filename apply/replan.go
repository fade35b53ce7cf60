package apply

import (
	"context"
	"errors"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
)

// replan plans with what is known and on disk now. As long as the best route's metadata are
// missing, it fetches them and plans again.
func (u *Update) replan(ctx context.Context) error {
	for {
		need := delta.Need{Offers: u.offers(), Other: u.other, Pieces: u.outputs.pieces()}
		plan, err := delta.NewPlan(need, u.have(), u.options())
		if errors.Is(err, chunkstore.ErrCorrupt) {
			return published(mirror.IndexPath(u.release.Index.ID), err)
		}
		if errors.Is(err, delta.ErrNoRoute) && u.filesUnread && u.r.Route == "" {
			if err := u.readSeedsNow(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("release %s: %w", u.release.Version, u.noRoute(err))
		}
		u.take(plan, need.Offers)
		if plan.Exact {
			if m, ok := u.route.(maker); ok {
				if err := u.checkMemory(m.making()); err != nil {
					u.closeRoute(u.route, err)
					continue
				}
			}
			u.limitMemory()
			return nil
		}
		if err := u.route.load(ctx); err != nil && !u.fetcher.turnsWhole(err) {
			return err
		}
		if u.r.Copy != "" && !u.copyIsSeed && !u.laysCopy() {
			if err := u.openCopy(ctx); err != nil {
				return err
			}
			if err := u.findRoutes(ctx); err != nil {
				return err
			}
		}
	}
}

// take makes a plan the update's, with its route and that route's offer.
func (u *Update) take(plan *delta.Plan, offers []delta.Offer) {
	u.plan, u.route, u.offer = plan, nil, delta.Offer{}
	for _, o := range offers {
		if o.Route == plan.Route {
			u.route, u.offer = u.named(o.Route), o
		}
	}
	if u.image != nil && !u.rebuilds() {
		u.route = u.raw
	}
}

// have is what the target has already.
func (u *Update) have() delta.Have { return have{Cache: u.state.Cache, seeds: u.seeds} }

func (u *Update) options() delta.Options {
	o := delta.Options{
		Line:     u.meta.line,
		CPU:      u.machine.cpu,
		Optimize: u.r.Optimize,
		Parallel: u.r.Parallel,
	}
	if u.fetcher.wholeFiles {
		o.Whole = u.fetcher.size
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
		WholeFiles:   u.fetcher.wholeFiles,
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
	if u.route != nil {
		u.quote.Route = string(u.route.name())
		u.route.describe(&u.quote)
	}
	u.quote.Bytes, u.quote.Requests, u.quote.Time = p.Bytes, p.Requests, p.Time
	u.quote.ChunksHave, u.quote.ChunksCached = p.ChunksHave, p.ChunksCached
	u.quote.ChunksFetch = p.ChunksFetch
	u.quote.Alternatives = p.Alternatives
}
