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
func (in *Installation) Run(ctx context.Context) (apply.Result, error) {
	if in.o.DryRun {
		return apply.Result{}, errors.New("this update was only quoted")
	}
	if err := in.hooks(ctx, "pre-install"); err != nil {
		return apply.Result{}, err
	}
	if in.apply.Quote().Current { // apply writes to no slot then, but perhaps to its files
		if err := in.mark(ctx); err != nil {
			return apply.Result{}, err
		}
	}
	result, err := in.apply.Run(ctx)
	if err != nil {
		return apply.Result{}, err
	}
	if in.o.Vet != nil {
		if err := in.o.Vet(ctx, in.d.slotPath(in.target)); err != nil {
			return apply.Result{}, fmt.Errorf("release %s is in slot %s and is not activated: %w",
				in.release.Version, in.target.Name, err)
		}
	}
	if err := in.activate(ctx); err != nil {
		return apply.Result{}, err
	}
	if err := in.keepSums(); err != nil {
		in.warn(fmt.Errorf("a scrub will not tell where slot %s is damaged: %w", in.target.Name,
			err))
	}
	if err := in.hooks(ctx, "post-install"); err != nil {
		in.warn(err)
	}
	text := fmt.Sprintf("release %s is installed in slot %s and boots at the next restart",
		in.release.Version, in.target.Name)
	if err := in.d.notify(ctx, text); err != nil {
		in.warn(err)
	}
	return result, nil
}

// spoil makes the target unbootable, once.
func (in *Installation) spoil(ctx context.Context) error {
	if in.spoiled {
		return nil
	}
	if err := in.mark(ctx); err != nil {
		return err
	}
	if err := in.files.hide(); err != nil {
		return err
	}
	if err := durable.SyncFileSystem(in.d.path(in.target.Boot)); err != nil {
		return err
	}
	in.spoiled = true
	return nil
}

// mark notes what the target will hold, marks it bad, and makes its boot folder.
func (in *Installation) mark(ctx context.Context) error {
	if in.first {
		if err := in.d.loader.Create(ctx, in.d.first("", "")); err != nil {
			return err
		}
	}
	state, err := in.d.loader.Read()
	if err == nil {
		_, err = in.markBad(state)
	}
	if err != nil {
		return err // before the record says that the slot is not whole
	}
	err = in.d.changeRecords(func(r *records) error {
		rec := r.slot(in.target.Name)
		image := in.release.Artifact(mirror.ImageName)
		if !rec.Whole && rec.Image == image.ID && rec.Order == r.Order {
			return nil // this update was cut off
		}
		r.Order++
		*rec = Record{
			Version:   in.release.Version,
			Image:     image.ID,
			Size:      image.Size,
			Order:     r.Order,
			Installed: time.Now().UTC().Truncate(time.Second),
			Pinned:    rec.Pinned,
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(in.d.path(in.target.Boot)); err != nil {
		return err
	}
	_, err = in.d.loader.Change(ctx, in.markBad)
	return err
}

// markBad is the transition before the first write to the target. It refuses the only good slot.
// The exception is a slot that an installer filled before it was cut off: nobody noted that it is
// whole.
func (in *Installation) markBad(s counted.State) (counted.State, error) {
	if in.booted == "" && in.unfinished && s.Active == in.target.Name {
		s.Active = ""
	}
	return s.MarkBad(in.target.Name)
}

// activate puts the target on trial, after it was read back. The first slot of an empty machine
// becomes active at once: there is none to fall back to.
func (in *Installation) activate(ctx context.Context) error {
	if err := in.files.show(); err != nil {
		return err
	}
	// Boot loaders replay no journal: a renamed file must have reached its place before they are
	// told of it.
	if err := durable.SyncFileSystem(in.d.path(in.target.Boot)); err != nil {
		return err
	}
	if err := in.files.verify(); err != nil {
		return err
	}
	_, err := in.d.loader.Change(ctx, func(s counted.State) (counted.State, error) {
		if in.booted == "" && !in.d.othersBootable(in.target.Name) {
			return s.Install(in.target.Name, in.d.Config.Boot.Attempts)
		}
		return s.Activate(in.target.Name, in.d.Config.Boot.Attempts)
	})
	if err != nil {
		return err
	}
	return in.d.changeRecords(func(r *records) error {
		rec := r.slot(in.target.Name)
		rec.Whole, rec.Installed = true, time.Now().UTC().Truncate(time.Second)
		in.files.note(rec)
		r.forgive(in.target.Name)
		return nil
	})
}

// keepSums keeps the sums of the image as it was read back.
func (in *Installation) keepSums() error {
	image, sums := in.release.Artifact(mirror.ImageName), in.sums.done()
	if sums.size != image.Size {
		return nil
	}
	return in.d.keepSums(image.ID, sums)
}

// hooks runs the hooks of an event. One that fails before an installation prevents it.
func (in *Installation) hooks(ctx context.Context, event string) error {
	return in.d.hooks(ctx, event, in.target.Name, in.release.Version, "")
}

func (in *Installation) warn(err error) {
	if in.o.Warning != nil {
		in.o.Warning(err.Error())
	}
}

// spoilingSlot makes the slot unbootable before its first write.
type spoilingSlot struct {
	*slotboot.File
	spoil func() error
}

// Begin implements apply.SizedStorage.
func (s *spoilingSlot) Begin(size int64) error {
	if err := s.Reserve(size); err != nil { // a slot that is too small keeps what it holds
		return err
	}
	if err := s.spoil(); err != nil {
		return fmt.Errorf("make slot %s unbootable: %w", s.Name(), err)
	}
	return s.File.Begin(size)
}
