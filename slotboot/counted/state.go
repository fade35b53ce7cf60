package counted

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"deltaup/slotboot/grubenv"
)

// The variables of the environment block. A slot NAME that is bad has badPrefix+NAME=1.
const (
	varActive = "deltaup_active"
	varTrial  = "deltaup_trial"
	varTries  = "deltaup_tries" // always one character, so that GRUB changes one byte
	varID     = "deltaup_id"
	badPrefix = "deltaup_bad_"
)

const (
	minSlots = 2
	maxSlots = 8
	maxName  = 15
)

// codes are what GRUB leaves in varTries when it ends a trial.
var codes = map[Outcome]string{Unconfirmed: "u", Unloadable: "k"}

// Validate wraps ErrSlots when there are fewer than 2 or more than 8 names, or a name is not
// usable or repeated.
func (s Slots) Validate() error {
	if len(s) < minSlots || len(s) > maxSlots {
		return fmt.Errorf("%w: %d slots, not %d to %d", ErrSlots, len(s), minSlots, maxSlots)
	}
	for i, name := range s {
		if !validName(name) {
			return fmt.Errorf("%w: %q is not a lower-case letter and up to %d letters, digits or _",
				ErrSlots, name, maxName-1)
		}
		if slices.Contains(s[:i], name) {
			return fmt.Errorf("%w: %s is there twice", ErrSlots, name)
		}
	}
	return nil
}

func validName(name string) bool {
	for i, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

// Read is the state in the environment block at path.
func Read(path string, slots Slots) (State, error) {
	if err := slots.Validate(); err != nil {
		return State{}, err
	}
	block, err := grubenv.Read(path)
	if err != nil {
		return State{}, err
	}
	return Of(block, slots), nil
}

// Update applies change to the state in the environment block at path and stores what it
// returns by one in-place write; nothing is written when nothing changes, or change
// fails. It returns the new state. Other users of the block are locked out meanwhile.
func Update(ctx context.Context, path string, slots Slots,
	change func(State) (State, error)) (State, error) {
	if err := slots.Validate(); err != nil {
		return State{}, err
	}
	var s State
	err := grubenv.Update(ctx, path, func(block *grubenv.Block) (err error) {
		s, err = Change(block, slots, change)
		return err
	})
	return s, err
}

// Change applies change to the state in a block. It returns the new state.
func Change(block *grubenv.Block, slots Slots, change func(State) (State, error)) (State, error) {
	s, err := change(Of(block, slots))
	if err == nil {
		err = s.store(block)
	}
	return s, err
}

// Of is the state that a block tells. What is not a slot, or not a number of tries, is as
// if it were not there; a trial of the active slot is none.
func Of(block *grubenv.Block, slots Slots) State {
	s := State{Slots: slots}
	if name, _ := block.Get(varActive); slices.Contains(slots, name) {
		s.Active = name
	}
	fault, _ := block.Get(varFault)
	s.Fault = parseFault(fault, slots)
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
		n <= MaxTries {
		s.Trial, s.Tries = trial, n
	}
	return s
}

// store puts the state into a block, in place of whatever was there about slots.
func (s State) store(block *grubenv.Block) error {
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
		return fmt.Errorf("%w: %q", ErrID, s.ID)
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
