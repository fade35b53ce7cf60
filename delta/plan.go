package delta

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"deltaup/chunkstore"
	"deltaup/internal/human"
)

// NewPlan decides by which route to get the image and what to fetch. It considers the offers that
// take no more bytes than the whole image. Of these it chooses the quickest, or with ForBytes the
// one with the fewest bytes, and of equals the first in need.Offers.
//
// Errors wrap ErrNoRoute, or chunkstore.ErrCorrupt for a location where nothing of that size can
// lie.
func NewPlan(need Need, have Have, o Options) (*Plan, error) {
	if o.maxRange <= 0 {
		o.maxRange = defaultMaxRange
	}
	if o.Parallel <= 0 {
		o.Parallel = DefaultParallel
	}
	b := builder{have: have, gap: o.Line.RequestCost(), maxRange: o.maxRange, size: o.Whole}
	if len(need.Offers) == 0 {
		p, err := b.plan(Offer{}, need)
		if err != nil {
			return nil, err
		}
		p.Time = o.Line.time(p.Bytes, 0, p.Requests, o.Parallel)
		return p, nil
	}
	plans := make([]*Plan, len(need.Offers))
	for i, offer := range need.Offers {
		if offer.Closed != "" {
			continue
		}
		p, err := b.plan(offer, need)
		if err != nil {
			return nil, err
		}
		fetch := o.Line.time(p.Bytes, offer.MetaRequests, p.Requests-offer.MetaRequests, o.Parallel)
		p.Time = o.CPU.timeBeside(fetch, offer, p.Bytes)
		plans[i] = p
	}
	limit := wholeBytes(need.Offers, plans)
	best := choose(plans, limit, o.Optimize)
	if best == nil {
		var why []string
		for _, offer := range need.Offers {
			why = append(why, fmt.Sprintf("%s: %s", offer.Route, offer.Closed))
		}
		return nil, fmt.Errorf("%w: %s", ErrNoRoute, strings.Join(why, "; "))
	}
	for i, offer := range need.Offers {
		best.Alternatives = append(best.Alternatives, judge(offer, plans[i], best, limit, o.Optimize))
	}
	return best, nil
}

// plan makes the plan of one offer, without its time.
func (b *builder) plan(offer Offer, need Need) (*Plan, error) {
	p := &Plan{Route: offer.Route, Exact: offer.MetaRequests == 0}
	if !p.Exact {
		p.Bytes = offer.MetaBytes + offer.Guess
		p.Requests = offer.MetaRequests + int((offer.Guess+b.maxRange-1)/b.maxRange)
		return p, b.pieces(p, need.Pieces, need.Other)
	}
	if offer.Whole {
		for _, piece := range offer.Pieces {
			b.whole(p, piece)
		}
		return p, b.pieces(p, need.Pieces, need.Other)
	}
	return p, b.pieces(p, slices.Concat(offer.Pieces, need.Pieces), offer.Chunks, need.Other)
}

// wholeBytes is what the whole image takes.
func wholeBytes(offers []Offer, plans []*Plan) int64 {
	for i, p := range plans {
		if p != nil && offers[i].Whole {
			return p.Bytes
		}
	}
	return math.MaxInt64
}

func choose(plans []*Plan, limit int64, o Optimize) *Plan {
	var best *Plan
	for _, p := range plans {
		if p != nil && p.Bytes <= limit && (best == nil || compare(p, best, o) < 0) {
			best = p
		}
	}
	return best
}

// compare tells which of two plans is better: a negative number for p.
func compare(p, q *Plan, o Optimize) int {
	if o == ForBytes {
		return cmp.Or(cmp.Compare(p.Bytes, q.Bytes), cmp.Compare(p.Time, q.Time))
	}
	return cmp.Or(cmp.Compare(p.Time, q.Time), cmp.Compare(p.Bytes, q.Bytes))
}

// judge describes the offer, whose plan is p, beside the best plan.
func judge(offer Offer, p, best *Plan, limit int64, o Optimize) Alternative {
	if p == nil {
		return Alternative{Route: offer.Route, Why: offer.Closed}
	}
	a := Alternative{
		Route:    offer.Route,
		Chosen:   p == best,
		Exact:    p.Exact,
		Bytes:    p.Bytes,
		Requests: p.Requests,
		Time:     p.Time,
	}
	bytes, longer := p.Bytes-best.Bytes, p.Time-best.Time
	switch {
	case a.Chosen:
	case p.Bytes > limit:
		a.Why = "more bytes than the whole image"
	case o == ForBytes && bytes > 0:
		a.Why = human.Size(bytes) + " more"
	case longer > 0:
		a.Why = fmt.Sprintf("%v longer", roughly(longer))
	case bytes > 0:
		a.Why = human.Size(bytes) + " more"
	default:
		a.Why = "no better"
	}
	return a
}

// roughly rounds a duration as an estimate deserves.
func roughly(d time.Duration) time.Duration {
	switch {
	case d < 10*time.Millisecond:
		return d
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(time.Second)
}

// add appends ranges and counts them.
func (p *Plan) add(ranges []Range) {
	for _, r := range ranges {
		p.Bytes += r.Skip + r.Length
	}
	p.Requests += len(ranges)
	p.Ranges = append(p.Ranges, ranges...)
}

// checkLocation refuses a location that c's frame cannot have: a frame is a tag byte and at most
// c.Size bytes. It bounds what a wrong index can make a target fetch.
func checkLocation(c chunkstore.Chunk, at chunkstore.Location) error {
	if c.IsHole() || at.Offset < 0 || at.Length <= 0 || at.Length > c.Size+1 ||
		at.Offset > math.MaxInt64-at.Length {
		return fmt.Errorf("index: chunk %s of %d bytes cannot lie at %d+%d: %w", c.ID, c.Size,
			at.Offset, at.Length, chunkstore.ErrCorrupt)
	}
	return nil
}
