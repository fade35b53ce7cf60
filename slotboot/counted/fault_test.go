package counted

import "testing"

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
		"data, once":             {steady, FailedBoot{Slot: "a", Why: FaultData}, late(steady, FaultData, 1)},
		"data, three times":      {late(steady, FaultData, 2), FailedBoot{Slot: "a", Why: FaultData}, late(steady, FaultData, 3)},
		"data, for days":         {late(steady, FaultData, 3), FailedBoot{Slot: "a", Why: FaultData}, late(steady, FaultData, 3)},
		"data, on a trial":       {trial, FailedBoot{Slot: "b", Trial: true, Why: FaultData}, trial},
		"data, last good":        {late(given(State{Slots: two, Active: "a"}, "b", FaultImage, 1), FaultData, 2), FailedBoot{Slot: "a", FellBack: true, Why: FaultData}, late(State{Slots: two, Active: "a", Bad: []string{"b"}}, FaultData, 3)},
		"data, after a trial":    {ended, FailedBoot{Slot: "a", Why: FaultData}, late(ended, FaultData, 1)},
		"data, the other slot":   {late(steady, FaultData, 2), FailedBoot{Slot: "b", Why: FaultData}, State{Active: "a", Fault: Fault{"b", FaultData, 3}}},
		"data after its device":  {late(steady, FaultDevice, 1), FailedBoot{Slot: "a", Why: FaultData}, late(steady, FaultData, 2)},
		"its device after data":  {late(steady, FaultData, 3), FailedBoot{Slot: "a", Why: FaultDevice}, given(steady, "a", FaultDevice, 3)},
		"unknown slot":           {steady, FailedBoot{Slot: "z", Why: FaultImage}, steady},
		"no active slot":         {State{Slots: two}, FailedBoot{Slot: "a", Why: FaultImage}, given(State{Slots: two}, "a", FaultImage, 1)},
	} {
		c.want.Slots = c.from.Slots
		if got := c.from.Failed(c.boot); !equal(got, c.want) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestFaultText reads the text of every fault back, and takes nothing else for one.
func TestFaultText(t *testing.T) {
	for _, want := range []Fault{{}, {"a", FaultImage, 1}, {"c", FaultDevice, 9}, {"b", "cosmic", 3}} {
		if got := ParseFault(want.String(), abc); got != want {
			t.Errorf("%q gives %+v", want, got)
		}
	}
	for _, text := range []string{"a", "a:image", "z:image:1", "a:image:0", "a:image:10", "a:Image:1", "a::1", "a:image:1:", "a:longerthan:1"} {
		if got := ParseFault(text, abc); got != (Fault{}) {
			t.Errorf("%q gives %+v", text, got)
		}
	}
}

// TestSettled forgets what a boot has shown to be over.
func TestSettled(t *testing.T) {
	two := Slots{"a", "b"}
	for name, c := range map[string]struct {
		fault Fault
		bad   []string
		kept  bool
	}{
		"its own":                 {Fault{"a", FaultDevice, 2}, nil, false},
		"another slot's":          {Fault{"b", FaultDevice, 2}, nil, true},
		"of what was given up":    {Fault{"b", FaultImage, 1}, []string{"b"}, true},
		"the data, at any slot":   {Fault{"b", FaultData, 2}, nil, false},
		"the data, at a bad slot": {Fault{"b", FaultData, 2}, []string{"b"}, false},
	} {
		s := State{Slots: two, Active: "a", Bad: c.bad, Fault: c.fault}
		if got := s.Settled("a").Fault; (got != Fault{}) != c.kept {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
