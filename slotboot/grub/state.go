package grub

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"deltaup/slotboot/counted"
	"deltaup/slotboot/grubenv"
)

// The variables of the environment block. A slot NAME that is bad has badPrefix+NAME=1. All are
// always there, so that GRUB and the initramfs change lines and add none.
const (
	varActive = "deltaup_active"
	varTrial  = "deltaup_trial"
	varTries  = "deltaup_tries" // always one character, so that GRUB changes one byte
	varFault  = "deltaup_fault"
	varID     = "deltaup_id" // missing when the state has none
	badPrefix = "deltaup_bad_"
)

// codes are what GRUB leaves in varTries when it ends a trial.
var codes = map[counted.Outcome]string{counted.Unconfirmed: "u", counted.Unloadable: "k"}

// StateOf is the state that a block tells. A value that is no slot, or no number of tries, counts
// as if it were not there. So does a trial of the active slot.
func StateOf(block *grubenv.Block, slots counted.Slots) counted.State {
	s := counted.State{Slots: slots}
	if name, _ := block.Get(varActive); slices.Contains(slots, name) {
		s.Active = name
	}
	fault, _ := block.Get(varFault)
	s.Fault = counted.ParseFault(fault, slots)
	id, _ := block.Get(varID)
	// as a script of GRUB does with a value that it takes for words
	s.ID, _, _ = strings.Cut(id, " ")
	for _, name := range slots {
		if v, _ := block.Get(badPrefix + name); v == "1" {
			s.Bad = append(s.Bad, name)
		}
	}
	trial, _ := block.Get(varTrial)
	if !slices.Contains(slots, trial) || trial == s.Active {
		return s
	}
	tries, _ := block.Get(varTries)
	for outcome, code := range codes {
		if tries == code {
			s.Trial, s.Ended = trial, outcome
		}
	}
	if n, err := strconv.Atoi(tries); err == nil && tries == strconv.Itoa(n) && n >= 0 &&
		n <= counted.MaxTries {
		s.Trial, s.Tries = trial, n
	}
	return s
}

// SetState puts a state into a block, in place of all that the block says of slots.
func SetState(block *grubenv.Block, s counted.State) error {
	for _, name := range block.Names() {
		if strings.HasPrefix(name, badPrefix) {
			block.Unset(name)
		}
	}
	tries, ended := codes[s.Ended]
	if !ended {
		tries = strconv.Itoa(s.Tries)
	}
	vars := map[string]string{
		varActive: s.Active,
		varTrial:  s.Trial,
		varTries:  tries,
		varFault:  s.Fault.String(),
	}
	for _, name := range s.Slots {
		vars[badPrefix+name] = "0"
		if s.IsBad(name) {
			vars[badPrefix+name] = "1"
		}
	}
	if strings.ContainsFunc(s.ID, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return fmt.Errorf("id of the environment block: %q has other characters than letters and digits",
			s.ID)
	}
	if block.Unset(varID); s.ID != "" {
		vars[varID] = s.ID
	}
	for name, value := range vars {
		if err := block.Set(name, value); err != nil {
			return err
		}
	}
	return nil
}

// change applies a transition to the state in a block.
func change(block *grubenv.Block, slots counted.Slots,
	t counted.Transition) (counted.State, error) {
	s, err := t(StateOf(block, slots))
	if err == nil {
		err = SetState(block, s)
	}
	return s, err
}
