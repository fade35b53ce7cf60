package patchset

import (
	"errors"
	"testing"

	"deltaup/chunkstore"
)

// unlistedStep makes a set and its step, whose recipe lacks chunk lists.
func unlistedStep(t *testing.T, from, to *release) ([]byte, *Step) {
	t.Helper()
	set, _ := makeSet(t, from, to, MakeOptions{})
	head, err := open(set)
	if err != nil {
		t.Fatal(err)
	}
	s, err := head.Step(from.recipe)
	if err != nil || len(s.pending) == 0 {
		t.Fatalf("%d chunk lists are left out, %v", len(s.pending), err)
	}
	return set, s
}

// TestStepAfter goes on from a release with unknown chunk lists, and back.
func TestStepAfter(t *testing.T) {
	from, to := fixture(t)
	_, first := unlistedStep(t, from, to)
	back, _ := makeSet(t, to, from, MakeOptions{})
	head, err := open(back)
	if err != nil {
		t.Fatal(err)
	}
	s, err := head.StepAfter(first)
	if err != nil {
		t.Fatal(err)
	}
	want := checkSet(t, back, to, from)
	if len(s.Entries) != len(want.Entries) || len(s.pending) < len(want.pending) {
		t.Errorf("%d entries and %d chunk lists left out, want %d and %d", len(s.Entries), len(s.pending), len(want.Entries), len(want.pending))
	}
	if err := s.Complete(from.recipe); err != nil {
		t.Fatal(err)
	}
	if err := s.Finish(); err != nil {
		t.Error(err)
	}
	if got, want := recipeText(t, s.To), recipeText(t, from.recipe); got != want {
		t.Errorf("recipe:\n%s\nwant:\n%s", got, want)
	}
}

// TestStepAfterRecut demands ErrPending of a set that has another chunk list for a content whose id
// the set before it left out, and no error once the id is known.
func TestStepAfterRecut(t *testing.T) {
	other := chunkstore.Params{Min: 256, Average: 512, Max: 16384}
	files := []file{{path: "a", plain: text(2, 9000)}}
	from := newRelease(t, 1, fixtureChunks, []file{{path: "a", plain: text(1, 9000)}})
	to, recut := newRelease(t, 1, fixtureChunks, files), newRelease(t, 1, other, files)
	_, first := unlistedStep(t, from, to)
	set, _ := makeSet(t, to, recut, MakeOptions{})
	head, err := open(set)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := head.StepAfter(first); !errors.Is(err, ErrPending) {
		t.Errorf("without the id: %v", err)
	}
	if err := first.Complete(to.recipe); err != nil {
		t.Fatal(err)
	}
	s, err := head.StepAfter(first)
	if err != nil || recipeText(t, s.To) != recipeText(t, recut.recipe) {
		t.Errorf("with the id: %v", err)
	}
}

// TestStepAfterLists demands ErrPending of a set that refers to chunk lists which the set before it
// left out.
func TestStepAfterLists(t *testing.T) {
	from, to := fixture(t)
	there, first := unlistedStep(t, from, to)
	back, _ := makeSet(t, to, from, MakeOptions{ChunkLists: true})
	head, err := open(back)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := head.StepAfter(first); !errors.Is(err, ErrPending) || errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("got %v, want ErrPending", err)
	}
	if head, err = open(there); err != nil {
		t.Fatal(err)
	}
	if _, err := head.StepAfter(first); !errors.Is(err, ErrFrom) {
		t.Errorf("a set after itself: %v, want ErrFrom", err)
	}
}
