package device

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"

	"deltaup/apply"
	"deltaup/mirror"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
)

// ErrUnknownRelease is wrapped when it is not known which release runs: without its name it cannot
// be repaired.
var ErrUnknownRelease = errors.New("nobody has told which release it holds")

// Damaged lists the slots that the last scrub found damaged and that nobody has written since.
func (d *Device) Damaged() ([]string, error) {
	r, err := d.records()
	if err != nil {
		return nil, err
	}
	scrubs, err := d.scrubs()
	if err != nil {
		return nil, err
	}
	var damaged []string
	for _, s := range d.Config.Slots {
		if scrubs.damaged(s.Name, r.slot(s.Name)) {
			damaged = append(damaged, s.Name)
		}
	}
	return damaged, nil
}

// orRepair says what to do about a slot that runs the newest release and is damaged.
func (d *Device) orRepair(slot string) string {
	damaged, err := d.Damaged()
	if err != nil || !slices.Contains(damaged, slot) {
		return ""
	}
	return ", which is damaged: deltaup repair installs it anew"
}

// running asks for the release that runs. A version in r counts when the records have none; when
// they have another, mirror.ErrOtherRelease is wrapped.
func (in *Installation) running(r *apply.Request, records *records) error {
	rec := records.slot(in.booted)
	r.Channel = ""
	if rec.Version != "" {
		if r.Version != "" && r.Version != rec.Version {
			return fmt.Errorf("slot %s runs release %s, not %s: %w", in.booted, rec.Version,
				r.Version, mirror.ErrOtherRelease)
		}
		r.Version, in.image = rec.Version, rec.Image
	}
	if r.Version == "" {
		return fmt.Errorf("slot %s: %w", in.booted, ErrUnknownRelease)
	}
	return nil
}

// vetRepair refuses a release that is not the one that runs, or that is not needed any more.
func (in *Installation) vetRepair(release *mirror.Release, image *mirror.Artifact, records *records,
	state counted.State) error {
	if !in.image.IsZero() && image.ID != in.image {
		return fmt.Errorf("release %s has the image %s, slot %s runs %s: %w", release.Version,
			image.ID, in.booted, in.image, mirror.ErrOtherRelease)
	}
	if f := records.failure(image.ID); f != nil && !in.o.Again {
		return fmt.Errorf("release %s: %w: %s", release.Version, ErrRolledBack, f.Reason)
	}
	scrubs, _ := in.d.scrubs() // a damaged file tells of no scrub
	for i := range in.d.Config.Slots {
		s := &in.d.Config.Slots[i]
		rec := records.slot(s.Name)
		if s.Name == in.booted || !rec.Whole || scrubs.damaged(s.Name, rec) {
			continue
		}
		// an update that waits mends the machine as well
		if s.Name == state.Next() && (rec.Image == image.ID || !in.o.Again) {
			return fmt.Errorf("%w: release %s is installed in slot %s", ErrReboot,
				cmp.Or(rec.Version, "of unknown version"), s.Name)
		}
		if rec.Image != image.ID {
			continue
		}
		if s.Name != in.target.Name && !rec.Pinned {
			return &heldError{s}
		}
	}
	return nil
}

// source puts the running slot into the request: for a repair its image is a copy of the one that
// is wanted.
func (in *Installation) source(r *apply.Request, s *config.Slot) {
	path := in.d.path(s.Path)
	switch _, err := os.Stat(path); {
	case !in.o.Repair:
		r.Seeds = append(r.Seeds, path)
	case err == nil:
		r.Copy = path
	default: // the machine may run from memory
		in.warn(err)
	}
	for _, file := range []string{in.d.kernel(s), in.d.initrd(s)} {
		if exists(file) {
			r.Seeds = append(r.Seeds, file)
		}
	}
}
