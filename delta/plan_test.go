package delta

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"deltaup/chunkstore"
)

// target is a Have made of sets.
type target struct {
	chunks  map[chunkstore.ID]bool
	extents map[chunkstore.ID][]Extent
}

func (t target) Chunk(id chunkstore.ID) bool         { return t.chunks[id] }
func (t target) Extents(file chunkstore.ID) []Extent { return t.extents[file] }

func id(kind byte, n int) (id chunkstore.ID) {
	id[0] = kind
	binary.BigEndian.PutUint64(id[1:], uint64(n)+1)
	return id
}

// list lays chunks of these stored lengths out in pack 0, each behind a gap.
func list(lengths, gaps []int64) List {
	var l List
	var at int64
	for i, n := range lengths {
		at += gaps[i]
		l.Chunks = append(l.Chunks, chunkstore.Chunk{ID: id('c', i), Size: n + 10})
		l.Locations = append(l.Locations, chunkstore.Location{Pack: id('p', 0), Offset: at, Length: n})
		at += n
	}
	return l
}

// chunkNeed is a release that comes by chunks only.
func chunkNeed(l List) Need { return Need{Ways: []Way{{Route: RouteChunks, Chunks: l}}} }

// wholeWay is the finished image.
func wholeWay(size int64) Way {
	return Way{Route: RouteWhole, Pieces: []Piece{{File{ImageFile, id('i', 0)}, Extent{0, size}}}}
}

func offsets(p *Plan) (out [][2]int64) {
	for _, r := range p.Ranges {
		out = append(out, [2]int64{r.Offset, r.Length})
	}
	return out
}

func TestRanges(t *testing.T) {
	line := Line{Rate: 1e6, RTT: 10 * time.Millisecond} // a request is worth 10,000 bytes
	tests := []struct {
		name          string
		lengths, gaps []int64
		extents       []Extent
		maxRange      int64
		want          [][2]int64
		fetch, cached int
	}{
		{"adjacent frames are one request", []int64{100, 200, 300}, []int64{50, 0, 0}, nil, 0, [][2]int64{{50, 600}}, 3, 0},
		{"a cheap gap is fetched along", []int64{100, 100}, []int64{0, 10000}, nil, 0, [][2]int64{{0, 10200}}, 2, 0},
		{"a dear gap is not", []int64{100, 100}, []int64{0, 10001}, nil, 0, [][2]int64{{0, 100}, {10101, 100}}, 2, 0},
		{"a long run is split at a frame", []int64{400, 400, 400}, []int64{0, 0, 0}, nil, 1000, [][2]int64{{0, 800}, {800, 400}}, 3, 0},
		{"a split drops the gap", []int64{400, 400, 400}, []int64{0, 0, 150}, nil, 1000, [][2]int64{{0, 800}, {950, 400}}, 3, 0},
		{"a frame longer than a range stays whole", []int64{1500}, []int64{0}, nil, 1000, [][2]int64{{0, 1500}}, 1, 0},
		{"the rest of a frame", []int64{100, 200}, []int64{0, 0}, []Extent{{0, 130}}, 0, [][2]int64{{130, 170}}, 1, 1},
		{"bytes on disk split a request", []int64{100, 100, 100}, []int64{0, 0, 0}, []Extent{{100, 100}}, 0, [][2]int64{{0, 100}, {200, 100}}, 2, 1},
		{"a gap on disk is not fetched again", []int64{100, 100}, []int64{0, 50}, []Extent{{110, 10}}, 0, [][2]int64{{0, 100}, {150, 100}}, 2, 0},
		{"a hole inside a frame", []int64{100}, []int64{0}, []Extent{{80, 20}, {0, 30}}, 0, [][2]int64{{30, 50}}, 1, 0},
		{"extents that overlap and touch", []int64{100}, []int64{0}, []Extent{{20, 30}, {0, 30}, {50, 50}, {60, 2}}, 0, nil, 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			have := target{extents: map[chunkstore.ID][]Extent{id('p', 0): tt.extents}}
			p, err := NewPlan(chunkNeed(list(tt.lengths, tt.gaps)), have, Options{Line: line, MaxRange: tt.maxRange})
			if err != nil {
				t.Fatal(err)
			}
			if got := offsets(p); !slices.Equal(got, tt.want) {
				t.Errorf("ranges %v, want %v", got, tt.want)
			}
			if p.ChunksFetch != tt.fetch || p.ChunksCached != tt.cached {
				t.Errorf("fetch %d cached %d, want %d %d", p.ChunksFetch, p.ChunksCached, tt.fetch, tt.cached)
			}
		})
	}
}

// TestSets plans a set's groups beside the chunks that the set leaves out.
func TestSets(t *testing.T) {
	set := File{SetFile, id('s', 0)}
	way := Way{Route: RoutePatch, Chunks: list([]int64{100}, []int64{7}), Pieces: []Piece{
		{set, Extent{1000, 500}}, {set, Extent{400, 600}}, {set, Extent{200_000, 10}},
	}}
	have := target{extents: map[chunkstore.ID][]Extent{set.ID: {{0, 450}}}}
	p, err := NewPlan(Need{Ways: []Way{way}}, have, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Range{{set, 450, 1050}, {set, 200_000, 10}, {File{PackFile, id('p', 0)}, 7, 100}}
	if !slices.Equal(p.Ranges, want) || p.Bytes != 1160 || p.Requests != 3 || p.ChunksFetch != 1 || !p.Exact {
		t.Errorf("plan %+v, want the ranges %+v", p, want)
	}
}

// TestRoute lets ways of known sizes compete.
func TestRoute(t *testing.T) {
	const mb = 1e6
	patch := Way{Route: RoutePatch, Pieces: []Piece{{File{SetFile, id('s', 0)}, Extent{0, 5 * mb}}}, Work: Work{Patch: 100 * mb, Compress: 200 * mb}}
	chunks := Way{Route: RouteChunks, MetaBytes: 1 * mb, MetaRequests: 2, Guess: 35 * mb, Work: Work{Decode: 100 * mb, Compress: 200 * mb}}
	blocks := Way{Route: RouteBlocks, Pieces: []Piece{{File{ImageFile, id('i', 0)}, Extent{96, 45 * mb}}}, Work: Work{Decode: 100 * mb}}
	whole := wholeWay(130 * mb)
	cpu := CPU{Compress: 100e6, Decode: 400e6, Patch: 100e6, Write: 500e6}
	closed := func(w Way) Way { w.Closed = "shut"; return w }
	tests := []struct {
		name  string
		ways  []Way
		o     Options
		route Route
		exact bool
		bytes int64
		err   error
	}{
		{"a thin line", []Way{patch, chunks, blocks, whole}, Options{Line: Line{Rate: 125e3}}, RoutePatch, true, 5 * mb, nil},
		{"1 Gbit/s", []Way{patch, chunks, blocks, whole}, Options{Line: Line{Rate: 125e6}}, RouteBlocks, true, 45 * mb, nil},
		{"1 Gbit/s, for bytes", []Way{patch, chunks, blocks, whole}, Options{Line: Line{Rate: 125e6}, Optimize: ForBytes}, RoutePatch, true, 5 * mb, nil},
		{"no set", []Way{closed(patch), chunks, blocks, whole}, Options{Line: Line{Rate: 125e3}}, RouteChunks, false, 36 * mb, nil},
		{"whole only", []Way{closed(patch), closed(chunks), closed(blocks), whole}, Options{}, RouteWhole, true, 130 * mb, nil},
		{"10 Gbit/s and little to write", []Way{patch, chunks, blocks, wholeWay(46 * mb)}, Options{Line: Line{Rate: 1250e6, RTT: time.Microsecond}}, RouteWhole, true, 46 * mb, nil},
		{"all need more than the image", []Way{patch, chunks, blocks, wholeWay(4 * mb)}, Options{}, RouteWhole, true, 4 * mb, nil},
		{"a slow machine would rather fetch", []Way{patch, blocks, whole}, Options{Line: Line{Rate: 2e6}, CPU: CPU{Compress: 2e6}}, RouteBlocks, true, 45 * mb, nil},
		{"nothing", []Way{closed(patch), closed(whole)}, Options{}, "", false, 0, ErrNoRoute},
		{"no image wanted", nil, Options{}, "", true, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.CPU == (CPU{}) {
				tt.o.CPU = cpu
			}
			p, err := NewPlan(Need{Ways: tt.ways}, target{}, tt.o)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if p.Route != tt.route || p.Bytes != tt.bytes || len(tt.ways) > 0 && p.Exact != tt.exact {
				t.Errorf("%v with %d bytes, exact %v, want %v with %d: %+v", p.Route, p.Bytes, p.Exact, tt.route, tt.bytes, p.Alternatives)
			}
			for i, a := range p.Alternatives {
				if a.Route != tt.ways[i].Route || a.Chosen != (a.Route == p.Route) || a.Chosen == (a.Why != "") {
					t.Errorf("alternative %+v", a)
				}
			}
		})
	}
}

// TestBytesOnDisk: what an earlier run left decides for the route that it was fetched for.
func TestBytesOnDisk(t *testing.T) {
	chunks := list([]int64{1000, 1000}, []int64{0, 0})
	need := Need{Ways: []Way{{Route: RouteChunks, Chunks: chunks}, wholeWay(1500)}}
	have := target{extents: map[chunkstore.ID][]Extent{id('i', 0): {{100, 700}}}}
	for _, tt := range []struct {
		chunk bool // a seed has the first chunk
		have  target
		route Route
		bytes int64
	}{{false, target{}, RouteWhole, 1500}, {true, target{}, RouteChunks, 1000}, {true, have, RouteWhole, 800}} {
		tt.have.chunks = map[chunkstore.ID]bool{id('c', 0): tt.chunk}
		p, err := NewPlan(need, tt.have, Options{Optimize: ForBytes})
		if err != nil {
			t.Fatal(err)
		}
		if p.Route != tt.route || p.Bytes != tt.bytes {
			t.Errorf("%v with %d bytes, want %v with %d", p.Route, p.Bytes, tt.route, tt.bytes)
		}
	}
}

func TestWrongPlaces(t *testing.T) {
	for name, at := range map[string]chunkstore.Location{
		"negative offset": {Offset: -1, Length: 10},
		"empty":           {Offset: 0, Length: 0},
		"too long":        {Offset: 0, Length: 102},
		"overflow":        {Offset: 1<<63 - 50, Length: 100},
	} {
		need := chunkNeed(List{Chunks: []chunkstore.Chunk{{ID: id('c', 0), Size: 100}}, Locations: []chunkstore.Location{at}})
		if _, err := NewPlan(need, target{}, Options{}); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
		if name == "too long" {
			continue
		}
		need = Need{Ways: []Way{{Route: RouteBlocks, Pieces: []Piece{{File{}, Extent{at.Offset, at.Length}}}}}}
		if _, err := NewPlan(need, target{}, Options{}); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s, as a block: %v, want ErrCorrupt", name, err)
		}
	}
	need := chunkNeed(List{Chunks: make([]chunkstore.Chunk, 1)})
	if _, err := NewPlan(need, target{}, Options{}); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("lists of different lengths: %v, want ErrCorrupt", err)
	}
}

func TestTime(t *testing.T) {
	way := Way{Route: RoutePatch, Work: Work{Compress: 300, Decode: 200, Patch: 100, Write: 1000}}
	for i := range 5 {
		way.Pieces = append(way.Pieces, Piece{File{SetFile, id('s', i)}, Extent{0, 1000}})
	}
	p, err := NewPlan(Need{Ways: []Way{way}}, target{}, Options{
		Line:     Line{Rate: 500, RTT: time.Second},
		CPU:      CPU{Compress: 100, Decode: 100, Patch: 50, Write: 1000},
		Parallel: 4,
	})
	// Two rounds of requests, 5000 bytes, and the work, of which 0.4 times 3 s are beside the other.
	if want := (2+10+3+2+2+1)*time.Second - 1200*time.Millisecond; err != nil || p.Time != want {
		t.Errorf("%v, want %v (%v)", p.Time, want, err)
	}
}

func TestRequestCost(t *testing.T) {
	for _, tt := range []struct {
		line Line
		want int64
	}{
		{Line{}, 50_000},
		{Line{Rate: 1000, RTT: 100 * time.Millisecond}, 4 << 10},
		{Line{Rate: 1e8, RTT: 100 * time.Millisecond}, 256 << 10},
		{Line{Rate: 2e6}, 100_000},
	} {
		if got := tt.line.RequestCost(); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.line, got, tt.want)
		}
	}
}

// TestProperties draws needs and haves at random and checks what every plan must keep to, byte by byte.
func TestProperties(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		need, have := randomCase(rnd)
		o := Options{
			MaxRange: 1 + rnd.Int64N(3000),
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

// randomChunks lays chunks out in packs, which they share with those of other lists.
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
	for i, route := range []Route{RoutePatch, RouteChunks, RouteBlocks} {
		w := Way{Route: route, Work: Work{Compress: rnd.Int64N(1e5), Patch: rnd.Int64N(1e5)}}
		if route != RouteBlocks {
			w.Chunks = randomChunks(rnd, i*40, rnd.IntN(20), ends, have)
		}
		if route != RouteChunks {
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
		need.Ways = append(need.Ways, w)
	}
	need.Ways = append(need.Ways, wholeWay(1+rnd.Int64N(20000)))
	for _, file := range []chunkstore.ID{id('p', 0), id('p', 1), id('i', 0), id('s', 0), id('u', 0)} {
		for range rnd.IntN(4) {
			have.extents[file] = append(have.extents[file], Extent{rnd.Int64N(10000), rnd.Int64N(1500)})
		}
	}
	return need, have
}

// checkChoice checks that no other way is better, each planned alone.
func checkChoice(t *testing.T, seed uint64, need Need, have target, o Options, p *Plan) {
	t.Helper()
	alone := map[Route]*Plan{}
	for i, w := range need.Ways {
		a := p.Alternatives[i]
		if w.Closed != "" {
			if a.Why != w.Closed || a.Chosen {
				t.Errorf("seed %d: alternative %+v for a way that is %s", seed, a, w.Closed)
			}
			continue
		}
		q, err := NewPlan(Need{Ways: []Way{w}, Other: need.Other}, have, o)
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
	limit := alone[RouteWhole].Bytes
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
	way := need.Ways[slices.IndexFunc(need.Ways, func(w Way) bool { return w.Route == p.Route })]
	wanted := map[chunkstore.ID]map[int64]bool{} // file -> bytes that must be fetched
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
	for _, x := range way.Pieces {
		want(x.File.ID, x.Extent)
	}
	total, fetch := 0, 0
	for _, l := range []List{need.Other, way.Chunks} {
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
		if r.Length > o.MaxRange && (p.Route == RouteWhole && r.File.Kind == ImageFile || !slices.ContainsFunc(pieces[r.File.ID], whole)) {
			t.Fatalf("seed %d: a range of several pieces and %d bytes is longer than %d", seed, r.Length, o.MaxRange)
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

func BenchmarkNewPlan(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 1))
	const n = 100_000
	lengths, gaps := make([]int64, n), make([]int64, n)
	have := target{chunks: map[chunkstore.ID]bool{}}
	for i := range n {
		lengths[i] = 1 + rnd.Int64N(64<<10)
		if rnd.IntN(4) != 0 {
			have.chunks[id('c', i)] = true
		}
	}
	need := chunkNeed(list(lengths, gaps))
	for b.Loop() {
		if _, err := NewPlan(need, have, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
