package grub

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"deltaup/slotboot/counted"
	"deltaup/slotboot/grubenv"
)

var abc = counted.Slots{"a", "b", "c"}

// newBlock is a file with an empty environment block.
func newBlock(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "grubenv")
	empty, err := new(grubenv.Block).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, empty, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestState stores every state that there can be and reads it back.
func TestState(t *testing.T) {
	path := newBlock(t)
	if s, err := ReadState(path, abc); err != nil || !reflect.DeepEqual(s, counted.State{Slots: abc}) {
		t.Fatalf("a new block: %+v, %v", s, err)
	}
	for _, want := range []counted.State{
		{Active: "a"},
		{Active: "c", Bad: []string{"a", "b"}},
		{Active: "a", Trial: "b", Tries: counted.MaxTries},
		{Active: "a", Trial: "b", Tries: 0, Bad: []string{"b"}},
		{Active: "b", Trial: "a", Ended: counted.Unconfirmed},
		{Active: "b", Trial: "a", Ended: counted.Unloadable, ID: "5ac07e11"},
		{Active: "a", Bad: []string{"a"}, Fault: counted.Fault{Slot: "a", Why: counted.FaultMissing, Boots: 1}},
		{},
	} {
		want.Slots = abc
		got, err := ChangeState(t.Context(), path, abc, func(counted.State) (counted.State, error) { return want, nil })
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: %+v, %v", want, got, err)
		}
		if got, err := ReadState(path, abc); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read back %+v: %+v, %v", want, got, err)
		}
	}
	if _, err := ReadState(path, counted.Slots{"a"}); !errors.Is(err, counted.ErrSlots) {
		t.Errorf("Read with one slot: %v", err)
	}
}

// TestForgetsSlots: marks of slots that are no longer configured go away.
func TestForgetsSlots(t *testing.T) {
	path := newBlock(t)
	set := func(s counted.State) (counted.State, error) { return s.MarkBad("c") }
	if _, err := ChangeState(t.Context(), path, abc, set); err != nil {
		t.Fatal(err)
	}
	two := counted.Slots{"a", "b"}
	if _, err := ChangeState(t.Context(), path, two, func(s counted.State) (counted.State, error) { return s.MarkActive("a") }); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := grubenv.LoadEnv(b)
	want := []string{"deltaup_active", "deltaup_bad_a", "deltaup_bad_b", "deltaup_fault", "deltaup_trial", "deltaup_tries"}
	if got := block.Names(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
