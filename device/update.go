package device

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/apply"
	"deltaup/internal/durable"
	"deltaup/mirror"
	"deltaup/slotboot"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/scripts"
)

// UpdateOptions say what is out of the ordinary about an update.
type UpdateOptions struct {
	Again   bool // also a release that was rolled back
	DryRun  bool // only quote
	Warning func(string)
}

// Update is an update that was prepared. Close it.
type Update struct {
	d       *Device
	o       UpdateOptions
	booted  string // "" when the machine runs from no slot
	target  *config.Slot
	slot    *slotboot.Slot
	apply   *apply.Update
	release *mirror.Release
	files   bootFiles
	spoiled bool // the target cannot be booted any more
	unlock  func()
}

// Prepare finds the slot that the release goes to and quotes what it takes. Of r, what the configuration tells is filled in: channel and
// machine unless they are set, seeds, slot, files and state folder. Nothing but the state folder is written to.
//
// Errors wrap ErrNothing, ErrReboot, ErrRolledBack, ErrTrial, ErrBusy, ErrNoSlot, and those of package apply.
func (d *Device) Prepare(ctx context.Context, r apply.Request, o UpdateOptions) (*Update, error) {
	unlock, err := d.lockUpdates()
	if err != nil {
		return nil, err
	}
	u := &Update{d: d, o: o, unlock: unlock}
	if err := u.prepare(ctx, r); err != nil {
		return nil, errors.Join(err, u.Close())
	}
	return u, nil
}

func (u *Update) prepare(ctx context.Context, r apply.Request) error {
	var err error
	if u.booted, err = u.d.bootedOrNone(); err != nil {
		return err
	}
	if err := u.d.Observe(ctx); err != nil {
		return err
	}
	state, err := u.d.counted()
	if err != nil {
		return err
	}
	if onTrial(state, u.booted) {
		return fmt.Errorf("slot %s: %w: the other slot is what it falls back to", u.booted, ErrTrial)
	}
	records, err := u.d.records()
	if err != nil {
		return err
	}
	if u.target, err = u.d.target(state, records, u.booted); err != nil {
		return err
	}
	u.fill(&r)
	err = u.open(ctx, r, state)
	var held *heldError
	if errors.As(err, &held) { // another slot has the release: nothing needs to be fetched
		if err := u.slot.Close(); err != nil {
			return err
		}
		u.slot, u.target = nil, held.slot
		err = u.open(ctx, r, state)
	}
	return err
}

// fill puts what the configuration tells into the request.
func (u *Update) fill(r *apply.Request) {
	c := u.d.Config
	if r.Channel == "" {
		r.Channel = c.Channel
	}
	if r.Compatible == "" {
		r.Compatible = c.Compatible
	}
	r.StateDir = u.d.state()
	if s := c.Slot(u.booted); s != nil {
		r.Seeds = append(r.Seeds, u.d.path(s.Path))
		for _, file := range []string{u.d.kernel(s), u.d.initrd(s)} {
			if exists(file) {
				r.Seeds = append(r.Seeds, file)
			}
		}
	}
}

// open prepares the update into the target.
func (u *Update) open(ctx context.Context, r apply.Request, state counted.State) error {
	var err error
	if u.slot, err = slotboot.Open(u.d.path(u.target.Path), slotboot.Options{ReadOnly: u.o.DryRun}); err != nil {
		return err
	}
	r.Slot = &spoilingSlot{Slot: u.slot, spoil: func() error { return u.spoil(ctx) }}
	r.Accept = func(release *mirror.Release) (map[string]string, error) {
		u.release = release
		if err := u.vet(release, state); err != nil {
			return nil, err
		}
		u.files, err = u.d.bootFiles(u.target, release)
		return u.files.outputs(), err
	}
	u.apply, err = apply.Prepare(ctx, r)
	return err
}

// heldError says that another slot than the target holds the release.
type heldError struct{ slot *config.Slot }

func (e *heldError) Error() string { return "slot " + e.slot.Name + " holds the release" }

// vet decides whether the release is wanted at all.
func (u *Update) vet(release *mirror.Release, state counted.State) error {
	image := release.Artifact(mirror.ImageName)
	if image == nil {
		return nil // apply refuses it
	}
	records, err := u.d.records()
	if err != nil {
		return err
	}
	runs, err := u.d.runs(u.booted, records, release.Version, image.Object)
	if err != nil {
		return err
	}
	if runs {
		return fmt.Errorf("%w: slot %s runs release %s", ErrNothing, u.booted, release.Version)
	}
	if f := records.failure(image.ID); f != nil && !u.o.Again {
		return fmt.Errorf("release %s: %w: %s", release.Version, ErrRolledBack, f.Reason)
	}
	for i := range u.d.Config.Slots {
		s := &u.d.Config.Slots[i]
		rec := records.slot(s.Name)
		if !rec.Whole || rec.Image != image.ID {
			continue
		}
		if s.Name == next(state) {
			return fmt.Errorf("%w: release %s is installed in slot %s", ErrReboot, release.Version, s.Name)
		}
		if s.Name != u.target.Name && s.Name != u.booted && !rec.Pinned {
			return &heldError{s}
		}
	}
	return nil
}

// Quote says what Run will take.
func (u *Update) Quote() apply.Quote { return u.apply.Quote() }

// Slot is the name of the slot that is written.
func (u *Update) Slot() string { return u.target.Name }

// Run brings the release into the slot and puts it on trial. Before the first write the slot is marked bad and
// loses its kernel, so that no boot loader starts half of it; when all of it has been read back it is activated.
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
	if err := syncFileSystem(u.d.path(u.target.Boot)); err != nil {
		return err
	}
	u.spoiled = true
	return nil
}

// mark notes what the target is to hold, and marks it bad. The boot folder exists afterwards.
func (u *Update) mark(ctx context.Context) error {
	err := u.d.changeRecords(func(r *records) error {
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
	_, err = u.d.change(ctx, func(s counted.State) (counted.State, error) { return s.MarkBad(u.target.Name) })
	return err
}

// activate puts the target, which was read back, on trial.
func (u *Update) activate(ctx context.Context) error {
	if err := u.files.show(); err != nil {
		return err
	}
	// GRUB replays no journal: what was renamed must have reached its place before GRUB is told of it.
	if err := syncFileSystem(u.d.path(u.target.Boot)); err != nil {
		return err
	}
	if err := u.files.verify(); err != nil {
		return err
	}
	_, err := u.d.change(ctx, func(s counted.State) (counted.State, error) {
		return s.Activate(u.target.Name, u.d.Config.Boot.Attempts)
	})
	if err != nil {
		return err
	}
	return u.d.changeRecords(func(r *records) error {
		rec := r.slot(u.target.Name)
		rec.Whole, rec.Installed = true, time.Now().UTC().Truncate(time.Second)
		r.forgive(u.target.Name)
		return nil
	})
}

// hooks runs the hooks of an event. Those before an installation can prevent it.
func (u *Update) hooks(ctx context.Context, event string) error {
	return u.d.hooks(ctx, event, u.target.Name, u.release.Version, "")
}

func (u *Update) warn(err error) {
	if u.o.Warning != nil {
		u.o.Warning(err.Error())
	}
}

// Close releases everything.
func (u *Update) Close() error {
	var err error
	if u.apply != nil {
		err = u.apply.Close()
	}
	if u.slot != nil {
		err = errors.Join(err, u.slot.Close())
	}
	u.unlock()
	return err
}

// spoilingSlot makes the slot unbootable before its first write.
type spoilingSlot struct {
	*slotboot.Slot
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
	return s.Slot.Begin(size)
}

// syncFileSystem writes back everything of the file system that a folder lies on, its journal included.
func syncFileSystem(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	defer unix.Close(fd) // read only
	if err := unix.Syncfs(fd); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// hookFolder holds the programs that are told of what happens; see doc/slots.md.
const hookFolder = "/etc/deltaup/hook.d"

// hooks runs the hooks with the variables of an event.
func (d *Device) hooks(ctx context.Context, event, slot, version, reason string) error {
	results, err := scripts.Run(ctx, d.path(hookFolder), d.variables(event, slot, version, reason), scripts.Timeout)
	if err != nil {
		return err
	}
	if failed := scripts.Failed(results); failed != nil {
		return fmt.Errorf("hook %s on %s: %w", filepath.Base(failed.Path), event, failed.Err)
	}
	return nil
}

// variables are what hooks and checks find in their environment.
func (d *Device) variables(event, slot, version, reason string) []string {
	booted, _ := d.Booted() // "" is the right value when it is not known
	return []string{
		"DELTAUP_EVENT=" + event,
		"DELTAUP_SLOT=" + slot,
		"DELTAUP_VERSION=" + version,
		"DELTAUP_BOOTED=" + booted,
		"DELTAUP_REASON=" + reason,
		"DELTAUP_STATE=" + d.state(),
		"DELTAUP_ROOT=" + d.path("/"),
	}
}
