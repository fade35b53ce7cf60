package patchset

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

func recipeText(t testing.TB, r *mkimage.Recipe) string {
	t.Helper()
	var b strings.Builder
	if _, err := r.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// checkSet applies a set and compares the result with the release that it leads to.
func checkSet(t testing.TB, set []byte, from, to *release) *Step {
	t.Helper()
	s, made, err := applySet(set, from)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := recipeText(t, s.To), recipeText(t, to.recipe); got != want {
		t.Errorf("recipe:\n%s\nwant:\n%s", got, want)
	}
	for id, plain := range made {
		if want, ok := to.plain[id]; !ok || !bytes.Equal(plain, want) {
			t.Errorf("content %v has other bytes", id)
		}
	}
	return s
}

func TestStep(t *testing.T) {
	for _, lists := range []bool{false, true} {
		from, to := fixture(t)
		set, stats := makeSet(t, from, to, MakeOptions{ChunkLists: lists})
		s := checkSet(t, set, from, to)
		if got := len(s.pending) == 0; got != lists {
			t.Errorf("with ChunkLists %v: %d pending contents", lists, len(s.pending))
		}
		if stats.Size != int64(len(set)) || len(stats.Entries) == 0 || stats.ID.IsZero() {
			t.Errorf("stats %+v of a set of %d bytes", stats, len(set))
		}
		checkSet(t, first(makeSet(t, to, from, MakeOptions{ChunkLists: lists})), to, from)
		checkSet(t, first(makeSet(t, to, to, MakeOptions{ChunkLists: lists})), to, to)
	}
}

func first(b []byte, _ *Stats) []byte { return b }

func TestEverythingNewHasAnEntry(t *testing.T) {
	from, to := fixture(t)
	s := checkSet(t, first(makeSet(t, from, to, MakeOptions{})), from, to)
	has := make(map[chunkstore.ID]bool)
	for _, e := range s.Entries {
		has[e.Content.ID] = true
	}
	for _, c := range to.recipe.DataOrder() {
		if _, old := from.plain[c.ID]; old == has[c.ID] {
			t.Errorf("content %v: in the old release %v, in the set %v", c.ID, old, has[c.ID])
		}
	}
}

// TestBases checks the base of each content.
func TestBases(t *testing.T) {
	from, to := fixture(t)
	set, _ := makeSet(t, from, to, MakeOptions{})
	s := checkSet(t, set, from, to)
	paths := make(map[chunkstore.ID]string)
	for _, r := range []*release{from, to} {
		for c, path := range r.recipe.Entries.FirstPaths() {
			paths[c.ID] = path
		}
	}
	got := make(map[string]string)
	for _, e := range s.Entries {
		base := "-"
		if e.Base != nil {
			base = paths[e.Base.ID]
		}
		got[paths[e.Content.ID]] = base
	}
	for path, base := range map[string]string{
		"usr/lib/libx.so.3.0.4":               "usr/lib/libx.so.3.0.2",
		"usr/lib/modules/6.1.0-56-cloud/a.ko": "usr/lib/modules/6.1.0-54-cloud/a.ko",
		"usr/bin/tool":                        "usr/bin/tool",
		"usr/share/entirely/different":        "usr/share/old-name",
		"usr/share/fresh":                     "-",
	} {
		if got[path] != base {
			t.Errorf("base of %s: %s, want %s", path, got[path], base)
		}
	}
	for _, e := range s.Entries {
		if path := paths[e.Content.ID]; (e.Transform == 17) != strings.HasSuffix(path, ".gz") {
			t.Errorf("transform %d for %s", e.Transform, path)
		}
	}
}

// TestTouch demands that a release that differs only in times costs next to nothing.
func TestTouch(t *testing.T) {
	var files [2][]file
	for i := range 3000 {
		f := file{path: "d/" + strings.Repeat("x", 1+i%50) + string(rune('a'+i/50%26)) + string(rune('a'+i/1300)), plain: text(uint64(i), 50), mtime: uint32(i)}
		if i%2 == 0 {
			f.mtime = 100
		}
		files[0] = append(files[0], f)
		if f.mtime == 100 {
			f.mtime = 200
		}
		files[1] = append(files[1], f)
	}
	from, to := newRelease(t, 100, fixtureChunks, files[0]), newRelease(t, 200, fixtureChunks, files[1])
	set, _ := makeSet(t, from, to, MakeOptions{})
	checkSet(t, set, from, to)
	if len(set) > 400 {
		t.Errorf("%d bytes for new times", len(set))
	}
}

func TestLargeContent(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a second")
	}
	chunks := chunkstore.DefaultParams
	big := make([]byte, PieceMax+3<<20+17)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range big {
		if i>>16%32 == 0 { // mostly zeros, which take little time
			big[i] = byte(r.Uint32())
		}
	}
	next := changed(big, 1<<20)
	from := newRelease(t, 1, chunks, []file{{path: "big", plain: big}, {path: "small", plain: text(1, 100)}})
	to := newRelease(t, 1, chunks, []file{{path: "big", plain: next}, {path: "part", plain: big[4<<20 : 6<<20]}, {path: "small", plain: text(2, 100)}})
	progress, end := watch(t, AmountsOf(from.recipe, to.recipe))
	set, stats := makeSet(t, from, to, MakeOptions{Progress: progress})
	s := checkSet(t, set, from, to)
	if n, told := len(s.Entries), end()[PhaseMatch]; n != 3+1+1 || told != n {
		t.Errorf("%d entries, progress of %d", n, told)
	}
	if len(set) > 100<<10 {
		t.Errorf("a set of %d bytes: %+v", len(set), stats)
	}
}

func TestMakeIsDeterministic(t *testing.T) {
	from, to := fixture(t)
	want, _ := makeSet(t, from, to, MakeOptions{workers: 1})
	for range 3 {
		if got, _ := makeSet(t, from, to, MakeOptions{workers: 7}); !bytes.Equal(got, want) {
			t.Fatal("another set")
		}
	}
}

func TestChunkCost(t *testing.T) {
	from, to := fixture(t)
	set, _ := makeSet(t, from, to, MakeOptions{ChunkCost: func(c *chunkstore.Content) int64 {
		if c.Size > 10000 {
			return 1 << 30
		}
		return 1 - int64(len(c.Chunks))*chunkListed // so that the cost is 1 with the chunk list
	}})
	s := checkSet(t, set, from, to)
	for _, e := range s.Entries {
		if e.Content.Size <= 10000 {
			t.Errorf("a content of %d bytes is in the set and cheaper as chunks", e.Content.Size)
		}
	}
	if len(s.Entries) == 0 {
		t.Error("no entries")
	}
	for _, c := range slices.Collect(s.To.Contents()) {
		if len(c.Chunks) == 0 {
			t.Errorf("content %v has no chunk list", c.ID)
		}
	}
}

// TestOtherChunking demands that a release that is cut otherwise shares contents, not chunk lists.
func TestOtherChunking(t *testing.T) {
	files := []file{{path: "a", plain: text(1, 9000)}, {path: "b", plain: text(2, 9000)}, {path: "c", plain: text(1, 9000)}, {path: "d"}}
	from := newRelease(t, 1, fixtureChunks, files)
	to := newRelease(t, 1, chunkstore.Params{Min: 256, Average: 512, Max: 2048}, append(files, file{path: "e", plain: text(2, 9000)}))
	s := checkSet(t, first(makeSet(t, from, to, MakeOptions{})), from, to)
	if len(s.Entries) > 0 {
		t.Errorf("%d entries for contents that are there", len(s.Entries))
	}
}

func TestWrongRecipe(t *testing.T) {
	from, to := fixture(t)
	set, _ := makeSet(t, from, to, MakeOptions{})
	if _, _, err := applySet(set, to); !errors.Is(err, ErrFrom) {
		t.Errorf("from another release: %v", err)
	}
}

func TestWrongContents(t *testing.T) {
	from, to := fixture(t)
	for id, p := range from.plain {
		bad := &release{from.recipe, make(map[chunkstore.ID][]byte)}
		for k, v := range from.plain {
			bad.plain[k] = v
		}
		bad.plain[id] = changed(p, 10)[:len(p)]
		if _, err := Make(t.Context(), &bytes.Buffer{}, Side{from.recipe, bad}, Side{to.recipe, to}, MakeOptions{}); err != nil && !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("make from a bad content: %v", err)
		}
		set, _ := makeSet(t, from, to, MakeOptions{})
		if s, _, err := applySet(set, bad); err != nil && !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("apply to a bad content: %v", err)
		} else if err == nil && usesBase(s, id) {
			t.Errorf("a bad base %v went unnoticed", id)
		}
	}
}

// usesBase tells whether an entry has the base with this id.
func usesBase(s *Step, id chunkstore.ID) bool {
	return slices.ContainsFunc(s.Entries, func(e Entry) bool { return e.Base != nil && e.Base.ID == id })
}

func TestFromStore(t *testing.T) {
	_, to := fixture(t)
	store := chunkMap{}
	for c := range to.recipe.Contents() {
		off := int64(0)
		for _, k := range c.Chunks {
			store[k.ID] = to.plain[c.ID][off : off+k.Size]
			off += k.Size
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for c := range to.recipe.Contents() {
		plain := to.plain[c.ID]
		in, err := FromStore(store).Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			off := r.IntN(len(plain) + 1)
			p := make([]byte, r.IntN(len(plain)-off+2))
			n, err := in.ReadAt(p, int64(off))
			if want := min(len(p), len(plain)-off); n != want || (err == nil) != (want == len(p)) || !bytes.Equal(p[:n], plain[off:off+n]) {
				t.Fatalf("read %d at %d of %d: %d, %v", len(p), off, len(plain), n, err)
			}
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	}
}
