package loadertest

import (
	"testing"

	"deltaup/slotboot/counted"
)

// onTrial puts slot b on trial.
func (b *Bench) onTrial(t *testing.T, tries int) {
	t.Helper()
	b.create(t)
	b.change(t, func(s counted.State) (counted.State, error) { return s.Activate("b", tries) })
}

func testGood(t *testing.T, b *Bench) {
	b.onTrial(t, 3)
	b.boots(t, Started{Slot: "b", Trial: true})
	b.change(t, func(s counted.State) (counted.State, error) { return s.MarkGood("b") })
	for range 2 {
		b.boots(t, Started{Slot: "b"})
	}
}

func testBad(t *testing.T, b *Bench) {
	b.onTrial(t, 3)
	b.boots(t, Started{Slot: "b", Trial: true})
	b.change(t, func(s counted.State) (counted.State, error) { return s.MarkBad("b") })
	b.boots(t, Started{Slot: "a", FellBack: "b"})
	b.boots(t, Started{Slot: "a"})
	if s := b.read(t); !s.IsBad("b") || s.FellBack() != "b" {
		t.Errorf("state: %+v", s)
	}
}

func testFallBack(t *testing.T, b *Bench) {
	b.onTrial(t, 2)
	for left := 1; left >= 0; left-- {
		b.boots(t, Started{Slot: "b", Trial: true})
		if s := b.read(t); s.Tries != left || !s.OnTrial("b") {
			t.Errorf("%d tries left: %+v", left, s)
		}
	}
	b.boots(t, Started{Slot: "a", FellBack: "b"})
	if s := b.read(t); s.Ended != counted.Unconfirmed || s.FellBack() != "b" {
		t.Errorf("state: %+v", s)
	}
	b.boots(t, Started{Slot: "a"})
}

func testUnloadable(t *testing.T, b *Bench) {
	b.onTrial(t, 3)
	if got := b.Boot(map[string]bool{"a": true, "c": true}); got != (Started{Slot: "a", FellBack: "b"}) {
		t.Errorf("booted %+v", got)
	}
	if s := b.read(t); s.Ended != counted.Unloadable || s.FellBack() != "b" {
		t.Errorf("state: %+v", s)
	}
}

func testGivenUp(t *testing.T, b *Bench) {
	b.create(t)
	b.change(t, func(s counted.State) (counted.State, error) {
		return s.Failed(counted.FailedBoot{Slot: "a", Why: counted.FaultImage}), nil
	})
	for range 2 { // at each boot until the state changes
		b.boots(t, Started{Slot: "b", FellBack: "a"})
	}
}
