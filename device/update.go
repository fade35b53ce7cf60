package device

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/internal/human"
	"deltaup/mirror"
	"deltaup/slotboot"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/loader"
)

// UpdateOptions are for updates that are out of the ordinary.
type UpdateOptions struct {
	Again   bool // also a release that was rolled back
	Repair  bool // the running release is installed anew
	DryRun  bool // only quote
	Warning func(string)
}

// Update is an update that was prepared. Close it.
type Update struct {
	d       *Device
	o       UpdateOptions
	booted  string // "" when the machine runs from no slot
	target  *config.Slot
	slot    *slotboot.File
	apply   *apply.Update
	release *mirror.Release
	files   bootFiles
	spoiled bool // the target cannot be booted any more
	sums    *summer
	image   chunkstore.ID // that a repair is of; zero: the version tells
	unlock  func()

	first      bool // the boot loader has no state yet
	unfinished bool // an installation into the target was cut off
}

// Prepare finds the slot that the release goes to, and quotes what the update takes. It fills
// seeds, slot, files and state folder into r, and channel and machine unless they are set. It
// writes to the state folder alone.
//
// With UpdateOptions.Repair the release is the running one. It is made of what is good of the
// running image, and of what has to be fetched.
//
// Errors wrap ErrNothing, ErrReboot, ErrRolledBack, ErrTrial, ErrBusy, ErrNoSlot,
// ErrUnknownRelease, and those of package apply.
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
	state, err := u.choose(ctx)
	if err != nil {
		return err
	}
	if u.o.Repair {
		records, err := u.d.records()
		if err == nil {
			err = u.running(&r, records)
		}
		if err != nil {
			return err
		}
	}
	u.fill(&r)
	err = u.open(ctx, r, state)
	var held *heldError
	if errors.As(err, &held) { // another slot has the release: nothing needs to be fetched
		if err := u.slot.Close(); err != nil {
			return err
		}
		u.slot, u.target, u.unfinished = nil, held.slot, false
		err = u.open(ctx, r, state)
	}
	return err
}

// choose finds the running slot and the target.
func (u *Update) choose(ctx context.Context) (state counted.State, err error) {
	if u.booted, err = u.d.bootedOrNone(); err == nil && u.o.Repair {
		u.booted, err = u.d.Booted()
	}
	if err != nil {
		return state, err
	}
	if state, err = u.state(ctx); err != nil {
		return state, err
	}
	if state.OnTrial(u.booted) {
		return state, fmt.Errorf("slot %s: %w: the other slot is what it falls back to", u.booted,
			ErrTrial)
	}
	records, err := u.d.records()
	if err != nil {
		return state, err
	}
	if u.target, err = u.d.target(state, records, u.booted); err != nil {
		return state, err
	}
	u.unfinished = !records.slot(u.target.Name).Whole
	return state, nil
}

// state notes what the boot loader did, and gives its state. On an empty machine without a state
// the first installation makes it.
func (u *Update) state(ctx context.Context) (counted.State, error) {
	state, err := u.d.loader.Read()
	if errors.Is(err, loader.ErrNone) && u.booted == "" && u.d.firstBootable() == "" {
		u.first = true
		return counted.State{Slots: u.d.Config.Names()}, u.d.loader.Check()
	}
	if err != nil {
		return state, err
	}
	if _, _, err := u.d.observe(ctx, state); err != nil {
		return state, err
	}
	return u.d.loader.Read()
}

// fill puts what the configuration tells into the request.
func (u *Update) fill(r *apply.Request) {
	c := u.d.Config
	if r.Channel == "" && !u.o.Repair {
		r.Channel = c.Channel
	}
	if r.Compatible == "" {
		r.Compatible = c.Compatible
	}
	r.StateDir = u.d.state()
	if s := c.Slot(u.booted); s != nil {
		u.source(r, s)
	}
}

// open prepares the update into the target.
func (u *Update) open(ctx context.Context, r apply.Request, state counted.State) error {
	var err error
	if u.slot, err = u.d.openSlot(u.target, u.o.DryRun); err != nil {
		return err
	}
	r.Slot = &spoilingSlot{File: u.slot, spoil: func() error { return u.spoil(ctx) }}
	u.sums = newSummer()
	r.ReadBack = u.sums.seen
	r.Accept = func(release *mirror.Release) (map[string]string, error) {
		u.release = release
		if err := u.vet(release, state); err != nil {
			return nil, err
		}
		u.files, err = u.d.bootFiles(u.target, release)
		return u.files.outputs(), err
	}
	if u.apply, err = apply.Prepare(ctx, r); err != nil {
		return err
	}
	u.adviseRepair()
	return nil
}

// adviseRepair warns that the running image is damaged: patches lead from one that is whole alone.
func (u *Update) adviseRepair() {
	running := u.d.Config.Slot(u.booted)
	quote := u.apply.Quote()
	if running == nil || u.o.Repair || u.o.Warning == nil || quote.Bytes == 0 ||
		!u.apply.Harmed(u.d.path(running.Path)) {
		return
	}
	u.o.Warning(fmt.Sprintf("slot %s, which runs, is damaged, and this update fetches %s for it; "+
		"on a thin line deltaup repair comes first: it fetches what is damaged, and the update after it "+
		"goes by patches", running.Name, human.Size(quote.Bytes)))
}

// openSlot opens a slot to write to.
func (d *Device) openSlot(s *config.Slot, readOnly bool) (*slotboot.File, error) {
	return slotboot.Open(d.slotPath(s),
		slotboot.Options{ReadOnly: readOnly, Device: slotboot.IsDevice(s.Path)})
}

// slotPath is the path of a slot for this process. A link of the running machine stays one: a link
// that leads nowhere is not the same as a file that is not there yet.
func (d *Device) slotPath(s *config.Slot) string {
	full := d.path(s.Path)
	if d.Machine.Running() {
		return full
	}
	dir := d.path(filepath.Dir(s.Path))
	if _, err := os.Stat(full); errors.Is(err, fs.ErrNotExist) {
		return filepath.Join(dir, filepath.Base(s.Path))
	}
	return full
}

// CheckTarget tells, before anything is fetched, whether an update can be written to some slot.
// Errors are those of [Device.Prepare].
func (d *Device) CheckTarget(ctx context.Context, readOnly bool) error {
	unlock, err := d.lockUpdates()
	if err != nil {
		return err
	}
	defer unlock()
	u := &Update{d: d, o: UpdateOptions{DryRun: readOnly}}
	if _, err := u.choose(ctx); err != nil {
		return err
	}
	slot, err := d.openSlot(u.target, readOnly)
	if err != nil {
		return err
	}
	return slot.Close()
}

// heldError says that another slot than the target holds the release.
type heldError struct{ slot *config.Slot }

func (e *heldError) Error() string { return "slot " + e.slot.Name + " holds the release" }

// vet refuses a release that is not wanted.
func (u *Update) vet(release *mirror.Release, state counted.State) error {
	image := release.Artifact(mirror.ImageName)
	if image == nil {
		return nil // apply refuses it
	}
	records, err := u.d.records()
	if err != nil {
		return err
	}
	if u.o.Repair {
		return u.vetRepair(release, image, records, state)
	}
	runs, err := u.d.runs(u.booted, records, release.Version, image.Object)
	if err != nil {
		return err
	}
	if runs {
		return fmt.Errorf("%w: slot %s runs release %s%s", ErrNothing, u.booted, release.Version,
			u.d.orRepair(u.booted))
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
		if s.Name == state.Next() {
			return fmt.Errorf("%w: release %s is installed in slot %s", ErrReboot, release.Version,
				s.Name)
		}
		if s.Name != u.target.Name && s.Name != u.booted && !rec.Pinned {
			return &heldError{s}
		}
	}
	return nil
}

// Quote says what Run takes.
func (u *Update) Quote() apply.Quote { return u.apply.Quote() }

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
