package loadertest

import (
	"context"
	"errors"
	"testing"

	"deltaup/internal/test/durabletest"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/loader"
)

// testPowerCuts cuts the power at each step of a setup, and of each kind of change: what boots
// then, and all of the state, is the old or the new. The same command goes on.
func testPowerCuts(t *testing.T, open func(t *testing.T) *Bench) {
	none := counted.State{Slots: slots}
	steady := counted.State{Slots: slots, Active: "a", ID: "5ac07e11"}
	trial := counted.State{Slots: slots, Active: "a", Trial: "b", Tries: 2, ID: "5ac07e11"}
	for name, x := range map[string]struct {
		from counted.State
		t    counted.Transition
	}{
		"begin a trial": {steady, func(s counted.State) (counted.State, error) { return s.Activate("b", 2) }},
		"mark good":     {trial, func(s counted.State) (counted.State, error) { return s.MarkGood("b") }},
		"mark bad":      {trial, func(s counted.State) (counted.State, error) { return s.MarkBad("b") }},
		"mark active":   {trial, func(s counted.State) (counted.State, error) { return s.MarkActive("c") }},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := x.t(x.from)
			must(t, err)
			cutEverywhere(t, open, x.from, to, func(b *Bench) error {
				_, err := b.Loader.Change(context.Background(), x.t)
				return err
			})
		})
	}
	t.Run("setup", func(t *testing.T) {
		to, err := first(none)
		must(t, err)
		cutEverywhere(t, open, none, to, func(b *Bench) error {
			_, _, err := b.setup(context.Background())
			return err
		})
	})
}

// cutEverywhere cuts the power at each step of a deed that leads from one state to another.
func cutEverywhere(t *testing.T, open func(*testing.T) *Bench, from, to counted.State,
	deed func(*Bench) error) {
	t.Helper()
	for _, harsh := range []bool{false, true} {
		for n := 1; ; n++ {
			b := open(t)
			if from.Active != "" {
				b.create(t)
				b.set(t, from)
			}
			if harsh && b.InPlace {
				break
			}
			crash := durabletest.CrashAt(t, n)
			err := deed(b)
			if harsh && !crash.Restart() || !harsh && !crash.Keep() {
				if n == 1 {
					t.Error("no durable step")
				}
				break
			}
			if err == nil {
				t.Fatalf("step %d: no error", n)
			}
			s, err := b.Loader.Read()
			if from.Active == "" && errors.Is(err, loader.ErrNone) {
				s, err = from, nil
			}
			if err != nil || !same(s, from) && !same(s, to) {
				t.Errorf("step %d: %+v, %v, want %+v or %+v", n, s, err, from, to)
			}
			old, _ := Boot(from, allLoad)
			next, _ := Boot(to, allLoad)
			if got := b.Boot(allLoad); got != old && got != next {
				t.Errorf("step %d: booted %+v, want %+v or %+v", n, got, old, next)
			}
			if from.Active != "" {
				b.set(t, from)
			}
			if err := deed(b); err != nil {
				t.Fatalf("step %d, again: %v", n, err)
			}
			if s := b.read(t); !same(s, to) {
				t.Errorf("step %d, again: %+v, want %+v", n, s, to)
			}
		}
	}
}
