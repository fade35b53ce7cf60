package patchset

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/programtest"
)

// movedStep is a step with a large program.
func movedStep(t testing.TB) (from, to *release) {
	chunks := chunkstore.DefaultParams
	from = newRelease(t, 1, chunks, []file{{path: "other", plain: text(1, 100)}, {path: "program", plain: programtest.Large(4000, 1000)}})
	to = newRelease(t, 1, chunks, []file{{path: "other", plain: text(2, 100)}, {path: "program", plain: programtest.Large(4000, 100)}})
	return from, to
}

const goldenMoved = "testdata/moved.set"

// TestGoldenMoved applies a set that was made before: what is predicted never changes.
func TestGoldenMoved(t *testing.T) {
	from, to := movedStep(t)
	if *update {
		set, _ := makeSet(t, from, to, MakeOptions{})
		if err := os.WriteFile(goldenMoved, set, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set, err := os.ReadFile(goldenMoved)
	if err != nil {
		t.Fatal(err)
	}
	s := checkSet(t, set, from, to)
	if e := s.Entries[len(s.Entries)-1]; e.layouts == nil {
		t.Errorf("entry %+v", e)
	}
}

func TestMoved(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	from, to := movedStep(t)
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
	open := func(n int) (*Group, error) {
		ref := s.head.Groups[n]
		return s.OpenGroup(n, set[ref.Offset:ref.Offset+ref.Length])
	}
	g, err := open(e.Group)
	if err != nil {
		t.Fatal(err)
	}
	old := from.plain[e.Base.ID]
	if _, err := g.Content(i, Bytes(old)); err != nil {
		t.Errorf("after applying the set: %v", err)
	}
	if err := s.Prepare(0, open); err != nil {
		t.Error(err)
	}
	if _, err := g.Content(i, Bytes(old)); err == nil {
		t.Error("a piece is made of what was not prepared")
	}
	if err := s.Prepare(i, open); err != nil {
		t.Error(err)
	}
	bad := bytes.Clone(old)
	for i := range bad {
		bad[i]++
	}
	if _, err := g.Content(i, Bytes(bad)); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("a wrong base: %v", err)
	}
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
