package counted

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"deltaup/slotboot/grubenv"
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
		"activate":                    {start, activate("b", 3), State{Active: "a", Trial: "b", Tries: 3}, nil},
		"activate a bad slot":         {State{Slots: abc, Active: "a", Bad: []string{"b", "c"}}, activate("b", 1), State{Active: "a", Trial: "b", Tries: 1, Bad: []string{"c"}}, nil},
		"activate after a fallback":   {ended, activate("b", 9), State{Active: "a", Trial: "b", Tries: 9}, nil},
		"activate another":            {trial, activate("c", 3), State{Active: "a", Trial: "c", Tries: 3}, nil},
		"activate the active":         {start, activate("a", 3), State{}, ErrNotTrial},
		"activate, all are bad":       {State{Slots: abc, Active: "a", Bad: abc}, activate("a", 3), State{Trial: "a", Tries: 3, Bad: []string{"b", "c"}}, nil},
		"activate unknown":            {start, activate("d", 3), State{}, ErrUnknownSlot},
		"good":                        {trial, good("b"), State{Active: "b"}, nil},
		"good on the last try":        {State{Slots: abc, Active: "a", Trial: "b"}, good("b"), State{Active: "b"}, nil},
		"good already":                {start, good("a"), State{Active: "a"}, nil},
		"good after late boots":       {State{Slots: abc, Active: "a", Fault: late("a", 2)}, good("a"), State{Active: "a"}, nil},
		"good in place of a given up": {givenUp, good("b"), State{Active: "b", Bad: []string{"a"}, Fault: givenUp.Fault}, nil},
		"good beside a trial":         {trial, good("a"), trial, nil},
		"good after a fallback":       {ended, good("a"), ended, nil},
		"good when none is known":     {State{Slots: abc}, good("c"), State{Active: "c"}, nil},
		"good of an ended trial":      {ended, good("b"), State{}, ErrNotTrial},
		"good of a third":             {trial, good("c"), State{}, ErrNotTrial},
		"good of a bad one":           {State{Slots: abc, Active: "a", Trial: "b", Bad: []string{"b"}}, good("b"), State{}, ErrBad},
		"good of unknown":             {start, good(""), State{}, ErrUnknownSlot},
		"active":                      {trial, active("c"), State{Active: "c"}, nil},
		"active ends a trial":         {trial, active("a"), State{Active: "a"}, nil},
		"active of a bad one":         {State{Slots: abc, Active: "a", Bad: []string{"b"}}, active("b"), State{}, ErrBad},
		"bad":                         {start, bad("b"), State{Active: "a", Bad: []string{"b"}}, nil},
		"bad twice":                   {State{Slots: abc, Active: "a", Bad: []string{"b"}}, bad("b"), State{Active: "a", Bad: []string{"b"}}, nil},
		"bad ends a trial":            {trial, bad("b"), State{Active: "a", Trial: "b", Bad: []string{"b"}}, nil},
		"bad after a fallback":        {ended, bad("b"), State{Active: "a", Trial: "b", Ended: Unconfirmed, Bad: []string{"b"}}, nil},
		"bad active":                  {start, bad("a"), State{Active: "b", Bad: []string{"a"}}, nil},
		"bad active beside a trial":   {trial, bad("a"), State{Active: "c", Trial: "b", Tries: 2, Bad: []string{"a"}}, nil},
		"bad given up":                {givenUp, bad("a"), State{Active: "b", Bad: []string{"a"}, Fault: givenUp.Fault}, nil},
		"bad beside a given up":       {givenUp, bad("b"), State{Active: "a", Bad: []string{"a", "b"}, Fault: givenUp.Fault}, nil},
		"bad, the last beside it":     {State{Slots: abc, Active: "a", Bad: []string{"a", "b"}}, bad("c"), State{}, ErrLastGood},
		"bad, all are":                {State{Slots: abc, Active: "a", Bad: abc}, bad("a"), State{Active: "a", Bad: abc}, nil},
		"bad after late boots":        {State{Slots: abc, Active: "b", Fault: late("a", 2)}, bad("a"), State{Active: "b", Bad: []string{"a"}}, nil},
		"activate a given up":         {State{Slots: abc, Active: "b", Bad: []string{"a"}, Fault: givenUp.Fault}, activate("a", 3), State{Active: "b", Trial: "a", Tries: 3}, nil},
		"bad active, none other good": {State{Slots: abc, Active: "a", Trial: "b", Tries: 1, Bad: []string{"c"}}, bad("a"), State{}, ErrLastGood},
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

// TestUpdate stores every state that there can be and reads it back.
func TestUpdate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grubenv")
	if err := grubenv.Create(path); err != nil {
		t.Fatal(err)
	}
	if s, err := Read(path, abc); err != nil || !equal(s, State{Slots: abc}) {
		t.Fatalf("a new block: %+v, %v", s, err)
	}
	for _, want := range []State{
		{Active: "a"},
		{Active: "c", Bad: []string{"a", "b"}},
		{Active: "a", Trial: "b", Tries: MaxTries},
		{Active: "a", Trial: "b", Tries: 0, Bad: []string{"b"}},
		{Active: "b", Trial: "a", Ended: Unconfirmed},
		{Active: "b", Trial: "a", Ended: Unloadable, ID: "5ac07e11"},
		{Active: "a", Bad: []string{"a"}, Fault: Fault{"a", FaultMissing, 1}},
		{},
	} {
		want.Slots = abc
		got, err := Update(t.Context(), path, abc, func(State) (State, error) { return want, nil })
		if err != nil || !equal(got, want) {
			t.Errorf("%+v: %+v, %v", want, got, err)
		}
		if got, err := Read(path, abc); err != nil || !equal(got, want) {
			t.Errorf("read back %+v: %+v, %v", want, got, err)
		}
	}
	if _, err := Read(path, Slots{"a"}); !errors.Is(err, ErrSlots) {
		t.Errorf("Read with one slot: %v", err)
	}
}

// TestUpdateForgetsSlots: marks of slots that are no longer configured go away.
func TestUpdateForgetsSlots(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grubenv")
	if err := grubenv.Create(path); err != nil {
		t.Fatal(err)
	}
	set := func(s State) (State, error) { return s.MarkBad("c") }
	if _, err := Update(t.Context(), path, abc, set); err != nil {
		t.Fatal(err)
	}
	two := Slots{"a", "b"}
	if _, err := Update(t.Context(), path, two, func(s State) (State, error) { return s.MarkActive("a") }); err != nil {
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

// TestSelectLife boots a trial that nobody marks good until it has fallen back.
func TestSelectLife(t *testing.T) {
	m := Machine{Slots: abc, Loads: map[string]bool{"a": true, "b": true, "c": true}}
	block := new(grubenv.Block)
	if err := (State{Slots: abc, Active: "a", Trial: "b", Tries: 3}).store(block); err != nil {
		t.Fatal(err)
	}
	env, err := block.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	m.Env = env
	for i, want := range []Choice{{Slot: "b"}, {Slot: "b"}, {Slot: "b"}, {Slot: "a", FellBack: "b"}, {Slot: "a"}} {
		before := m.Env
		got := Select(m)
		if got.Slot != want.Slot || got.FellBack != want.FellBack {
			t.Errorf("boot %d: %s, fell back from %q", i+1, got.Slot, got.FellBack)
		}
		if n := differences(before, got.Env); n > 1 || i == 4 && n != 0 {
			t.Errorf("boot %d: GRUB changed %d bytes", i+1, n)
		}
		m.Env = got.Env
	}
	end, _ := grubenv.LoadEnv(m.Env)
	if s := Of(end, abc); s.FellBack() != "b" || s.Ended != Unconfirmed || s.Pending() {
		t.Errorf("at the end %+v", s)
	}
}

func differences(x, y []byte) (n int) {
	for i := range x {
		if x[i] != y[i] {
			n++
		}
	}
	return n
}
