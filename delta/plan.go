package delta

import (
	"fmt"
	"time"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

const (
	defaultMaxRange = 8 << 20
	defaultParallel = 4

	// What a request may be worth in bytes: below, headers weigh more than the
	// gap; above, a wrong idea of the line would fetch too much of nothing.
	minRequestCost = 4 << 10
	maxRequestCost = 256 << 10
)

// NewPlan decides what to fetch. Of the routes that are open it takes the one with
// fewer bytes; when they are equal, the whole image, which costs the target less work.
//
// Errors wrap ErrNoRoute, or chunkstore.ErrCorrupt for locations that no chunk of that size can have.
func NewPlan(need Need, have Have, line Line, o Options) (*Plan, error) {
	b := builder{have: have, gap: line.RequestCost(), maxRange: o.MaxRange}
	if b.maxRange <= 0 {
		b.maxRange = defaultMaxRange
	}
	var routes []*Plan
	if need.Whole.Size > 0 {
		p := &Plan{Route: FetchWhole}
		b.whole(p, need.Whole)
		if err := b.chunks(p, need.Other); err != nil {
			return nil, err
		}
		routes = append(routes, p)
	}
	noImage := need.Whole.Size == 0 && len(need.Image.Chunks) == 0
	if noImage || mkimage.KnownCodec(need.Codec) {
		p := &Plan{Route: Rebuild}
		if err := b.chunks(p, need.Image, need.Other); err != nil {
			return nil, err
		}
		routes = append(routes, p)
	}
	if len(routes) == 0 {
		return nil, fmt.Errorf("%w: its codec %q is not known here and the mirror does not keep it whole", ErrNoRoute, need.Codec)
	}
	best := routes[0]
	for _, p := range routes[1:] {
		if p.Bytes < best.Bytes {
			best = p
		}
	}
	best.Time = best.Estimate(line, o.Parallel)
	return best, nil
}

// Estimate is how long the plan's requests take on a line, parallel (0: the default) at once.
func (p *Plan) Estimate(line Line, parallel int) time.Duration {
	if parallel <= 0 {
		parallel = defaultParallel
	}
	line = line.orDefault()
	trips := (p.Requests + parallel - 1) / parallel
	return time.Duration(trips)*line.RTT + time.Duration(float64(p.Bytes)/line.Rate*float64(time.Second))
}

// RequestCost is how many bytes the line carries in the time that one more request takes: a
// gap between two wanted frames is fetched along when it is no longer than that.
func (l Line) RequestCost() int64 {
	l = l.orDefault()
	return int64(min(max(l.Rate*l.RTT.Seconds(), minRequestCost), maxRequestCost))
}

func (l Line) orDefault() Line {
	if !(l.Rate > 0) {
		l.Rate = DefaultLine.Rate
	}
	if l.RTT <= 0 {
		l.RTT = DefaultLine.RTT
	}
	return l
}

// add enters finished ranges.
func (p *Plan) add(ranges []Range) {
	for _, r := range ranges {
		p.Bytes += r.Length
	}
	p.Requests += len(ranges)
	p.Ranges = append(p.Ranges, ranges...)
}

// checkLocation refuses what no frame can be: a frame is a tag byte and at most the chunk's
// plain bytes. It bounds what a wrong index can make a target fetch.
func checkLocation(c chunkstore.Chunk, at chunkstore.Location) error {
	if c.IsHole() || at.Offset < 0 || at.Length <= 0 || at.Length > c.Size+1 || at.Offset+at.Length < at.Offset {
		return fmt.Errorf("index: chunk %s of %d bytes cannot lie at %d+%d: %w", c.ID, c.Size, at.Offset, at.Length, chunkstore.ErrCorrupt)
	}
	return nil
}
