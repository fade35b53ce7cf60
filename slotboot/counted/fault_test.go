package counted

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/slotboot/grubenv"
)

// TestFailed says which failures count at once, which after how many boots, and which never.
func TestFailed(t *testing.T) {
	two := Slots{"a", "b"}
	steady := State{Slots: two, Active: "a"}
	trial := State{Slots: two, Active: "a", Trial: "b", Tries: 2}
	ended := State{Slots: abc, Active: "a", Trial: "b", Ended: Unconfirmed}
	given := func(s State, slot, why string, boots int) State {
		s.Fault = Fault{slot, why, boots}
		return s.withBad(slot, true)
	}
	late := func(s State, why string, boots int) State {
		s.Fault = Fault{s.Active, why, boots}
		return s
	}
	trialGiven := given(trial, "b", FaultImage, 1)
	trialGiven.Tries = 0
	for name, c := range map[string]struct {
		from State
		boot FailedBoot
		want State
	}{
		"image":                  {steady, FailedBoot{Slot: "a", Why: FaultImage}, given(steady, "a", FaultImage, 1)},
		"missing":                {steady, FailedBoot{Slot: "a", Why: FaultMissing}, given(steady, "a", FaultMissing, 1)},
		"device, once":           {steady, FailedBoot{Slot: "a", Why: FaultDevice}, late(steady, FaultDevice, 1)},
		"device, twice":          {late(steady, FaultDevice, 1), FailedBoot{Slot: "a", Why: FaultDevice}, late(steady, FaultDevice, 2)},
		"device, three times":    {late(steady, FaultDevice, 2), FailedBoot{Slot: "a", Why: FaultDevice}, given(steady, "a", FaultDevice, 3)},
		"one, then another":      {late(steady, FaultMount, 2), FailedBoot{Slot: "a", Why: FaultRead}, given(steady, "a", FaultRead, 3)},
		"of another slot before": {State{Slots: two, Active: "a", Fault: Fault{"b", FaultDevice, 2}}, FailedBoot{Slot: "a", Why: FaultDevice}, late(steady, FaultDevice, 1)},
		"image after late":       {late(steady, FaultDevice, 2), FailedBoot{Slot: "a", Why: FaultImage}, given(steady, "a", FaultImage, 1)},
		"a word of later":        {steady, FailedBoot{Slot: "a", Why: "cosmic"}, late(steady, "cosmic", 1)},
		"trial":                  {trial, FailedBoot{Slot: "b", Trial: true, Why: FaultImage}, trialGiven},
		"trial's device":         {trial, FailedBoot{Slot: "b", Trial: true, Why: FaultDevice}, trial},
		"beside a trial":         {trial, FailedBoot{Slot: "a", FellBack: true, Why: FaultImage}, trial},
		"no other":               {State{Slots: two, Active: "a", Bad: []string{"b"}}, FailedBoot{Slot: "a", Why: FaultImage}, State{Active: "a", Bad: []string{"b"}}},
		"two damaged":            {given(steady, "a", FaultImage, 1), FailedBoot{Slot: "b", FellBack: true, Why: FaultImage}, given(steady, "a", FaultImage, 1)},
		"last good, late":        {given(State{Slots: abc, Active: "a"}, "a", FaultImage, 1), FailedBoot{Slot: "b", FellBack: true, Why: FaultDevice}, given(State{Slots: abc, Active: "a"}, "a", FaultImage, 1)},
		"last good, damaged":     {given(State{Slots: abc, Active: "a"}, "a", FaultImage, 1), FailedBoot{Slot: "b", FellBack: true, Why: FaultMissing}, given(State{Slots: abc, Active: "a", Bad: []string{"a"}}, "b", FaultMissing, 1)},
		"after a trial, late":    {ended, FailedBoot{Slot: "a", Why: FaultDevice}, ended},
		"after a trial, damaged": {ended, FailedBoot{Slot: "a", Why: FaultImage}, given(ended, "a", FaultImage, 1)},
		"after a trial of two":   {State{Slots: two, Active: "a", Trial: "b", Ended: Unloadable}, FailedBoot{Slot: "a", Why: FaultImage}, State{Active: "a", Trial: "b", Ended: Unloadable}},
		"from the menu, late":    {steady, FailedBoot{Slot: "b", Why: FaultDevice}, steady},
		"from the menu, damaged": {steady, FailedBoot{Slot: "b", Why: FaultImage}, given(steady, "b", FaultImage, 1)},
		"unknown slot":           {steady, FailedBoot{Slot: "z", Why: FaultImage}, steady},
		"no active slot":         {State{Slots: two}, FailedBoot{Slot: "a", Why: FaultImage}, given(State{Slots: two}, "a", FaultImage, 1)},
	} {
		c.want.Slots = c.from.Slots
		if got := c.from.Failed(c.boot); !equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestNoteFailed holds the model of the shell to what Update writes, and to change no block that
// Update would write anew.
func TestNoteFailed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grubenv")
	if err := grubenv.Create(path); err != nil {
		t.Fatal(err)
	}
	set := func(change func(State) State) []byte {
		t.Helper()
		if _, err := Update(t.Context(), path, abc, func(s State) (State, error) { return change(s), nil }); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	boot := FailedBoot{Slot: "a", ID: "5ac07e11", Why: FaultImage}
	before := set(func(State) State { return State{Slots: abc, Active: "a", ID: boot.ID} })
	got := NoteFailed(before, boot)
	if want := set(func(s State) State { return s.Failed(boot) }); !bytes.Equal(got, want) || bytes.Equal(got, before) {
		t.Errorf("the model writes %q, want %q", got, want)
	}
	if c := Select(Machine{Slots: abc, Env: got, Loads: map[string]bool{"a": true, "b": true, "c": true}}); c.Slot != "b" || c.FellBack != "a" {
		t.Errorf("GRUB boots %+v", c)
	}
	if block, _ := grubenv.LoadEnv(got); Of(block, abc).FellBack() != "a" {
		t.Error("the state does not tell of the fallback")
	}
	swap := func(x, y string) []byte {
		b := bytes.Replace(before, []byte(x), []byte(y), 1)
		return append(b, bytes.Repeat([]byte("#"), grubenv.Size)...)[:grubenv.Size]
	}
	for name, env := range map[string][]byte{
		"cut":                before[:grubenv.Sector],
		"another block":      swap("5ac07e11", "5ac07e12"),
		"an older deltaup's": swap("deltaup_fault=\n", ""),
		"unsorted":           swap("deltaup_active=a\ndeltaup_bad_a=0\n", "deltaup_bad_a=0\ndeltaup_active=a\n"),
		"another mark":       swap("deltaup_bad_b=0", "deltaup_bad_b=x"),
		"a trial of nothing": swap("deltaup_tries=0", "deltaup_tries=3"),
		"ours in the second": append(bytes.Clone(before[:900]), []byte("\ndeltaup_active=b\n"+strings.Repeat("#", 106))...),
	} {
		if got := NoteFailed(env, boot); !bytes.Equal(got, env) {
			t.Errorf("%s: changed to %q", name, got)
		}
	}
}
