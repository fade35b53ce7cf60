// Package device updates the machine that it runs on: it knows from the configuration which slots
// there are, from the boot loader's state which of them boots next, and from its own records what
// each of them holds.
//
// [Open] comes first. [Device.Prepare] and [Update.Run] bring the newest release into a slot that
// is not in use and put it on trial; [Device.MarkGood] keeps it. [Device.Rollback],
// [Device.MarkBad] and [Device.MarkActive] choose what boots instead. Rebuilding is package apply's
// work, the boot loader's state that of package counted.
package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"deltaup/internal/plainfile"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grubenv"
	"deltaup/slotboot/machine"
)

// Names of the files in a slot's boot folder.
const (
	KernelFile = "vmlinuz"
	InitrdFile = "initrd.img"
)

var (
	// ErrNothing is wrapped when the machine runs the wanted release already.
	ErrNothing = errors.New("nothing to do")
	// ErrReboot is wrapped when the wanted release is installed and boots next.
	ErrReboot = errors.New("reboot needed")
	// ErrRolledBack is wrapped when the wanted release was installed before and did not stay.
	ErrRolledBack = errors.New("the release was rolled back")
	// ErrTrial is wrapped when the running slot is still on trial, so that the other must not be
	// touched.
	ErrTrial = errors.New("the running slot is on trial")
	// ErrBusy is wrapped when another update is under way.
	ErrBusy = errors.New("another update is under way")
	// ErrNoSlot is wrapped when there is no slot for what was asked for.
	ErrNoSlot = errors.New("no such slot")
	// ErrNoBlock is wrapped when there is no environment block.
	ErrNoBlock = errors.New("no environment block")
	// ErrBlock is wrapped when the environment block is damaged.
	ErrBlock = errors.New("environment block")
	// ErrNotWhole is wrapped when a slot is to be booted that holds no whole image with its kernel.
	ErrNotWhole = errors.New("the slot holds nothing to boot")
)

// Device is the machine and its configuration. It holds nothing open.
type Device struct {
	Config  *config.Config
	Machine machine.Machine
}

// Open reads the configuration in file, or where it is looked for below root when file is "". A
// root of "" is that of the running machine. Errors are those of package config.
func Open(root, file string) (*Device, error) {
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
	if err := d.checkPaths(); err != nil {
		return nil, err
	}
	return d, nil
}

// checkPaths refuses a configuration whose paths go round in symbolic links.
func (d *Device) checkPaths() error {
	paths := map[string]string{"boot.grubenv": d.Config.Boot.Grubenv, "state": d.Config.State}
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
	var slots []machine.Slot
	for _, s := range d.Config.Slots {
		slots = append(slots, machine.Slot{Name: s.Name, Path: s.Path})
	}
	return d.Machine.Booted(slots)
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

// names are the slots as package counted wants them.
func (d *Device) names() counted.Slots {
	var names counted.Slots
	for _, s := range d.Config.Slots {
		names = append(names, s.Name)
	}
	return names
}

func (d *Device) path(path string) string { return d.Machine.Path(path) }
func (d *Device) grubenv() string         { return d.path(d.Config.Boot.Grubenv) }
func (d *Device) state() string           { return d.path(d.Config.State) }

func (d *Device) kernel(s *config.Slot) string { return d.path(filepath.Join(s.Boot, KernelFile)) }
func (d *Device) initrd(s *config.Slot) string { return d.path(filepath.Join(s.Boot, InitrdFile)) }

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

// counted is the boot loader's state.
func (d *Device) counted() (counted.State, error) {
	s, err := counted.Read(d.grubenv(), d.names())
	return s, blockError(err)
}

// change applies a transition to the boot loader's state.
func (d *Device) change(ctx context.Context,
	change func(counted.State) (counted.State, error)) (counted.State, error) {
	s, err := counted.Update(ctx, d.grubenv(), d.names(), change)
	return s, blockError(err)
}

// blockError says of an error of the environment block that it is one.
func blockError(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %w", ErrNoBlock, err)
	case errors.Is(err, grubenv.ErrMalformed), errors.Is(err, plainfile.ErrKind):
		return fmt.Errorf("%w: %w", ErrBlock, err)
	}
	return err
}

// next is the slot that boots next as far as the state tells; "" when it tells nothing.
func next(s counted.State) string {
	if s.Pending() && s.Tries > 0 && !s.IsBad(s.Trial) {
		return s.Trial
	}
	if s.Active != "" && s.IsBad(s.Active) { // the initramfs has given it up
		for _, name := range s.Slots {
			if name != s.Trial && !s.IsBad(name) {
				return name
			}
		}
	}
	return s.Active
}

// onTrial tells whether booted is a slot that nobody has marked good yet.
func onTrial(s counted.State, booted string) bool {
	return booted != "" && s.Pending() && s.Trial == booted
}

// exists tells whether there is a file of some length.
func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() > 0
}
