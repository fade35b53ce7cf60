package device

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"deltaup/internal/durable"
	"deltaup/internal/idle"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
)

// ScrubOptions say what is read, and how quickly.
type ScrubOptions struct {
	Slot string // the only one to read; "": all that the boot loader may boot
	// bytes per second at most; 0: as quickly as an idle disk gives them
	Rate     int64
	Progress func(slot, what string, done, total int64) // may be nil
	Warning  func(string)                               // may be nil
}

// Scrubbed is what a scrub reads of a slot.
type Scrubbed string

// What a scrub reads.
const (
	ScrubImage  Scrubbed = "image"
	ScrubKernel Scrubbed = "kernel"
	ScrubInitrd Scrubbed = "initrd"
)

// Scrub reads images, kernels and initrds from their media, past the page cache, and compares them
// with the hashes that were remembered. It reads when nobody else wants the disk, and changes
// nothing that it reads. [Device.Status] and [Device.Doctor] tell what it found, until the next
// scrub or until the slot is written anew.
//
// An image without a hash, which a factory has put there, is taken to be right when it can be read.
// ErrBusy is wrapped when another scrub is under way. When ctx ends, the damage found until then is
// remembered.
func (d *Device) Scrub(ctx context.Context, o ScrubOptions) error {
	if err := durable.MkdirAll(d.state()); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(d.state(), "scrub.lock"), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: a scrub", ErrBusy)
	}
	if err != nil {
		return err
	}
	defer unlock()
	idle.Do(func(err error) { o.warn(err) }, func() { err = d.scrubAll(ctx, o) })
	return err
}

func (o *ScrubOptions) warn(err error) {
	if o.Warning != nil {
		o.Warning(err.Error())
	}
}

func (d *Device) scrubAll(ctx context.Context, o ScrubOptions) error {
	state, err := d.loader.Read()
	if err != nil && o.Slot == "" {
		o.warn(err) // no reason not to read the slots
	}
	read := 0
	for i := range d.Config.Slots {
		s := &d.Config.Slots[i]
		if o.Slot != "" && s.Name != o.Slot {
			continue
		}
		wanted, err := d.holdsSome(s, state, o.Slot != "")
		if err != nil {
			return err
		}
		if !wanted {
			continue
		}
		read++
		if err := d.scrubSlot(ctx, s, &o); err != nil {
			return err
		}
	}
	if read == 0 {
		return fmt.Errorf("%w that holds an image to read", ErrNoSlot)
	}
	return nil
}

// holdsSome tells whether a slot is read: it holds something, and the boot loader may boot it or
// somebody has named it.
func (d *Device) holdsSome(s *config.Slot, state counted.State, named bool) (bool, error) {
	r, err := d.records()
	if err != nil {
		return false, err
	}
	rec := r.slot(s.Name)
	if !rec.Whole && !rec.Image.IsZero() { // an update writes it, or was cut off
		return false, nil
	}
	given := state.IsBad(s.Name) || state.FellBack() == s.Name
	return (named || !given) && (!rec.Image.IsZero() || exists(d.kernel(s))), nil
}

// scrubSlot reads one slot and remembers what it found, unless the slot was written meanwhile.
func (d *Device) scrubSlot(ctx context.Context, s *config.Slot, o *ScrubOptions) error {
	before, err := d.record(s.Name)
	if err != nil {
		return err
	}
	x := &scrubber{
		d:      d,
		s:      s,
		o:      o,
		rec:    before,
		result: ScrubResult{Image: before.Image, Order: before.Order, Damage: []Damage{}},
	}
	if before.Image.IsZero() {
		x.measureUnknown()
	}
	if o.Rate > 0 {
		x.limit = rate.NewLimiter(rate.Limit(o.Rate), scrubSize)
	}
	for _, file := range []func(context.Context) error{x.image, x.kernel, x.initrd} {
		if err = file(ctx); err != nil {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("scrub slot %s: %w", s.Name, err)
	}
	if x.result.Complete = err == nil; err != nil && len(x.result.Damage) == 0 {
		return err // nothing new: what was known before still is
	}
	x.result.Time = time.Now().UTC().Truncate(time.Second)
	after, recordErr := d.record(s.Name)
	if recordErr != nil {
		return errors.Join(err, recordErr)
	}
	written := after.Image != x.result.Image || after.Order != before.Order ||
		before.Whole && !after.Whole
	if written && !after.Image.IsZero() {
		o.warn(fmt.Errorf("slot %s was written while it was read: it is not judged", s.Name))
		return err
	}
	return errors.Join(err, d.keepScrub(s.Name, &x.result))
}

// record is a copy of what is known of a slot.
func (d *Device) record(slot string) (Record, error) {
	r, err := d.records()
	if err != nil {
		return Record{}, err
	}
	return *r.slot(slot), nil
}
