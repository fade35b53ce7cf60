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

func (t target) Chunk(id chunkstore.ID) bool { return t.chunks[id] }

func (t target) Extents(file chunkstore.ID) []Extent { return t.extents[file] }

func id(kind byte, n int) (id chunkstore.ID) {
	id[0] = kind
	binary.BigEndian.PutUint64(id[1:], uint64(n)+1)
	return id
}

// list lays out chunks of these stored lengths in pack 0, each after a gap.
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

// chunkNeed is a release that only chunks lead to.
func chunkNeed(l List) Need { return Need{Offers: []Offer{{Route: routeChunks, Chunks: l}}} }

// wholeOffer is the offer of the finished image.
func wholeOffer(size int64) Offer {
	image := Piece{File{ImageFile, id('i', 0)}, Extent{0, size}}
	return Offer{Route: routeWhole, Whole: true, Pieces: []Piece{image}}
}

func offsets(p *Plan) (out [][2]int64) {
	for _, r := range p.Ranges {
		out = append(out, [2]int64{r.Offset, r.Length})
	}
	return out
}

func TestRanges(t *testing.T) {
	line := Line{Rate: 1e6, RTT: 10 * time.Millisecond} // a request costs 10,000 bytes
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
			p, err := NewPlan(chunkNeed(list(tt.lengths, tt.gaps)), have, Options{Line: line, maxRange: tt.maxRange})
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

// TestSets plans a patch set's groups beside the chunks that the patch set leaves out.
func TestSets(t *testing.T) {
	set := File{SetFile, id('s', 0)}
	offer := Offer{Route: routePatch, Chunks: list([]int64{100}, []int64{7}), Pieces: []Piece{
		{set, Extent{1000, 500}}, {set, Extent{400, 600}}, {set, Extent{200_000, 10}},
	}}
	have := target{extents: map[chunkstore.ID][]Extent{set.ID: {{0, 450}}}}
	p, err := NewPlan(Need{Offers: []Offer{offer}}, have, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []Range{{File: set, Offset: 450, Length: 1050}, {File: set, Offset: 200_000, Length: 10}, {File: File{PackFile, id('p', 0)}, Offset: 7, Length: 100}}
	if !slices.Equal(p.Ranges, want) || p.Bytes != 1160 || p.Requests != 3 || p.ChunksFetch != 1 || !p.Exact {
		t.Errorf("plan %+v, want the ranges %+v", p, want)
	}
}

// TestRoute lets offers of known sizes compete.
func TestRoute(t *testing.T) {
	const mb = 1e6
	patch := Offer{Route: routePatch, Pieces: []Piece{{File{SetFile, id('s', 0)}, Extent{0, 5 * mb}}}, Work: Work{Patch: 100 * mb, Compress: 200 * mb}}
	chunks := Offer{Route: routeChunks, MetaBytes: 1 * mb, MetaRequests: 2, Guess: 35 * mb, Work: Work{Decode: 100 * mb, Compress: 200 * mb}}
	blocks := Offer{Route: routeBlocks, Pieces: []Piece{{File{ImageFile, id('i', 0)}, Extent{96, 45 * mb}}}, Work: Work{Decode: 100 * mb}}
	whole := wholeOffer(130 * mb)
	cpu := CPU{Compress: 100e6, Decode: 400e6, Patch: 100e6, Write: 500e6}
	closed := func(w Offer) Offer { w.Closed = "shut"; return w }
	tests := []struct {
		name   string
		offers []Offer
		o      Options
		route  Route
		exact  bool
		bytes  int64
		err    error
	}{
		{"a thin line", []Offer{patch, chunks, blocks, whole}, Options{Line: Line{Rate: 125e3}}, routePatch, true, 5 * mb, nil},
		{"1 Gbit/s", []Offer{patch, chunks, blocks, whole}, Options{Line: Line{Rate: 125e6}}, routeBlocks, true, 45 * mb, nil},
		{"1 Gbit/s, for bytes", []Offer{patch, chunks, blocks, whole}, Options{Line: Line{Rate: 125e6}, Optimize: ForBytes}, routePatch, true, 5 * mb, nil},
		{"no set", []Offer{closed(patch), chunks, blocks, whole}, Options{Line: Line{Rate: 125e3}}, routeChunks, false, 36 * mb, nil},
		{"whole only", []Offer{closed(patch), closed(chunks), closed(blocks), whole}, Options{}, routeWhole, true, 130 * mb, nil},
		{"10 Gbit/s and little to write", []Offer{patch, chunks, blocks, wholeOffer(46 * mb)}, Options{Line: Line{Rate: 1250e6, RTT: time.Microsecond}}, routeWhole, true, 46 * mb, nil},
		{"all need more than the image", []Offer{patch, chunks, blocks, wholeOffer(4 * mb)}, Options{}, routeWhole, true, 4 * mb, nil},
		{"a slow machine would rather fetch", []Offer{patch, blocks, whole}, Options{Line: Line{Rate: 2e6}, CPU: CPU{Compress: 2e6}}, routeBlocks, true, 45 * mb, nil},
		{"nothing", []Offer{closed(patch), closed(whole)}, Options{}, "", false, 0, ErrNoRoute},
		{"no image wanted", nil, Options{}, "", true, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.o.CPU == (CPU{}) {
				tt.o.CPU = cpu
			}
			p, err := NewPlan(Need{Offers: tt.offers}, target{}, tt.o)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			if p.Route != tt.route || p.Bytes != tt.bytes || len(tt.offers) > 0 && p.Exact != tt.exact {
				t.Errorf("%v with %d bytes, exact %v, want %v with %d: %+v", p.Route, p.Bytes, p.Exact, tt.route, tt.bytes, p.Alternatives)
			}
			for i, a := range p.Alternatives {
				if a.Route != tt.offers[i].Route || a.Chosen != (a.Route == p.Route) || a.Chosen == (a.Why != "") {
					t.Errorf("alternative %+v", a)
				}
			}
		})
	}
}

// TestBytesOnDisk demands that what an earlier run left on disk favours its route.
func TestBytesOnDisk(t *testing.T) {
	chunks := list([]int64{1000, 1000}, []int64{0, 0})
	need := Need{Offers: []Offer{{Route: routeChunks, Chunks: chunks}, wholeOffer(1500)}}
	have := target{extents: map[chunkstore.ID][]Extent{id('i', 0): {{100, 700}}}}
	for _, tt := range []struct {
		chunk bool // a seed has the first chunk
		have  target
		route Route
		bytes int64
	}{{false, target{}, routeWhole, 1500}, {true, target{}, routeChunks, 1000}, {true, have, routeWhole, 800}} {
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
		need = Need{Offers: []Offer{{Route: routeBlocks, Pieces: []Piece{{File{}, Extent{at.Offset, at.Length}}}}}}
		if _, err := NewPlan(need, target{}, Options{}); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s, as a block: %v, want ErrCorrupt", name, err)
		}
	}
	need := chunkNeed(List{Chunks: make([]chunkstore.Chunk, 1)})
	if _, err := NewPlan(need, target{}, Options{}); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("lists of different lengths: %v, want ErrCorrupt", err)
	}
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
