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

// InstallOptions are for installations that are out of the ordinary.
type InstallOptions struct {
	Again   bool // also a release that was rolled back
	Repair  bool // the running release is installed anew
	DryRun  bool // only quote
	Warning func(string)
	// Vet looks at the image in the slot before it is put on trial. An error leaves it there without
	// a trial, and the running slot as it is; nil: nobody looks.
	Vet func(ctx context.Context, image string) error
}

// Installation is a release that is ready to go into a slot, with kernel and initrd. Close it.
type Installation struct {
	d       *Device
	o       InstallOptions
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
// With InstallOptions.Repair the release is the running one. It is made of what is good of the
// running image, and of what has to be fetched.
//
// Errors wrap ErrNothing, ErrReboot, ErrRolledBack, ErrTrial, ErrBusy, ErrNoSlot,
// ErrUnknownRelease, and those of package apply.
func (d *Device) Prepare(ctx context.Context, r apply.Request,
	o InstallOptions) (*Installation, error) {
	unlock, err := d.lockUpdates()
	if err != nil {
		return nil, err
	}
	in := &Installation{d: d, o: o, unlock: unlock}
	if err := in.prepare(ctx, r); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

func (in *Installation) prepare(ctx context.Context, r apply.Request) error {
	state, err := in.choose(ctx)
	if err != nil {
		return err
	}
	if in.o.Repair {
		records, err := in.d.records()
		if err == nil {
			err = in.running(&r, records)
		}
		if err != nil {
			return err
		}
	}
	in.fill(&r)
	err = in.open(ctx, r, state)
	var held *heldError
	if errors.As(err, &held) { // another slot has the release: nothing needs to be fetched
		if err := in.slot.Close(); err != nil {
			return err
		}
		in.slot, in.target, in.unfinished = nil, held.slot, false
		err = in.open(ctx, r, state)
	}
	return err
}

// choose finds the running slot and the target.
func (in *Installation) choose(ctx context.Context) (state counted.State, err error) {
	if in.booted, err = in.d.bootedOrNone(); err == nil && in.o.Repair {
		in.booted, err = in.d.Booted()
	}
	if err != nil {
		return state, err
	}
	if state, err = in.state(ctx); err != nil {
		return state, err
	}
	if state.OnTrial(in.booted) {
		return state, fmt.Errorf("slot %s: %w: the other slot is what it falls back to", in.booted,
			ErrTrial)
	}
	records, err := in.d.records()
	if err != nil {
		return state, err
	}
	if in.target, err = in.d.target(state, records, in.booted); err != nil {
		return state, err
	}
	in.unfinished = !records.slot(in.target.Name).Whole
	return state, nil
}

// state notes what the boot loader did, and gives its state. On an empty machine without a state
// the first installation makes it.
func (in *Installation) state(ctx context.Context) (counted.State, error) {
	state, err := in.d.loader.Read()
	if errors.Is(err, loader.ErrNone) && in.booted == "" && in.d.firstBootable() == "" {
		in.first = true
		return counted.State{Slots: in.d.Config.Names()}, in.d.loader.Check()
	}
	if err != nil {
		return state, err
	}
	if _, _, err := in.d.observe(ctx, state); err != nil {
		return state, err
	}
	return in.d.loader.Read()
}

// fill puts what the configuration tells into the request.
func (in *Installation) fill(r *apply.Request) {
	c := in.d.Config
	if r.Channel == "" && !in.o.Repair {
		r.Channel = c.Channel
	}
	if r.Compatible == "" {
		r.Compatible = c.Compatible
	}
	r.StateDir = in.d.state()
	if s := c.Slot(in.booted); s != nil {
		in.source(r, s)
	}
}

// open prepares the update into the target.
func (in *Installation) open(ctx context.Context, r apply.Request, state counted.State) error {
	var err error
	if in.slot, err = in.d.openSlot(in.target, in.o.DryRun); err != nil {
		return err
	}
	r.Slot = &spoilingSlot{File: in.slot, spoil: func() error { return in.spoil(ctx) }}
	in.sums = newSummer()
	r.ReadBack = in.sums.seen
	r.Accept = func(release *mirror.Release) (map[string]string, error) {
		in.release = release
		if err := in.vet(release, state); err != nil {
			return nil, err
		}
		in.files, err = in.d.bootFiles(in.target, release)
		return in.files.outputs(), err
	}
	if in.apply, err = apply.Prepare(ctx, r); err != nil {
		return err
	}
	in.adviseRepair()
	return nil
}

// adviseRepair warns that the running image is damaged: patches lead from one that is whole alone.
func (in *Installation) adviseRepair() {
	running := in.d.Config.Slot(in.booted)
	quote := in.apply.Quote()
	if running == nil || in.o.Repair || in.o.Warning == nil || quote.Bytes == 0 ||
		!in.apply.Harmed(in.d.path(running.Path)) {
		return
	}
	in.o.Warning(fmt.Sprintf("slot %s, which runs, is damaged, and this update fetches %s for it; "+
		"on a thin line deltaup repair comes first: it fetches what is damaged, and the update "+
		"after it goes by patches", running.Name, human.Size(quote.Bytes)))
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
	in := &Installation{d: d, o: InstallOptions{DryRun: readOnly}}
	if _, err := in.choose(ctx); err != nil {
		return err
	}
	slot, err := d.openSlot(in.target, readOnly)
	if err != nil {
		return err
	}
	return slot.Close()
}

// heldError says that another slot than the target holds the release.
type heldError struct{ slot *config.Slot }

func (e *heldError) Error() string { return "slot " + e.slot.Name + " holds the release" }

// vet refuses a release that is not wanted.
func (in *Installation) vet(release *mirror.Release, state counted.State) error {
	image := release.Artifact(mirror.ImageName)
	if image == nil {
		return nil // apply refuses it
	}
	records, err := in.d.records()
	if err != nil {
		return err
	}
	if in.o.Repair {
		return in.vetRepair(release, image, records, state)
	}
	runs, err := in.d.runs(in.booted, records, release.Version, image.Object)
	if err != nil {
		return err
	}
	if runs {
		return fmt.Errorf("%w: slot %s runs release %s%s", ErrNothing, in.booted, release.Version,
			in.d.orRepair(in.booted))
	}
	if f := records.failure(image.ID); f != nil && !in.o.Again {
		return fmt.Errorf("release %s: %w: %s", release.Version, ErrRolledBack, f.Reason)
	}
	for i := range in.d.Config.Slots {
		s := &in.d.Config.Slots[i]
		rec := records.slot(s.Name)
		if !rec.Whole || rec.Image != image.ID {
			continue
		}
		if s.Name == state.Next() {
			return fmt.Errorf("%w: release %s is installed in slot %s", ErrReboot, release.Version,
				s.Name)
		}
		if s.Name != in.target.Name && s.Name != in.booted && !rec.Pinned {
			return &heldError{s}
		}
	}
	return nil
}

// Quote says what Run takes.
func (in *Installation) Quote() apply.Quote { return in.apply.Quote() }

// Close releases everything.
func (in *Installation) Close() error {
	var err error
	if in.apply != nil {
		err = in.apply.Close()
	}
	if in.slot != nil {
		err = errors.Join(err, in.slot.Close())
	}
	in.unlock()
	return err
}
