// Package machine tells what the running machine knows of itself: how the kernel was started, which
// slot it runs from, what kind of file system a path lies on, and what the last boot said before it
// ended.
//
// A [Machine] need not be the running one: an installer points Root at the folder where it has
// mounted the machine that it sets up. What only that machine's running kernel could tell is not
// known then, and what this kernel tells of itself does not stand for it.
package machine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"

	"deltaup/internal/sysroot"
)

// argSlot is the kernel argument with the slot that the boot loader started.
const argSlot = "deltaup.slot"

// ArgImage is the kernel argument by which the initramfs finds the slot's image.
const ArgImage = "deltaup.image"

// Where the initramfs leaves what it mounted.
const (
	imageFolder = "/run/deltaup/image" // the slot's squashfs
	// NAME.squashfs in it is the copy that deltaup.toram runs from
	ramImages = "/run/deltaup/ram"
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
//
// A Root that has a folder /proc/self of plain files is described by files alone, as in tests:
// /proc, /sys and /dev below it are taken for those of its kernel. Any other Root is a machine that
// does not run. Its mounts and devices are found in this kernel's tables, below Root.
type Machine struct{ Root string }

// Running tells whether the machine is the one that this process runs on.
func (m Machine) Running() bool { return filepath.Join("/", m.Root) == "/" }

// Resolve is where the machine's path lies for this process, its symbolic links followed as the
// machine follows them.
func (m Machine) Resolve(path string) (string, error) {
	return sysroot.Join(filepath.Join("/", m.Root), path)
}

// Path is Resolve for a path that is opened at once. The kernel resolves that of the running
// machine. Of a path that cannot be resolved, it gives one that opens nothing.
func (m Machine) Path(path string) string {
	if m.Running() {
		return filepath.Join("/", path)
	}
	full, err := m.Resolve(path)
	if err != nil {
		return filepath.Join("/", m.Root, path) + "\x00"
	}
	return full
}

// described tells whether the files below Root stand for a kernel's.
func (m Machine) described() bool {
	if m.Running() {
		return false
	}
	info, err := os.Lstat(filepath.Join(m.Path("/proc"), "self"))
	if err != nil || !info.IsDir() { // in a copy of a real /proc it is a link
		return false
	}
	return !m.isType("/proc/self", unix.PROC_SUPER_MAGIC)
}

// isType tells whether the machine's path lies on a file system with one of the kernel's magic
// numbers.
func (m Machine) isType(path string, magic ...int64) bool {
	var fs unix.Statfs_t
	return unix.Statfs(m.Path(path), &fs) == nil && slices.Contains(magic, int64(fs.Type))
}

// kernel is the machine whose /proc, /sys and /dev tell of the mounts and devices that m's files
// lie on.
func (m Machine) kernel() Machine {
	if m.described() {
		return m
	}
	return Machine{}
}

// Arg is the value of a kernel argument, and whether it was given. The last one counts. Arg wraps
// ErrNoSlot for a machine that does not run.
func (m Machine) Arg(name string) (value string, ok bool, err error) {
	if !m.Running() && !m.described() {
		return "", false, fmt.Errorf("%w: the machine below %s does not run", ErrNoSlot, m.Root)
	}
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

// mounts are the mounts that filter keeps, by the paths of the machine whose kernel tells of them.
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
