package loadertest

import (
	"slices"

	"deltaup/slotboot/counted"
)

// Started is what a boot loader does on one boot.
type Started struct {
	Slot     string // whose kernel is started; empty when none can be loaded
	Trial    bool   // it is a try of the slot on trial
	FellBack string // the slot that would have been booted
}

// Boot is one boot by the rules of counted boot, which doc/boot.md has, and the state afterwards.
// Loads are the slots whose kernel and initrd can be loaded.
func Boot(s counted.State, loads map[string]bool) (Started, counted.State) {
	var started Started
	passed := s.Bad
	if s.Trial != "" {
		passed = append(slices.Clone(passed), s.Trial)
	}
	if s.Pending() {
		started.FellBack = s.Trial
		switch {
		case s.Tries == 0 || s.IsBad(s.Trial):
			s.Tries, s.Ended = 0, counted.Unconfirmed
		case loads[s.Trial]:
			s.Tries--
			return Started{Slot: s.Trial, Trial: true}, s
		default:
			s.Tries, s.Ended = 0, counted.Unloadable
		}
	}
	for _, wanted := range []func(slot string) bool{
		func(slot string) bool { return slot == s.Active && !slices.Contains(passed, slot) },
		func(slot string) bool { return !slices.Contains(passed, slot) },
		func(string) bool { return true },
	} {
		for _, slot := range s.Slots {
			if !wanted(slot) || !loads[slot] {
				continue
			}
			started.Slot = slot
			if started.FellBack == "" && (slot != s.Active || s.IsBad(slot)) {
				started.FellBack = s.Active
			}
			return started, s
		}
	}
	return Started{}, s
}

// states are states that a machine can come to have.
func states() []counted.State {
	var all []counted.State
	for _, active := range []string{"", "a", "b"} {
		for _, trial := range []string{"", "a", "b", "c"} {
			for _, bad := range [][]string{nil, {"a"}, {"b"}, {"a", "b"}, {"a", "b", "c"}} {
				s := counted.State{Slots: slots, Active: active, Bad: bad, ID: "5ac07e11"}
				if trial == "" || trial == active {
					all = append(all, s)
					continue
				}
				s.Trial = trial
				for tries := range 3 {
					s.Tries = tries
					all = append(all, s)
				}
				for _, ended := range []counted.Outcome{counted.Unconfirmed, counted.Unloadable} {
					s.Tries, s.Ended = 0, ended
					all = append(all, s)
				}
			}
		}
	}
	fault := counted.Fault{Slot: "a", Why: counted.FaultDevice, Boots: 2}
	return append(all,
		counted.State{Slots: slots, Active: "a", Fault: fault},
		counted.State{Slots: slots, Active: "a", Trial: "b", Tries: counted.MaxTries, ID: "x1"})
}
