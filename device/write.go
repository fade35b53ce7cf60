package device

import (
	"context"
	"errors"
	"fmt"
	"time"

	"deltaup/apply"
	"deltaup/internal/durable"
	"deltaup/mirror"
	"deltaup/slotboot"
	"deltaup/slotboot/counted"
)

// Run brings the release into the slot and puts it on trial. Before the first write it marks the
// slot bad and takes its kernel away, so that no boot loader starts half of it. It activates the
// slot when all of it has been read back.
func (u *Update) Run(ctx context.Context) (apply.Result, error) {
	if u.o.DryRun {
		return apply.Result{}, errors.New("this update was only quoted")
	}
	if err := u.hooks(ctx, "pre-install"); err != nil {
		return apply.Result{}, err
	}
	if u.apply.Quote().Current { // apply writes to no slot then, but perhaps to its files
		if err := u.mark(ctx); err != nil {
			return apply.Result{}, err
		}
	}
	result, err := u.apply.Run(ctx)
	if err != nil {
		return apply.Result{}, err
	}
	if err := u.activate(ctx); err != nil {
		return apply.Result{}, err
	}
	if err := u.keepSums(); err != nil {
		u.warn(fmt.Errorf("a scrub will not tell where slot %s is damaged: %w", u.target.Name, err))
	}
	if err := u.hooks(ctx, "post-install"); err != nil {
		u.warn(err)
	}
	if err := u.d.notify(ctx, fmt.Sprintf("release %s is installed in slot %s and boots at the next restart", u.release.Version, u.target.Name)); err != nil {
		u.warn(err)
	}
	return result, nil
}

// spoil makes the target unbootable, once.
func (u *Update) spoil(ctx context.Context) error {
	if u.spoiled {
		return nil
	}
	if err := u.mark(ctx); err != nil {
		return err
	}
	if err := u.files.hide(); err != nil {
		return err
	}
	if err := durable.SyncFileSystem(u.d.path(u.target.Boot)); err != nil {
		return err
	}
	u.spoiled = true
	return nil
}

// mark notes what the target will hold, marks it bad, and makes its boot folder.
func (u *Update) mark(ctx context.Context) error {
	if u.first {
		if err := u.d.loader.Create(ctx, u.d.first("", "")); err != nil {
			return err
		}
	}
	state, err := u.d.loader.Read()
	if err == nil {
		_, err = u.markBad(state)
	}
	if err != nil {
		return err // before the record says that the slot is not whole
	}
	err = u.d.changeRecords(func(r *records) error {
		rec := r.slot(u.target.Name)
		image := u.release.Artifact(mirror.ImageName)
		if !rec.Whole && rec.Image == image.ID && rec.Order == r.Order {
			return nil // this update was cut off
		}
		r.Order++
		*rec = Record{Version: u.release.Version, Image: image.ID, Size: image.Size, Order: r.Order,
			Installed: time.Now().UTC().Truncate(time.Second), Pinned: rec.Pinned}
		return nil
	})
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(u.d.path(u.target.Boot)); err != nil {
		return err
	}
	_, err = u.d.loader.Change(ctx, u.markBad)
	return err
}

// markBad is the transition before the first write to the target. It refuses the only good slot.
// The exception is a slot that an installer filled before it was cut off: nobody noted that it is
// whole.
func (u *Update) markBad(s counted.State) (counted.State, error) {
	if u.booted == "" && u.unfinished && s.Active == u.target.Name {
		s.Active = ""
	}
	return s.MarkBad(u.target.Name)
}

// activate puts the target on trial, after it was read back. The first slot of an empty machine
// becomes active at once: there is none to fall back to.
func (u *Update) activate(ctx context.Context) error {
	if err := u.files.show(); err != nil {
		return err
	}
	// Boot loaders replay no journal: a renamed file must have reached its place before they are
	// told of it.
	if err := durable.SyncFileSystem(u.d.path(u.target.Boot)); err != nil {
		return err
	}
	if err := u.files.verify(); err != nil {
		return err
	}
	_, err := u.d.loader.Change(ctx, func(s counted.State) (counted.State, error) {
		if u.booted == "" && !u.d.othersBootable(u.target.Name) {
			return s.Install(u.target.Name, u.d.Config.Boot.Attempts)
		}
		return s.Activate(u.target.Name, u.d.Config.Boot.Attempts)
	})
	if err != nil {
		return err
	}
	return u.d.changeRecords(func(r *records) error {
		rec := r.slot(u.target.Name)
		rec.Whole, rec.Installed = true, time.Now().UTC().Truncate(time.Second)
		u.files.note(rec)
		r.forgive(u.target.Name)
		return nil
	})
}

// keepSums keeps the sums of the image as it was read back.
func (u *Update) keepSums() error {
	image, sums := u.release.Artifact(mirror.ImageName), u.sums.done()
	if sums.size != image.Size {
		return nil
	}
	return u.d.keepSums(image.ID, sums)
}

// hooks runs the hooks of an event. One that fails before an installation prevents it.
func (u *Update) hooks(ctx context.Context, event string) error {
	return u.d.hooks(ctx, event, u.target.Name, u.release.Version, "")
}

func (u *Update) warn(err error) {
	if u.o.Warning != nil {
		u.o.Warning(err.Error())
	}
}

// spoilingSlot makes the slot unbootable before its first write.
type spoilingSlot struct {
	*slotboot.File
	spoil func() error
}

// Begin implements apply.Slot.
func (s *spoilingSlot) Begin(size int64) error {
	if err := s.Reserve(size); err != nil { // a slot that is too small keeps what it holds
		return err
	}
	if err := s.spoil(); err != nil {
		return fmt.Errorf("make slot %s unbootable: %w", s.Name(), err)
	}
	return s.File.Begin(size)
}
