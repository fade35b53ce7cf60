package counted

import (
	"errors"
	"slices"
	"testing"
)

var abc = Slots{"a", "b", "c"}

func TestSlotsValidate(t *testing.T) {
	for _, good := range []Slots{{"a", "b"}, abc, {"slot_1", "slot_2", "c3", "d", "e", "f", "g", "abcdefghijklmno"}} {
		if err := good.Validate(); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for _, bad := range []Slots{nil, {"a"}, {"a", "a"}, {"a", ""}, {"a", "B"}, {"a", "1b"}, {"a", "b-c"}, {"a", "abcdefghijklmnop"}, {"a", "b", "c", "d", "e", "f", "g", "h", "i"}} {
		if err := bad.Validate(); !errors.Is(err, ErrSlots) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// TestTransitions walks through the life of a machine.
func TestTransitions(t *testing.T) {
	activate := func(slot string, tries int) func(State) (State, error) {
		return func(s State) (State, error) { return s.Activate(slot, tries) }
	}
	good := func(slot string) func(State) (State, error) {
		return func(s State) (State, error) { return s.MarkGood(slot) }
	}
	bad := func(slot string) func(State) (State, error) {
		return func(s State) (State, error) { return s.MarkBad(slot) }
	}
	active := func(slot string) func(State) (State, error) {
		return func(s State) (State, error) { return s.MarkActive(slot) }
	}
	start := State{Slots: abc, Active: "a"}
	trial := State{Slots: abc, Active: "a", Trial: "b", Tries: 2}
	ended := State{Slots: abc, Active: "a", Trial: "b", Ended: Unconfirmed}
	givenUp := State{Slots: abc, Active: "a", Bad: []string{"a"}, Fault: Fault{"a", FaultImage, 1}}
	late := func(slot string, boots int) Fault { return Fault{slot, FaultDevice, boots} }
	for name, c := range map[string]struct {
		from   State
		change func(State) (State, error)
		want   State
		err    error
	}{
		"activate":                     {start, activate("b", 3), State{Active: "a", Trial: "b", Tries: 3}, nil},
		"activate a bad slot":          {State{Slots: abc, Active: "a", Bad: []string{"b", "c"}}, activate("b", 1), State{Active: "a", Trial: "b", Tries: 1, Bad: []string{"c"}}, nil},
		"activate after a fallback":    {ended, activate("b", 9), State{Active: "a", Trial: "b", Tries: 9}, nil},
		"activate another":             {trial, activate("c", 3), State{Active: "a", Trial: "c", Tries: 3}, nil},
		"activate the active":          {start, activate("a", 3), State{}, ErrNotTrial},
		"activate, all are bad":        {State{Slots: abc, Active: "a", Bad: abc}, activate("a", 3), State{Trial: "a", Tries: 3, Bad: []string{"b", "c"}}, nil},
		"activate, active is given up": {givenUp, activate("a", 3), State{Active: "b", Trial: "a", Tries: 3}, nil},
		"activate, one is on trial":    {State{Slots: abc, Active: "a", Trial: "b", Tries: 1, Bad: []string{"a"}}, activate("a", 3), State{Active: "c", Trial: "a", Tries: 3}, nil},
		"activate unknown":             {start, activate("d", 3), State{}, errUnknownSlot},
		"good":                         {trial, good("b"), State{Active: "b"}, nil},
		"good on the last try":         {State{Slots: abc, Active: "a", Trial: "b"}, good("b"), State{Active: "b"}, nil},
		"good already":                 {start, good("a"), State{Active: "a"}, nil},
		"good after late boots":        {State{Slots: abc, Active: "a", Fault: late("a", 2)}, good("a"), State{Active: "a"}, nil},
		"good in place of a given up":  {givenUp, good("b"), State{Active: "b", Bad: []string{"a"}, Fault: givenUp.Fault}, nil},
		"good beside a trial":          {trial, good("a"), trial, nil},
		"good after a fallback":        {ended, good("a"), ended, nil},
		"good when none is known":      {State{Slots: abc}, good("c"), State{Active: "c"}, nil},
		"good of an ended trial":       {ended, good("b"), State{}, ErrNotTrial},
		"good of a third":              {trial, good("c"), State{}, ErrNotTrial},
		"good of a bad one":            {State{Slots: abc, Active: "a", Trial: "b", Bad: []string{"b"}}, good("b"), State{}, ErrBad},
		"good of unknown":              {start, good(""), State{}, errUnknownSlot},
		"active":                       {trial, active("c"), State{Active: "c"}, nil},
		"active ends a trial":          {trial, active("a"), State{Active: "a"}, nil},
		"active of a bad one":          {State{Slots: abc, Active: "a", Bad: []string{"b"}}, active("b"), State{}, ErrBad},
		"bad":                          {start, bad("b"), State{Active: "a", Bad: []string{"b"}}, nil},
		"bad twice":                    {State{Slots: abc, Active: "a", Bad: []string{"b"}}, bad("b"), State{Active: "a", Bad: []string{"b"}}, nil},
		"bad ends a trial":             {trial, bad("b"), State{Active: "a", Trial: "b", Bad: []string{"b"}}, nil},
		"bad after a fallback":         {ended, bad("b"), State{Active: "a", Trial: "b", Ended: Unconfirmed, Bad: []string{"b"}}, nil},
		"bad active":                   {start, bad("a"), State{Active: "b", Bad: []string{"a"}}, nil},
		"bad active beside a trial":    {trial, bad("a"), State{Active: "c", Trial: "b", Tries: 2, Bad: []string{"a"}}, nil},
		"bad given up":                 {givenUp, bad("a"), State{Active: "b", Bad: []string{"a"}, Fault: givenUp.Fault}, nil},
		"bad beside a given up":        {givenUp, bad("b"), State{Active: "a", Bad: []string{"a", "b"}, Fault: givenUp.Fault}, nil},
		"bad, the last beside it":      {State{Slots: abc, Active: "a", Bad: []string{"a", "b"}}, bad("c"), State{}, ErrLastGood},
		"bad, all are":                 {State{Slots: abc, Active: "a", Bad: abc}, bad("a"), State{Active: "a", Bad: abc}, nil},
		"bad after late boots":         {State{Slots: abc, Active: "b", Fault: late("a", 2)}, bad("a"), State{Active: "b", Bad: []string{"a"}}, nil},
		"activate a given up":          {State{Slots: abc, Active: "b", Bad: []string{"a"}, Fault: givenUp.Fault}, activate("a", 3), State{Active: "b", Trial: "a", Tries: 3}, nil},
		"bad active, none other good":  {State{Slots: abc, Active: "a", Trial: "b", Tries: 1, Bad: []string{"c"}}, bad("a"), State{}, ErrLastGood},
	} {
		from := c.from
		from.Bad = slices.Clone(c.from.Bad)
		got, err := c.change(from)
		if !errors.Is(err, c.err) {
			t.Errorf("%s: error %v, want %v", name, err, c.err)
			continue
		}
		if err != nil {
			c.want = c.from
		}
		c.want.Slots = abc
		if !equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
		if !equal(from, c.from) {
			t.Errorf("%s: changed what it was given", name)
		}
	}
	for _, tries := range []int{-1, 0, MaxTries + 1} {
		if _, err := start.Activate("b", tries); err == nil {
			t.Errorf("Activate with %d tries succeeds", tries)
		}
	}
}

func equal(x, y State) bool {
	return slices.Equal(x.Slots, y.Slots) && x.Active == y.Active && x.Trial == y.Trial && x.Tries == y.Tries &&
		x.Ended == y.Ended && x.ID == y.ID && x.Fault == y.Fault && slices.Equal(x.Bad, y.Bad)
}
