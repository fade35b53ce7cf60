package device

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/scripts"
)

// Folders of the health checks, see doc/slots.md.
const (
	requiredChecks = "/etc/deltaup/check.d/required.d"
	wantedChecks   = "/etc/deltaup/check.d/wanted.d"
)

// ErrUnhealthy is wrapped when a required check failed.
var ErrUnhealthy = errors.New("a required check failed")

// Health is what the checks say.
type Health struct {
	Required []scripts.Result // each must pass, else the slot is bad
	Wanted   []scripts.Result // failures of these are only told
}

// Check runs all health checks. It wraps ErrUnhealthy when a required one failed, and gives the
// results even then.
func (d *Device) Check(ctx context.Context) (Health, error) {
	booted, err := d.bootedOrNone()
	if err != nil {
		return Health{}, err
	}
	var h Health
	env := d.variables("check", booted, "", "")
	h.Required, err = scripts.Run(ctx, d.path(requiredChecks), env, scripts.Timeout)
	if err != nil {
		return h, err
	}
	h.Wanted, err = scripts.Run(ctx, d.path(wantedChecks), env, scripts.Timeout)
	if err != nil {
		return h, err
	}
	if f := scripts.Failed(h.Required); f != nil {
		return h, fmt.Errorf("%w: %s", ErrUnhealthy, describe(f))
	}
	return h, nil
}

// describe puts a failed program in one line, with the end of what it printed.
func describe(r *scripts.Result) string {
	text := fmt.Sprintf("%s: %v", filepath.Base(r.Path), r.Err)
	if r.Output != "" {
		text += ": " + r.Output[max(0, len(r.Output)-300):]
	}
	return text
}

// OnTrial tells whether the machine runs from a slot that nobody has marked good yet.
func (d *Device) OnTrial() (bool, error) {
	booted, err := d.Booted()
	if err != nil {
		return false, err
	}
	state, err := d.loader.Read()
	return state.OnTrial(booted), err
}

// MarkGood keeps the slot that the machine runs from. It tells whether that changed anything. After
// a [HookError] the slot is good.
func (d *Device) MarkGood(ctx context.Context) (slot string, changed bool, err error) {
	if slot, err = d.Booted(); err != nil {
		return "", false, err
	}
	before, err := d.loader.Read()
	if err != nil {
		return slot, false, err
	}
	after, err := d.loader.Change(ctx,
		func(s counted.State) (counted.State, error) { return s.MarkGood(slot) })
	if err != nil {
		return slot, false, err
	}
	changed = before.Active != after.Active
	version := ""
	err = d.changeRecords(func(r *records) error {
		rec := r.slot(slot)
		version = rec.Version
		if changed {
			// A slot that boots was whole when it was activated. A power cut may have kept that
			// from being noted.
			rec.Whole = !rec.Image.IsZero()
			r.forgive(slot)
		}
		return nil
	})
	if err == nil {
		err = d.knowFiles(d.Config.Slot(slot))
	}
	if err != nil || !changed {
		return slot, changed, err
	}
	return slot, changed, d.hooks(ctx, "good", slot, version, "")
}

// MarkBad keeps the slot from being booted, and its release from being installed again, for the
// given reason. After a [HookError] the slot is bad.
func (d *Device) MarkBad(ctx context.Context, slot, reason string) error {
	s, err := d.slot(slot)
	if err != nil {
		return err
	}
	if err := d.know(s); err != nil {
		return err
	}
	_, err = d.loader.Change(ctx,
		func(s counted.State) (counted.State, error) { return s.MarkBad(slot) })
	if err != nil {
		return err
	}
	version := ""
	err = d.changeRecords(func(r *records) error {
		version = r.slot(slot).Version
		r.fail(slot, reason, nil)
		return nil
	})
	if err != nil {
		return err
	}
	return d.hooks(ctx, "bad", slot, version, reason)
}

// know makes sure that the record of a slot names its image. An image that somebody else put there
// has no version.
func (d *Device) know(s *config.Slot) error {
	r, err := d.records()
	if err != nil || !r.slot(s.Name).Image.IsZero() {
		return err
	}
	id, size, err := d.identify(s, 0)
	if err != nil || id.IsZero() {
		return nil // nothing there that could be installed again
	}
	return d.changeRecords(func(r *records) error {
		rec := r.slot(s.Name)
		rec.Image, rec.Size, rec.Whole = id, size, true
		return nil
	})
}

// bootable refuses a slot that has no whole image, kernel and initrd. Of a slot that somebody else
// filled, it looks at kernel and initrd alone.
func (d *Device) bootable(slot string) error {
	s, err := d.slot(slot)
	if err != nil {
		return err
	}
	r, err := d.records()
	if err != nil {
		return err
	}
	rec := r.slot(slot)
	switch {
	case !rec.Whole && !rec.Image.IsZero():
		return fmt.Errorf("slot %s: %w: its installation was cut off", slot, ErrNotWhole)
	case !exists(d.kernel(s)):
		return fmt.Errorf("slot %s: %w: no %s", slot, ErrNotWhole, d.kernel(s))
	case !exists(d.initrd(s)):
		return fmt.Errorf("slot %s: %w: no %s", slot, ErrNotWhole, d.initrd(s))
	}
	return d.intact(s, rec)
}

// MarkActive makes the slot the one that boots, without a trial, and forgets that it was bad.
func (d *Device) MarkActive(ctx context.Context, slot string) error {
	if err := d.bootable(slot); err != nil {
		return err
	}
	_, err := d.loader.Change(ctx, func(s counted.State) (counted.State, error) {
		if s.IsBad(slot) {
			var err error
			if s, err = s.Activate(slot, 1); err != nil { // takes the mark away
				return s, err
			}
		}
		return s.MarkActive(slot)
	})
	if err != nil {
		return err
	}
	err = d.changeRecords(func(r *records) error {
		r.forgive(slot)
		return nil
	})
	if err != nil {
		return err
	}
	return d.noticeNext(ctx)
}

// Pin keeps a slot from being overwritten, or permits it again.
func (d *Device) Pin(slot string, pinned bool) error {
	if _, err := d.slot(slot); err != nil {
		return err
	}
	return d.changeRecords(func(r *records) error {
		r.slot(slot).Pinned = pinned
		return nil
	})
}
