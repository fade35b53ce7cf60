// Package machine tells what the running machine knows of itself: how the kernel was started, which slot it
// runs from, what kind of file system a path lies on, and what the last boot said before it ended.
//
// Everything is read below [Machine].Root, so that tests and installers can point it elsewhere.
package machine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
)

// Kernel arguments of a slot's boot.
const (
	ArgSlot     = "deltaup.slot"     // the slot that GRUB booted
	ArgTrial    = "deltaup.trial"    // is there when the boot is counted
	ArgFellBack = "deltaup.fellback" // the slot that GRUB would have booted
	ArgEnv      = "deltaup.env"      // deltaup_id of the environment block that GRUB read
	ArgImage    = "deltaup.image"    // where the initramfs finds the slot's image
	ArgGrubenv  = "deltaup.grubenv"  // where the initramfs finds the environment block, as UUID=UUID:/PATH
)

// Where the initramfs leaves what it mounted.
const (
	ImageMount = "/run/deltaup/image" // the slot's squashfs
	RAMImages  = "/run/deltaup/ram"   // NAME.squashfs there is the copy that deltaup.toram runs from
)

// maxText bounds what is read of a kernel's text file.
const maxText = 4 << 20

var (
	// ErrNoSlot is wrapped when the machine was not booted from a slot.
	ErrNoSlot = errors.New("not booted from a slot")
	// ErrOtherSlot is wrapped when what is mounted is not the slot that the kernel argument names.
	ErrOtherSlot = errors.New("the booted slot is in doubt")
)

// Machine is the machine whose files lie below Root; "" and "/" are the running one.
type Machine struct{ Root string }

// Path is where the machine's path lies for this process.
func (m Machine) Path(path string) string { return filepath.Join("/", m.Root, path) }

// Arg is the value of a kernel argument, and whether it was given; the last one counts.
func (m Machine) Arg(name string) (value string, ok bool, err error) {
	b, err := m.read("/proc/cmdline")
	if err != nil {
		return "", false, err
	}
	for _, word := range strings.Fields(string(b)) {
		key, v, _ := strings.Cut(word, "=")
		if key == name {
			value, ok = v, true
		}
	}
	return value, ok, nil
}

// read reads a small text file of the machine.
func (m Machine) read(path string) ([]byte, error) {
	f, err := os.Open(m.Path(path))
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	return io.ReadAll(io.LimitReader(f, maxText))
}

// mounts are the mounts that filter keeps.
func (m Machine) mounts(filter mountinfo.FilterFunc) ([]*mountinfo.Info, error) {
	f, err := os.Open(m.Path("/proc/self/mountinfo"))
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	list, err := mountinfo.GetMountsFromReader(io.LimitReader(f, maxText), filter)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return list, nil
}
