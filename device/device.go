// Package device updates the machine that it runs on. The configuration tells it which slots there
// are, the boot loader's state which of them boots next, and its own records what each of them
// holds.
//
// [Open] comes first. [Device.Prepare] and [Installation.Run] bring the newest release into a slot
// that is not in use and put it on trial; [Device.MarkGood] keeps it. [Device.Rollback],
// [Device.MarkBad] and [Device.MarkActive] choose what boots instead. Package apply rebuilds
// images, package counted has the rules of what boots when, and a [Loader] carries them out.
package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"deltaup/slotboot/config"
	"deltaup/slotboot/machine"
)

var (
	// ErrNothing is wrapped when the machine runs the wanted release already.
	ErrNothing = errors.New("nothing to do")
	// ErrReboot is wrapped when the wanted release is installed and boots next.
	ErrReboot = errors.New("reboot needed")
	// ErrRolledBack is wrapped when the wanted release was installed before and did not stay.
	ErrRolledBack = errors.New("the release was rolled back")
	// ErrTrial is wrapped when the running slot is on trial: the other is what it falls back to.
	ErrTrial = errors.New("the running slot is on trial")
	// ErrBusy is wrapped when another update is under way.
	ErrBusy = errors.New("another update is under way")
	// ErrNoSlot is wrapped when there is no slot for what was asked for.
	ErrNoSlot = errors.New("no such slot")
	// ErrNotWhole is wrapped when a slot is chosen to boot that has no whole image, kernel and
	// initrd.
	ErrNotWhole = errors.New("the slot holds nothing to boot")
)

// Device is the machine and its configuration. It holds nothing open.
type Device struct {
	Config  *config.Config
	Machine machine.Machine
	// Others tells what else people should know of this boot, a line each, such as of settings; nil:
	// nothing.
	Others func(context.Context) []string

	loader Loader
}

// Open reads the configuration in file, or in the first of its usual places below root when file is
// "". A root of "" is that of the running machine. The boot loader is one of loaders. Errors are
// those of package config.
func Open(root, file string, loaders Loaders) (*Device, error) {
	root, err := filepath.Abs(cmp.Or(root, "/"))
	if err != nil {
		return nil, err
	}
	if file == "" {
		if file, err = config.Find(root); err != nil {
			return nil, err
		}
	}
	c, err := config.Load(file)
	if err != nil {
		return nil, err
	}
	d := &Device{Config: c, Machine: machine.Machine{Root: root}}
	if d.loader, err = loaders.open(d.Machine, c); err != nil {
		return nil, err
	}
	if err := d.checkPaths(); err != nil {
		return nil, err
	}
	return d, nil
}

// checkPaths refuses a configuration whose paths go round in symbolic links.
func (d *Device) checkPaths() error {
	paths := map[string]string{"state": d.Config.State}
	for _, s := range d.Config.Slots {
		paths["slot "+s.Name+": path"] = s.Path
		paths["slot "+s.Name+": boot"] = s.Boot
	}
	for _, key := range slices.Sorted(maps.Keys(paths)) {
		if _, err := d.Machine.Resolve(paths[key]); errors.Is(err, unix.ELOOP) {
			return &config.Error{
				File: d.Config.File,
				Key:  key,
				Text: paths[key] + " goes round in symbolic links",
			}
		}
	}
	return nil
}

// Booted is the name of the slot that the machine runs from. Errors are those of
// [machine.Machine.Booted].
func (d *Device) Booted() (string, error) {
	return d.Machine.Booted(d.Config.Slots)
}

// bootedOrNone is Booted, or "" on a machine that runs from no slot, such as one that is being
// installed.
func (d *Device) bootedOrNone() (string, error) {
	name, err := d.Booted()
	if errors.Is(err, machine.ErrNoSlot) {
		return "", nil
	}
	return name, err
}

// Running gives the path of the image that the machine runs from; none when it runs from no slot.
func (d *Device) Running() []string {
	name, err := d.Booted()
	if s := d.Config.Slot(name); err == nil && s != nil {
		return []string{d.path(s.Path)}
	}
	return nil
}

func (d *Device) path(path string) string { return d.Machine.Path(path) }
func (d *Device) state() string           { return d.path(d.Config.State) }

// kernel is the path of a slot's kernel for this process.
func (d *Device) kernel(s *config.Slot) string {
	return d.path(filepath.Join(s.Boot, config.KernelFile))
}

// initrd is the path of a slot's initrd for this process.
func (d *Device) initrd(s *config.Slot) string {
	return d.path(filepath.Join(s.Boot, config.InitrdFile))
}

// hasKernel tells whether a slot has a kernel and an initrd.
func (d *Device) hasKernel(s *config.Slot) bool {
	return exists(d.kernel(s)) && exists(d.initrd(s))
}

// slot looks a name up.
func (d *Device) slot(name string) (*config.Slot, error) {
	if s := d.Config.Slot(name); s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %q", ErrNoSlot, name)
}

// exists tells whether there is a file of some length.
func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}
