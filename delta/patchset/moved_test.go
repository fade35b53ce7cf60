package patchset

import (
	"bytes"
	"errors"
	"math"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"weak"

	"deltaup/chunkstore"
	"deltaup/delta/transform"
	"deltaup/internal/test/programtest"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// movedStep is a step with a program whose functions of numbers that are multiples of every grow.
func movedStep(t testing.TB, program func(functions, every int) []byte, every int) (from, to *release) {
	chunks := chunkstore.DefaultParams
	from = newRelease(t, 1, chunks, []file{{path: "other", plain: text(1, 100)}, {path: "program", plain: program(4000, 1000)}})
	to = newRelease(t, 1, chunks, []file{{path: "other", plain: text(2, 100)}, {path: "program", plain: program(4000, every)}})
	return from, to
}

func largeStep(t testing.TB) (from, to *release) { return movedStep(t, programtest.Large, 100) }
func smallStep(t testing.TB) (from, to *release) { return movedStep(t, programtest.Make, 30) }

// movedSteps are the steps of the golden sets.
var movedSteps = map[string]func(testing.TB) (from, to *release){
	"testdata/moved.set":       largeStep,
	"testdata/moved-small.set": smallStep,
}

// TestGoldenMoved applies sets that were made before: what is predicted never changes.
func TestGoldenMoved(t *testing.T) {
	for golden, step := range movedSteps {
		from, to := step(t)
		if *update {
			set, _ := makeSet(t, from, to, MakeOptions{})
			if err := os.WriteFile(golden, set, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		set, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		s := checkSet(t, set, from, to)
		if e := s.Entries[len(s.Entries)-1]; e.layouts == nil {
			t.Errorf("%s: entry %+v", golden, e)
		}
	}
}

func TestMoved(t *testing.T) {
	for golden, step := range movedSteps {
		t.Run(golden, func(t *testing.T) {
			if testing.Short() {
				t.Skip("it takes seconds")
			}
			from, to := step(t)
			progress, end := watch(t, AmountsOf(from.recipe, to.recipe))
			set, stats := makeSet(t, from, to, MakeOptions{Progress: progress})
			if told := end()[PhaseMatch]; told == 0 {
				t.Error("no progress")
			}
			s := checkSet(t, set, from, to)
			if len(set) > 8<<10 {
				t.Errorf("a set of %d bytes: %+v", len(set), stats)
			}
			i := len(s.Entries) - 1
			e := &s.Entries[i]
			if e.layouts == nil || len(e.layouts.old) != 6 || e.Transform != 0 {
				t.Fatalf("entry %+v", e)
			}
			open := groupsIn(s, set).Open
			g, err := open(e.Group)
			if err != nil {
				t.Fatal(err)
			}
			old := from.plain[e.Base.ID]
			if ready, err := s.Prepare(0, open); ready != nil || err != nil {
				t.Errorf("what needs nothing is prepared: %v", err)
			}
			if _, err := g.Content(i, Bytes(old), nil); err == nil {
				t.Error("a piece is made of what was not prepared")
			}
			ready, err := s.Prepare(i, open)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := g.Content(i, Bytes(old), ready); err != nil {
				t.Error(err)
			}
			bad := bytes.Clone(old)
			for i := range bad {
				bad[i]++
			}
			if _, err := g.Content(i, Bytes(bad), ready); !errors.Is(err, chunkstore.ErrCorrupt) {
				t.Errorf("a wrong base: %v", err)
			}
		})
	}
}

// TestNotPredicted: a transform is taken where it gives less: where hardly anything has changed,
// and the layouts cost more than they save, and where every other function has.
func TestNotPredicted(t *testing.T) {
	for _, every := range []int{1000, 300, 2} {
		from, to := movedStep(t, programtest.Make, every)
		set, _ := makeSet(t, from, to, MakeOptions{})
		s := checkSet(t, set, from, to)
		for _, e := range s.Entries {
			if e.layouts != nil {
				t.Errorf("every %d: entry %+v", every, e)
			}
		}
	}
}

// TestFoundAlone: a candidate that waits for its group does not keep the programs in memory.
func TestFoundAlone(t *testing.T) {
	found, old := func() (*candidate, weak.Pointer[byte]) {
		p := &program{from: make([]byte, 1<<20), candidate: candidate{cost: 7}}
		return p.found(), weak.Make(&p.from[0])
	}()
	if runtime.GC(); old.Value() != nil || found.cost != 7 {
		t.Errorf("the old program is kept, with %+v", found)
	}
	runtime.KeepAlive(found)
}

// someLayouts are not those of a program.
func someLayouts() *layouts {
	return &layouts{
		transform.Layout{{Kind: 1, Offset: 4096, Addr: 1 << 40, Size: 100}, {Offset: 1 << 40, Addr: math.MaxUint64}},
		transform.Layout{{Kind: 1, Offset: 64, Addr: 1 << 41, Size: math.MaxUint64}, {Offset: 1 << 40, Size: 7}},
	}
}

// TestLayouts: layouts are read as they were written, and are bounded.
func TestLayouts(t *testing.T) {
	var c columns
	want := someLayouts()
	want.write(&c)
	b := c[colLengths]
	in := input{b: b}
	if got := readLayouts(&in); in.end() != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v, error %v", got, want, in.err)
	}
	bad := map[string][]byte{
		"many sections": append([]byte{transform.SectionMax + 1}, make([]byte, 7*(transform.SectionMax+1))...),
		"another kind":  slices.Concat([]byte{1, transform.KindsEnd}, make([]byte, 6)),
	}
	for n := range b {
		bad["cut off"] = b[:n]
		for name, b := range bad {
			in := input{b: b}
			if got := readLayouts(&in); !errors.Is(in.err, chunkstore.ErrCorrupt) || len(got.old) > transform.SectionMax {
				t.Errorf("%s, %d bytes: error %v", name, len(b), in.err)
			}
		}
	}
}

// movedColumns are the columns of a set with a large program, in front of which nothing is made.
func movedColumns(t testing.TB, from, to *release) *columns {
	t.Helper()
	large := &chunkstore.Content{ID: chunkstore.Sum([]byte("large")), Size: PieceMax + 1}
	large.Chunks = []chunkstore.Chunk{{ID: large.ID, Size: 64}, {Size: large.Size - 64}}
	r := *to.recipe
	r.Entries = with(to, mkimage.Entry{Content: large, Entry: tree.Entry{
		Path: "zz", Size: large.Size, Attr: tree.Attr{Type: tree.Regular, Mode: 0o644},
	}})
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	l, renames := listingOf(from.recipe, &r)
	entries := make([]Entry, pieces(large))
	for i := range entries {
		entries[i] = Entry{Content: large, Base: l.bases[0], layouts: someLayouts(), hash: large.ID}
	}
	var c columns
	pending := map[*chunkstore.Content]bool{large: true}
	writeRecipe(&c, from.recipe, &r, renames, pending, version)
	writeDirectory(&c, l, entries, []int{len(entries)}, pending)
	return &c
}

// TestPrograms tells what a set takes between two programs that DELTAUP_PROGRAMS names.
func TestPrograms(t *testing.T) {
	names := strings.Fields(os.Getenv("DELTAUP_PROGRAMS"))
	if len(names) != 2 {
		t.Skip("DELTAUP_PROGRAMS names no two programs")
	}
	var releases []*release
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		releases = append(releases,
			newRelease(t, 1, chunkstore.DefaultParams, []file{{path: "program", plain: b}}))
	}
	set, stats := makeSet(t, releases[0], releases[1], MakeOptions{})
	checkSet(t, set, releases[0], releases[1])
	t.Logf("%d bytes: %+v", stats.Size, stats.Streams)
}
