package apply

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"

	"deltaup/internal/disk"
	"deltaup/mirror"
	"deltaup/mkimage/squashfs"
)

// errEmpty means that a seed has no bytes.
var errEmpty = errors.New("it is empty")

// pickSeeds keeps those of the request's seeds that may be of use. A seed only saves bytes, so that
// one which cannot be used is a warning. What can never be a seed is an error: the slot itself, a
// FIFO, a folder.
func (u *Update) pickSeeds(slot string) error {
	var usable []string
	for _, path := range u.r.Seeds {
		size, err := checkSeed(path, slot)
		if errors.Is(err, ErrSlotIsSeed) || errors.Is(err, squashfs.ErrNoFile) {
			return err
		}
		if err != nil {
			u.events.unusableSeed(path, err)
			continue
		}
		usable = append(usable, path)
		u.seedBytes += size
	}
	u.r.Seeds = usable
	return nil
}

// unusableSeed tells of a seed that is left out.
func (e *events) unusableSeed(path string, err error) {
	var at *os.PathError
	if errors.As(err, &at) {
		err = at.Err // its path is in the message already
	}
	e.harmed(path, "cannot be used: %v", err)
}

// leaveOut does without a seed from now on.
func (u *Update) leaveOut(path string, err error) {
	u.events.unusableSeed(path, err)
	u.r.Seeds = slices.DeleteFunc(slices.Clone(u.r.Seeds), func(s string) bool { return s == path })
}

// checkSeed gives the size of a seed that can be opened and, if it begins like an image, is one. A
// seed that is the slot itself ("" is none) would be overwritten while it is read.
func checkSeed(path, slot string) (size int64, err error) {
	if slot != "" {
		if err := notSlot(path, slot); err != nil {
			return 0, err
		}
	}
	f, size, err := squashfs.OpenMedium(path)
	if errors.Is(err, squashfs.ErrNoFile) {
		return 0, fmt.Errorf("seed %w", err) // which names it
	}
	if err != nil {
		return 0, err
	}
	defer f.Close() // read only
	if size == 0 {
		return 0, errEmpty
	}
	_, err = imageAtStart(f, size)
	return size, err
}

// notSlot fails with ErrSlotIsSeed when a seed is the slot.
func notSlot(path, slot string) error {
	mine, err := os.Stat(path)
	if err != nil {
		return err
	}
	other, err := os.Stat(slot)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("slot: %w", err)
	}
	if os.SameFile(mine, other) || sameDevice(mine, other) {
		return fmt.Errorf("seed %s: %w: it would be overwritten while it is read", path,
			ErrSlotIsSeed)
	}
	return nil
}

// sameDevice tells whether both are device files of one device.
func sameDevice(a, b os.FileInfo) bool {
	if a.Mode()&os.ModeDevice == 0 || b.Mode()&os.ModeDevice == 0 {
		return false
	}
	x, ok := a.Sys().(*syscall.Stat_t)
	y, ok2 := b.Sys().(*syscall.Stat_t)
	return ok && ok2 && x.Rdev == y.Rdev
}

// squashfsMagic begins every squashfs image.
const squashfsMagic = "hsqs"

// imageAtStart opens an image that begins where the file does. It returns nil when none begins
// there.
func imageAtStart(f io.ReaderAt, size int64) (*squashfs.Image, error) {
	magic := make([]byte, len(squashfsMagic))
	if _, err := f.ReadAt(magic, 0); err != nil && err != io.EOF {
		return nil, err
	}
	if string(magic) != squashfsMagic {
		return nil, nil
	}
	return squashfs.Open(f, size)
}

// findImage opens the image in a seed, wherever in it that begins. It returns nil when there is
// none. It does not search for a release whose image is no squashfs: such an image may need the
// bytes around a squashfs in the seed as much as those in it.
func (u *Update) findImage(f io.ReaderAt, size int64) (*squashfs.Image, error) {
	m, err := imageAtStart(f, size)
	if m != nil || err != nil {
		return m, err
	}
	if image := u.release.Artifact(mirror.ImageName); image == nil ||
		image.Kind != mirror.KindSquashfs {
		return nil, nil
	}
	if m, err = squashfs.Find(f, size); errors.Is(err, squashfs.ErrCorrupt) {
		return nil, nil
	}
	return m, err
}

// noteSeeds warns of seeds that are no images where nothing but an image is wanted: the caller may
// have meant images. Of several images in one seed it tells which is used.
func (u *Update) noteSeeds() {
	if !u.rebuilds() || len(u.outputs) > 0 {
		return
	}
	for _, path := range u.r.Seeds {
		if note := noteSeed(path); note != "" {
			u.events.warn("seed %s %s", path, note)
		}
	}
}

// noteSeed says what is odd about a seed; "" when nothing is.
func noteSeed(path string) string {
	f, size, err := squashfs.OpenMedium(path)
	if err != nil {
		return "" // the error shows when the seed is read
	}
	defer f.Close() // read only
	found, err := squashfs.FindAll(f, size)
	if len(found) > 1 {
		return fmt.Sprintf("has %d squashfs images, in %s: the first is used", len(found),
			squashfs.Places(found))
	}
	if !errors.Is(err, squashfs.ErrCorrupt) {
		return ""
	}
	what, err := disk.Describe(f, size)
	if err == nil && what != "" {
		what = ", " + what
	}
	return "is no squashfs image" + what + ": it counts as one file"
}
