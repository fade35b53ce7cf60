package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"deltaup/slotboot/config"
)

// Booted is the name of the slot that the machine runs from. The kernel argument and the mount must
// agree on it. Booted wraps ErrNoSlot when there is no argument, and ErrOtherSlot when the mount is
// of another slot or of none.
func (m Machine) Booted(slots []config.Slot) (string, error) {
	name, ok, err := m.Arg(argSlot)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", fmt.Errorf("%w: the kernel argument %s= is missing", ErrNoSlot, argSlot)
	}
	mounted, err := m.imageMount()
	if err != nil {
		return "", err
	}
	if mounted == nil {
		return "", fmt.Errorf("%w: %s=%s, but neither %s nor / is a squashfs", ErrOtherSlot,
			argSlot, name, imageFolder)
	}
	found := ""
	for _, s := range slots {
		same, err := m.behind(mounted, s)
		if err != nil {
			return "", fmt.Errorf("slot %s: %w", s.Name, err)
		}
		if same {
			found = s.Name
		}
	}
	switch found {
	case name:
		return name, nil
	case "":
		return "", fmt.Errorf("%w: %s=%s, but %s on %s is none of the slots", ErrOtherSlot, argSlot,
			name, mounted.Source, mounted.Mountpoint)
	}
	return "", fmt.Errorf("%w: %s=%s, but slot %s is mounted on %s", ErrOtherSlot, argSlot, name,
		found, mounted.Mountpoint)
}

// imageMount is the mount of the image that the machine runs from; nil when there is none.
func (m Machine) imageMount() (*mountinfo.Info, error) {
	list, err := m.mounts(func(i *mountinfo.Info) (skip, stop bool) {
		return i.FSType != "squashfs" || i.Mountpoint != imageFolder && i.Mountpoint != "/", false
	})
	if err != nil {
		return nil, err
	}
	var found *mountinfo.Info
	for _, i := range list {
		if found == nil || i.Mountpoint == imageFolder {
			found = i
		}
	}
	return found, nil
}

// behind tells whether the mount is of that slot, by the number of its device, or by the file or
// device behind its loop device.
func (m Machine) behind(mounted *mountinfo.Info, s config.Slot) (bool, error) {
	var slot unix.Stat_t
	err := unix.Stat(m.Path(s.Path), &slot)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return false, err
	}
	if !missing && slot.Mode&unix.S_IFMT == unix.S_IFBLK &&
		slot.Rdev == unix.Mkdev(uint32(mounted.Major), uint32(mounted.Minor)) {
		return true, nil
	}
	file, err := m.loopFile(mounted)
	if err != nil || file == "" {
		return false, err
	}
	if file == path.Join(ramImages, s.Name+".squashfs") {
		return true, nil
	}
	if missing {
		return false, nil
	}
	slotInfo, err := os.Stat(m.Path(s.Path))
	if err != nil {
		return false, err
	}
	fileInfo, err := os.Stat(m.Path(file))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // deleted, or on a file system that is mounted no more
	}
	return err == nil && os.SameFile(slotInfo, fileInfo), err
}

// loopFile is the file behind the mount's loop device; "" when it is on another device.
func (m Machine) loopFile(mounted *mountinfo.Info) (string, error) {
	b, err := m.read(
		fmt.Sprintf("/sys/dev/block/%d:%d/loop/backing_file", mounted.Major, mounted.Minor),
	)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSuffix(string(b), "\n"), err
}
