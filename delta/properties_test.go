package delta

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"deltaup/chunkstore"
)

// TestProperties draws needs and haves at random and checks, byte by byte, what holds for every
// plan.
func TestProperties(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		need, have := randomCase(rnd)
		o := Options{
			maxRange: 1 + rnd.Int64N(3000),
			Line:     Line{Rate: float64(1 + rnd.IntN(1e6)), RTT: time.Duration(rnd.IntN(100)) * time.Millisecond},
			Optimize: []Optimize{ForTime, ForBytes}[rnd.IntN(2)],
		}
		p, err := NewPlan(need, have, o)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		checkChoice(t, seed, need, have, o, p)
		if p.Exact {
			checkPlan(t, seed, need, have, o, p)
		}
		if t.Failed() {
			return
		}
	}
}

// randomChunks lays out chunks in packs, which they share with the chunks of other lists.
func randomChunks(rnd *rand.Rand, from, n int, ends []int64, have target) (l List) {
	for i := range n {
		file := rnd.IntN(len(ends))
		c := chunkstore.Chunk{ID: id('c', from+i), Size: 1 + rnd.Int64N(500)}
		at := chunkstore.Location{Pack: id('p', file), Length: 1 + rnd.Int64N(c.Size)}
		if rnd.IntN(3) == 0 {
			ends[file] += rnd.Int64N(9000)
		}
		at.Offset = ends[file]
		ends[file] += at.Length
		l.Chunks, l.Locations = append(l.Chunks, c), append(l.Locations, at)
		if rnd.IntN(3) == 0 {
			have.chunks[c.ID] = true
		}
	}
	return l
}

func randomCase(rnd *rand.Rand) (Need, target) {
	have := target{chunks: map[chunkstore.ID]bool{}, extents: map[chunkstore.ID][]Extent{}}
	ends := make([]int64, 1+rnd.IntN(3))
	need := Need{Other: randomChunks(rnd, 100, rnd.IntN(5), ends, have)}
	for i, route := range []Route{routePatch, routeChunks, routeBlocks} {
		w := Offer{Route: route, Work: Work{Compress: rnd.Int64N(1e5), Patch: rnd.Int64N(1e5)}}
		if route != routeBlocks {
			w.Chunks = randomChunks(rnd, i*40, rnd.IntN(20), ends, have)
		}
		if route != routeChunks {
			file := File{Kind(2 - i/2), id(byte('s'+i), 0)}
			at := int64(0)
			for range rnd.IntN(20) {
				at += rnd.Int64N(2) * rnd.Int64N(9000)
				n := 1 + rnd.Int64N(400)
				w.Pieces = append(w.Pieces, Piece{file, Extent{at, n}})
				at += n
			}
			rnd.Shuffle(len(w.Pieces), func(i, j int) { w.Pieces[i], w.Pieces[j] = w.Pieces[j], w.Pieces[i] })
		}
		switch rnd.IntN(6) {
		case 0:
			w.Closed = "shut"
		case 1:
			w.MetaRequests, w.MetaBytes, w.Guess = 1+rnd.IntN(3), rnd.Int64N(1000), rnd.Int64N(5000)
		}
		need.Offers = append(need.Offers, w)
	}
	need.Offers = append(need.Offers, wholeOffer(1+rnd.Int64N(20000)))
	for _, file := range []chunkstore.ID{id('p', 0), id('p', 1), id('i', 0), id('s', 0), id('u', 0)} {
		for range rnd.IntN(4) {
			have.extents[file] = append(have.extents[file], Extent{rnd.Int64N(10000), rnd.Int64N(1500)})
		}
	}
	return need, have
}

// checkChoice plans each offer alone and checks that none is better.
func checkChoice(t *testing.T, seed uint64, need Need, have target, o Options, p *Plan) {
	t.Helper()
	alone := map[Route]*Plan{}
	for i, w := range need.Offers {
		a := p.Alternatives[i]
		if w.Closed != "" {
			if a.Why != w.Closed || a.Chosen {
				t.Errorf("seed %d: alternative %+v for an offer that is %s", seed, a, w.Closed)
			}
			continue
		}
		q, err := NewPlan(Need{Offers: []Offer{w}, Other: need.Other}, have, o)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		alone[w.Route] = q
		if a.Route != w.Route || a.Bytes != q.Bytes || a.Requests != q.Requests || a.Time != q.Time || a.Exact != (w.MetaRequests == 0) {
			t.Errorf("seed %d: alternative %+v, alone it is %+v", seed, a, q)
		}
		if a.Chosen != (w.Route == p.Route) || a.Chosen == (a.Why != "") {
			t.Errorf("seed %d: alternative %+v of a plan for %s", seed, a, p.Route)
		}
	}
	limit := alone[routeWhole].Bytes
	if p.Bytes > limit {
		t.Errorf("seed %d: %d bytes, the whole image has %d", seed, p.Bytes, limit)
	}
	for _, q := range alone {
		if q.Bytes <= limit && (o.Optimize == ForBytes && q.Bytes < p.Bytes || o.Optimize == ForTime && q.Time < p.Time) {
			t.Errorf("seed %d: %s takes %d bytes and %v, %s was chosen with %d and %v", seed, q.Route, q.Bytes, q.Time, p.Route, p.Bytes, p.Time)
		}
	}
}

// checkPlan checks the ranges of a plan.
func checkPlan(t *testing.T, seed uint64, need Need, have target, o Options, p *Plan) {
	t.Helper()
	offer := need.Offers[slices.IndexFunc(need.Offers, func(w Offer) bool { return w.Route == p.Route })]
	// by file: offsets of the bytes that must be fetched
	wanted := map[chunkstore.ID]map[int64]bool{}
	pieces := map[chunkstore.ID][]Extent{}
	want := func(file chunkstore.ID, e Extent) (missing bool) {
		if wanted[file] == nil {
			wanted[file] = map[int64]bool{}
		}
		pieces[file] = append(pieces[file], e)
		for at := e.Offset; at < e.End(); at++ {
			if !onDisk(have.extents[file], at) {
				wanted[file][at] = true
				missing = true
			}
		}
		return missing
	}
	for _, x := range offer.Pieces {
		want(x.File.ID, x.Extent)
	}
	total, fetch := 0, 0
	for _, l := range []List{need.Other, offer.Chunks} {
		for i, c := range l.Chunks {
			total++
			if at := l.Locations[i]; !have.chunks[c.ID] && want(at.Pack, Extent{at.Offset, at.Length}) {
				fetch++
			}
		}
	}
	got := map[chunkstore.ID]map[int64]bool{}
	var bytes int64
	for _, r := range p.Ranges {
		bytes += r.Length
		if got[r.File.ID] == nil {
			got[r.File.ID] = map[int64]bool{}
		}
		idle := int64(0)
		for at := r.Offset; at < r.Offset+r.Length; at++ {
			if got[r.File.ID][at] {
				t.Fatalf("seed %d: byte %d planned twice", seed, at)
			}
			if onDisk(have.extents[r.File.ID], at) {
				t.Fatalf("seed %d: byte %d is on disk and planned again", seed, at)
			}
			got[r.File.ID][at] = true
			if wanted[r.File.ID][at] {
				delete(wanted[r.File.ID], at)
				idle = 0
			} else if idle++; idle > o.Line.RequestCost() {
				t.Fatalf("seed %d: a gap longer than a request is worth", seed)
			}
		}
		whole := func(e Extent) bool { return e.Offset <= r.Offset && r.Offset+r.Length <= e.End() }
		if r.Length > o.maxRange && (p.Route == routeWhole && r.File.Kind == ImageFile || !slices.ContainsFunc(pieces[r.File.ID], whole)) {
			t.Fatalf("seed %d: a range of several pieces and %d bytes is longer than %d", seed, r.Length, o.maxRange)
		}
	}
	for file, rest := range wanted {
		if len(rest) > 0 {
			t.Fatalf("seed %d: %d wanted bytes of %s are not planned", seed, len(rest), file)
		}
	}
	if bytes != p.Bytes || len(p.Ranges) != p.Requests {
		t.Fatalf("seed %d: plan says %d bytes, %d requests; ranges have %d, %d", seed, p.Bytes, p.Requests, bytes, len(p.Ranges))
	}
	if p.ChunksHave+p.ChunksCached+p.ChunksFetch != total || p.ChunksFetch != fetch {
		t.Fatalf("seed %d: %d+%d+%d chunks of %d", seed, p.ChunksHave, p.ChunksCached, p.ChunksFetch, total)
	}
}

func onDisk(extents []Extent, at int64) bool {
	return slices.ContainsFunc(extents, func(e Extent) bool { return e.Offset <= at && at < e.End() })
}

// TestWholeFileProperties checks plans for mirrors that send whole files: each file comes once with
// all that is needed of it, nothing costs more than the whole image, and the plan counts what
// comes.
func TestWholeFileProperties(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		need, have := randomCase(rnd)
		sizes := map[File]int64{}
		o := Options{
			maxRange: 1 + rnd.Int64N(3000),
			Line:     Line{Rate: float64(1 + rnd.IntN(1e6)), RTT: time.Duration(rnd.IntN(100)) * time.Millisecond},
			Optimize: []Optimize{ForTime, ForBytes}[rnd.IntN(2)],
			Whole: func(f File) int64 {
				if f.Kind == ImageFile {
					return need.Offers[len(need.Offers)-1].Pieces[0].Length
				}
				if sizes[f] == 0 {
					sizes[f] = 1 + rnd.Int64N(60000)
				}
				return sizes[f]
			},
		}
		p, err := NewPlan(need, have, o)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		checkChoice(t, seed, need, have, o, p)
		seen := map[File]bool{}
		var bytes int64
		for _, r := range p.Ranges {
			if seen[r.File] || r.Skip != r.Offset || r.Skip+r.Length < o.Whole(r.File) || onDisk(have.extents[r.File.ID], r.Offset) {
				t.Fatalf("seed %d: range %+v of a file of %d", seed, r, o.Whole(r.File))
			}
			seen[r.File] = true
			bytes += r.Skip + r.Length
		}
		if p.Exact && bytes != p.Bytes {
			t.Fatalf("seed %d: plan says %d bytes, ranges have %d", seed, p.Bytes, bytes)
		}
		if !p.Exact {
			continue
		}
		offer := need.Offers[slices.IndexFunc(need.Offers, func(w Offer) bool { return w.Route == p.Route })]
		check := func(f File, e Extent) {
			for at := e.Offset; at < e.End(); at++ {
				if !onDisk(have.extents[f.ID], at) && !seen[f] {
					t.Fatalf("seed %d: byte %d of %v is not planned", seed, at, f)
				}
			}
		}
		for _, x := range offer.Pieces {
			check(x.File, x.Extent)
		}
		for _, l := range []List{need.Other, offer.Chunks} {
			for i, c := range l.Chunks {
				if at := l.Locations[i]; !have.chunks[c.ID] {
					check(File{PackFile, at.Pack}, Extent{at.Offset, at.Length})
				}
			}
		}
		if t.Failed() {
			return
		}
	}
}
