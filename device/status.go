package device

import (
	"context"
	"fmt"

	"deltaup/slotboot/counted"
)

// Status is what is known of the machine.
type Status struct {
	// BlockError is why the boot loader's state is not known. Slots are then told by their files
	// alone.
	BlockError  string `json:"block_error,omitempty"`
	Booted      string `json:"booted"`                 // "" for none, and when it is in doubt
	BootedError string `json:"booted_error,omitempty"` // why Booted is ""
	OnTrial     bool   `json:"on_trial"`               // the running slot is not yet marked good
	Next        string `json:"next"`                   // the slot that boots next
	TriesLeft   int    `json:"tries_left"`             // boots that the slot on trial still has
	// FellBack is the slot that the boot loader or the initramfs gave up.
	FellBack string    `json:"fell_back,omitempty"`
	Fallback *Fallback `json:"fallback,omitempty"` // what is known of that
	Fault    string    `json:"fault,omitempty"`    // why another slot failed in the boots before
	// NoData is why memory is in the place of the data partition.
	NoData       string       `json:"no_data,omitempty"`
	RebootNeeded bool         `json:"reboot_needed"`
	Slots        []SlotStatus `json:"slots"`
	Failed       []Failure    `json:"failed"` // what is not installed again, the newest last
}

// SlotState is the state of a slot, in one word.
type SlotState string

// The states of a slot.
const (
	SlotGood       SlotState = "good"       // can be booted
	SlotTrial      SlotState = "trial"      // boots next, or runs, and is not yet marked good
	SlotBad        SlotState = "bad"        // marked bad, or given up by the boot loader
	SlotUnfinished SlotState = "unfinished" // an installation was cut off
	SlotEmpty      SlotState = "empty"      // no kernel
)

// SlotStatus is what is known of one slot.
type SlotStatus struct {
	Name   string    `json:"name"`
	Path   string    `json:"path"`
	State  SlotState `json:"state"`
	Booted bool      `json:"booted"`
	Active bool      `json:"active"` // what boots when there is no trial
	Kernel bool      `json:"kernel"` // kernel and initrd are there
	Record
	// Scrub is what the last scrub since it was written found; nil: there was none.
	Scrub *ScrubResult `json:"scrub,omitempty"`
}

// Status looks at everything and changes nothing. It fails only for records that cannot be read. A
// running slot in doubt, and a boot loader's state that is damaged or missing, are part of it.
func (d *Device) Status(ctx context.Context) (*Status, error) {
	s := &Status{Failed: []Failure{}}
	state, err := d.loader.Read()
	if err != nil {
		state, s.BlockError = counted.State{Slots: d.Config.Names()}, err.Error()
	}
	s.FellBack, s.Next = state.FellBack(), state.Next()
	r, err := d.records()
	if err != nil {
		return nil, err
	}
	s.Fallback, s.NoData = d.fellBack(ctx, state, r), d.noData()
	if f := state.Fault; f.Slot != "" && f.Slot != s.FellBack {
		s.Fault = fmt.Sprintf("slot %s: %s", f.Slot, describeFault(f))
	}
	if s.Booted, err = d.Booted(); err != nil {
		s.BootedError = err.Error()
	}
	s.OnTrial = state.OnTrial(s.Booted)
	if state.Pending() {
		s.TriesLeft = state.Tries
	}
	s.RebootNeeded = s.Booted != "" && !s.OnTrial && s.Next != "" && s.Next != s.Booted
	if s.OnTrial && state.IsBad(s.Booted) {
		s.RebootNeeded = true
	}
	scrubs, _ := d.scrubs() // the doctor tells of a file that is damaged
	for _, c := range d.Config.Slots {
		rec := r.slot(c.Name)
		slot := SlotStatus{
			Name:   c.Name,
			Path:   c.Path,
			Booted: c.Name == s.Booted,
			Active: c.Name == state.Active,
			Kernel: d.hasKernel(&c),
			Record: *rec,
			Scrub:  scrubs.of(c.Name, rec),
		}
		slot.State = slotState(state, &slot)
		s.Slots = append(s.Slots, slot)
	}
	if f := s.Fallback; f != nil && f.Slot != state.Active {
		r.fail(f.Slot, f.Reason, f.Console) // when nobody has noted it yet
	}
	s.Failed = append(s.Failed, r.Failed...)
	return s, nil
}

func slotState(state counted.State, s *SlotStatus) SlotState {
	switch {
	case !s.Whole && !s.Image.IsZero():
		return SlotUnfinished
	case state.IsBad(s.Name), state.FellBack() == s.Name:
		if !s.Kernel && s.Image.IsZero() {
			return SlotEmpty
		}
		return SlotBad
	case !s.Kernel:
		return SlotEmpty
	case state.Pending() && state.Trial == s.Name:
		return SlotTrial
	}
	return SlotGood
}
