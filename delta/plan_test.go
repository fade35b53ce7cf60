package delta

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"deltaup/chunkstore"
	"deltaup/mkimage"
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

func knownCodec(t testing.TB) string {
	t.Helper()
	codec, err := mkimage.CodecFor("better")
	if err != nil {
		t.Fatal(err)
	}
	return codec
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
			need := Need{Codec: knownCodec(t), Image: list(tt.lengths, tt.gaps)}
			have := target{extents: map[chunkstore.ID][]Extent{id('p', 0): tt.extents}}
			p, err := NewPlan(need, have, line, Options{MaxRange: tt.maxRange})
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

func TestRoute(t *testing.T) {
	known := knownCodec(t)
	chunks := list([]int64{1000, 1000}, []int64{0, 0})
	image := Whole{ID: id('i', 0), Size: 1500}
	all := map[chunkstore.ID]bool{id('c', 0): true, id('c', 1): true}
	tests := []struct {
		name  string
		need  Need
		have  target
		route Route
		bytes int64
		err   error
	}{
		{"no seed: fewer bytes", Need{Codec: known, Image: chunks, Whole: image}, target{}, FetchWhole, 1500, nil},
		{"no seed, packs smaller", Need{Codec: known, Image: chunks, Whole: Whole{id('i', 0), 2001}}, target{}, Rebuild, 2000, nil},
		{"a seed with half", Need{Codec: known, Image: chunks, Whole: image}, target{chunks: map[chunkstore.ID]bool{id('c', 0): true}}, Rebuild, 1000, nil},
		{"nothing missing", Need{Codec: known, Image: chunks, Whole: image}, target{chunks: all}, Rebuild, 0, nil},
		{"unknown codec", Need{Codec: "zstd:from-the-future", Image: chunks, Whole: image}, target{chunks: all}, FetchWhole, 1500, nil},
		{"unknown codec, no image", Need{Codec: "zstd:from-the-future", Image: chunks}, target{chunks: all}, 0, 0, ErrNoRoute},
		{"no image wanted", Need{Codec: "zstd:from-the-future", Other: chunks}, target{}, Rebuild, 2000, nil},
		{"the image's bytes from an earlier run", Need{Codec: known, Image: chunks, Whole: image},
			target{chunks: map[chunkstore.ID]bool{id('c', 0): true}, extents: map[chunkstore.ID][]Extent{id('i', 0): {{100, 700}}}}, FetchWhole, 800, nil},
		{"other artifacts on the whole route", Need{Codec: known, Other: chunks, Whole: image}, target{}, Rebuild, 2000, nil},
		{"a chunk in two lists", Need{Codec: known, Image: chunks, Other: chunks}, target{}, Rebuild, 2000, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := NewPlan(tt.need, tt.have, Line{}, Options{})
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err == nil && (p.Route != tt.route || p.Bytes != tt.bytes) {
				t.Errorf("route %v with %d bytes, want %v with %d", p.Route, p.Bytes, tt.route, tt.bytes)
			}
		})
	}
}

func TestWrongIndex(t *testing.T) {
	for name, at := range map[string]chunkstore.Location{
		"negative offset": {Offset: -1, Length: 10},
		"empty":           {Offset: 0, Length: 0},
		"too long":        {Offset: 0, Length: 102},
		"overflow":        {Offset: 1<<63 - 50, Length: 100},
	} {
		need := Need{Codec: knownCodec(t), Image: List{
			Chunks:    []chunkstore.Chunk{{ID: id('c', 0), Size: 100}},
			Locations: []chunkstore.Location{at},
		}}
		if _, err := NewPlan(need, target{}, Line{}, Options{}); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
	need := Need{Codec: knownCodec(t), Image: List{Chunks: make([]chunkstore.Chunk, 1)}}
	if _, err := NewPlan(need, target{}, Line{}, Options{}); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("lists of different lengths: %v, want ErrCorrupt", err)
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
	codec := knownCodec(t)
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		need, have := randomCase(rnd)
		need.Codec = codec
		o := Options{MaxRange: 1 + rnd.Int64N(3000)}
		line := Line{Rate: float64(1 + rnd.IntN(1e6)), RTT: time.Duration(rnd.IntN(100)) * time.Millisecond}
		p, err := NewPlan(need, have, line, o)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		checkPlan(t, seed, need, have, o, line, p)
		if t.Failed() {
			return
		}
	}
}

func randomCase(rnd *rand.Rand) (Need, target) {
	var need Need
	have := target{chunks: map[chunkstore.ID]bool{}, extents: map[chunkstore.ID][]Extent{}}
	ends := make([]int64, 1+rnd.IntN(3))
	for i := range rnd.IntN(40) {
		file := rnd.IntN(len(ends))
		c := chunkstore.Chunk{ID: id('c', i), Size: 1 + rnd.Int64N(500)}
		at := chunkstore.Location{Pack: id('p', file), Length: 1 + rnd.Int64N(c.Size)}
		if rnd.IntN(3) == 0 {
			ends[file] += rnd.Int64N(9000)
		}
		at.Offset = ends[file]
		ends[file] += at.Length
		l := &need.Image
		if rnd.IntN(5) == 0 {
			l = &need.Other
		}
		l.Chunks, l.Locations = append(l.Chunks, c), append(l.Locations, at)
		if rnd.IntN(3) == 0 {
			have.chunks[c.ID] = true
		}
	}
	if rnd.IntN(2) == 0 {
		need.Whole = Whole{ID: id('i', 0), Size: 1 + rnd.Int64N(10000)}
	}
	for _, file := range []chunkstore.ID{id('p', 0), id('p', 1), id('i', 0)} {
		for range rnd.IntN(4) {
			have.extents[file] = append(have.extents[file], Extent{rnd.Int64N(10000), rnd.Int64N(1500)})
		}
	}
	return need, have
}

func checkPlan(t *testing.T, seed uint64, need Need, have target, o Options, line Line, p *Plan) {
	t.Helper()
	wanted := map[chunkstore.ID]map[int64]bool{} // file -> bytes that must be fetched
	want := func(file chunkstore.ID, e Extent) {
		if wanted[file] == nil {
			wanted[file] = map[int64]bool{}
		}
		for at := e.Offset; at < e.End(); at++ {
			if !onDisk(have.extents[file], at) {
				wanted[file][at] = true
			}
		}
	}
	lists := []List{need.Other}
	if p.Route == FetchWhole {
		want(need.Whole.ID, Extent{0, need.Whole.Size})
	} else {
		lists = append(lists, need.Image)
	}
	fetch, total := map[chunkstore.ID]bool{}, 0
	for _, l := range lists {
		for i, c := range l.Chunks {
			total++
			at := l.Locations[i]
			if have.chunks[c.ID] {
				continue
			}
			for b := at.Offset; b < at.Offset+at.Length; b++ {
				fetch[c.ID] = fetch[c.ID] || !onDisk(have.extents[at.Pack], b)
			}
			want(at.Pack, Extent{at.Offset, at.Length})
		}
	}

	got := map[chunkstore.ID]map[int64]bool{}
	var bytes int64
	frames := map[chunkstore.ID]int{}
	for _, r := range p.Ranges {
		bytes += r.Length
		if got[r.File] == nil {
			got[r.File] = map[int64]bool{}
		}
		idle := int64(0)
		for at := r.Offset; at < r.Offset+r.Length; at++ {
			if got[r.File][at] {
				t.Fatalf("seed %d: byte %d planned twice", seed, at)
			}
			if onDisk(have.extents[r.File], at) {
				t.Fatalf("seed %d: byte %d is on disk and planned again", seed, at)
			}
			got[r.File][at] = true
			if wanted[r.File][at] {
				delete(wanted[r.File], at)
				idle = 0
			} else if idle++; idle > line.RequestCost() {
				t.Fatalf("seed %d: a gap longer than a request is worth", seed)
			}
		}
		for _, f := range r.Frames {
			frames[f.Chunk.ID]++
		}
		if r.Length > o.MaxRange && len(r.Frames) > 1 {
			t.Fatalf("seed %d: range of %d frames and %d bytes is longer than %d", seed, len(r.Frames), r.Length, o.MaxRange)
		}
	}
	for file, rest := range wanted {
		if len(rest) > 0 {
			t.Fatalf("seed %d: %d wanted bytes of %s are not planned", seed, len(rest), file)
		}
	}
	for c := range fetch {
		if fetch[c] != (frames[c] == 1) {
			t.Fatalf("seed %d: chunk %s is in %d ranges", seed, c, frames[c])
		}
	}
	if bytes != p.Bytes || len(p.Ranges) != p.Requests {
		t.Fatalf("seed %d: plan says %d bytes, %d requests; ranges have %d, %d", seed, p.Bytes, p.Requests, bytes, len(p.Ranges))
	}
	if p.ChunksHave+p.ChunksCached+p.ChunksFetch != total || p.ChunksFetch != len(frames) {
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
	need := Need{Codec: knownCodec(b), Image: list(lengths, gaps)}
	for b.Loop() {
		if _, err := NewPlan(need, have, Line{}, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}
