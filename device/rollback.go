package device

import (
	"context"
	"errors"
	"fmt"

	"deltaup/slotboot/counted"
)

// Rollback has an older release boot next, and gives its slot: the release of that version, or with
// "" the one that was installed before the running one. The running release is remembered as one
// that did not stay.
//
// When the running release is on trial it is marked bad, and the boot loader falls back. Otherwise
// the older one is put on trial. After a [HookError] that is done, and the slot is given.
func (d *Device) Rollback(ctx context.Context, version string) (slot string, err error) {
	booted, err := d.Booted()
	if err != nil {
		return "", err
	}
	state, err := d.loader.Read()
	if err != nil {
		return "", err
	}
	r, err := d.records()
	if err != nil {
		return "", err
	}
	const reason = "rolled back by hand"
	if state.OnTrial(booted) && (version == "" || version == r.slot(state.Active).Version) {
		var told *HookError
		if err := d.MarkBad(ctx, booted, reason); err != nil && !errors.As(err, &told) {
			return "", err
		}
		if state, err = d.loader.Read(); err != nil { // the active slot may be bad itself
			return "", err
		}
		if err := d.noticeNext(ctx); err != nil || told == nil {
			return state.Next(), err
		}
		return state.Next(), told
	}
	if slot, err = d.older(state, r, booted, version); err != nil {
		return "", err
	}
	if s := d.Config.Slot(booted); s != nil {
		if err := d.know(s); err != nil {
			return "", err
		}
	}
	_, err = d.loader.Change(ctx, func(s counted.State) (counted.State, error) {
		// Another slot runs: a trial, or one that booted because the active one did not load.
		if slot == s.Active && !s.IsBad(slot) {
			return s.MarkActive(slot)
		}
		return s.Activate(slot, d.Config.Boot.Attempts)
	})
	if err != nil {
		return "", err
	}
	err = d.changeRecords(func(r *records) error {
		r.forgive(slot)
		r.fail(booted, reason, nil)
		return nil
	})
	if err != nil {
		return "", err
	}
	return slot, d.noticeNext(ctx)
}

// older finds the slot to go back to.
func (d *Device) older(state counted.State, r *records, booted, version string) (string, error) {
	best := ""
	for _, s := range d.Config.Slots {
		rec := r.slot(s.Name)
		if s.Name == booted || d.bootable(s.Name) != nil {
			continue
		}
		if version != "" {
			if rec.Version == version {
				return s.Name, nil
			}
			continue
		}
		before := rec.Order <= r.slot(booted).Order && !state.IsBad(s.Name) &&
			r.failure(rec.Image) == nil
		if before && (best == "" || rec.Order > r.slot(best).Order) {
			best = s.Name
		}
	}
	switch {
	case best != "":
		return best, nil
	case version != "":
		return "", fmt.Errorf("%w: none but the running one holds release %s", ErrNoSlot, version)
	}
	return "", fmt.Errorf("%w: none holds an older release that was good", ErrNoSlot)
}
