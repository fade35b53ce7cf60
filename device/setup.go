package device

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"deltaup/internal/durable"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/grubenv"
	"deltaup/slotboot/machine"
)

var (
	// ErrUnfit is wrapped when GRUB could not write the environment block where it lies.
	ErrUnfit = errors.New("not a place for an environment block")
	// ErrNoActive is wrapped when nobody says which slot boots at first.
	ErrNoActive = errors.New("which slot boots at first?")
)

// SetupOptions say which script is written where; with none of the three files it is a part, deltaup.cfg beside the
// environment block. Files are paths of this process.
type SetupOptions struct {
	Part      string // to be sourced by a grub.cfg
	Whole     string // a whole grub.cfg
	Generator string // for /etc/grub.d
	Active    string // the slot that boots at first, when the machine runs from none
}

// Setup prepares the boot loader: it makes the environment block, has the running slot boot at first, marks empty slots
// bad, and writes the scripts. It can be repeated; what the block says of slots stays. The files written are given.
func (d *Device) Setup(ctx context.Context, o SetupOptions) (files []string, err error) {
	if err := durable.MkdirAll(filepath.Dir(d.grubenv())); err != nil {
		return nil, err
	}
	place, err := d.Machine.FileSystem(d.Config.Boot.Grubenv)
	if err != nil {
		return nil, err
	}
	if place.NotForGRUB != "" {
		return nil, fmt.Errorf("%s: %w: %s", d.Config.Boot.Grubenv, ErrUnfit, place.NotForGRUB)
	}
	scripts, err := d.scripts(place, o)
	if err != nil {
		return nil, err
	}
	if err := d.setupState(ctx, o.Active); err != nil {
		return nil, err
	}
	for _, s := range scripts {
		if err := writeScript(s.file, s.text, s.mode); err != nil {
			return nil, err
		}
		files = append(files, s.file)
	}
	return append(files, d.grubenv()), nil
}

// script is a file for GRUB.
type script struct {
	file string
	text []byte
	mode os.FileMode
}

func (d *Device) scripts(place *machine.FileSystem, o SetupOptions) ([]script, error) {
	c, err := d.grubConfig(place)
	if err != nil {
		return nil, err
	}
	if o.Part == "" && o.Whole == "" && o.Generator == "" {
		o.Part = filepath.Join(filepath.Dir(d.grubenv()), "deltaup.cfg")
	}
	var list []script
	for _, s := range []struct {
		file string
		text func() ([]byte, error)
		mode os.FileMode
	}{{o.Part, c.Part, 0o644}, {o.Whole, c.Whole, 0o644}, {o.Generator, c.Generator, 0o755}} {
		if s.file == "" {
			continue
		}
		text, err := s.text()
		if err != nil {
			return nil, err
		}
		list = append(list, script{s.file, text, s.mode})
	}
	return list, nil
}

// grubConfig is the configuration in GRUB's paths.
func (d *Device) grubConfig(place *machine.FileSystem) (*grub.Config, error) {
	c := &grub.Config{UUID: place.UUID, Env: place.Inner, Args: strings.Fields(d.Config.Boot.Args)}
	for _, s := range d.Config.Slots {
		if err := durable.MkdirAll(d.path(s.Boot)); err != nil {
			return nil, err
		}
		at, err := d.Machine.FileSystem(s.Boot)
		if err != nil {
			return nil, err
		}
		if at.Device != place.Device {
			return nil, fmt.Errorf("slot %s: %s: %w: it is on another file system than %s", s.Name, s.Boot, ErrUnfit, d.Config.Boot.Grubenv)
		}
		args := []string{machine.ArgImage + "=" + s.Image}
		if place.UUID != "" { // else the initramfs has no name for BOOT, and gives nothing up
			args = append(args, machine.ArgGrubenv+"=UUID="+place.UUID+":"+place.Inner)
		}
		c.Slots = append(c.Slots, grub.Slot{
			Name: s.Name, Kernel: filepath.Join(at.Inner, KernelFile), Initrd: filepath.Join(at.Inner, InitrdFile), Args: args,
		})
	}
	return c, nil
}

// setupState makes the environment block and gives it a first content.
func (d *Device) setupState(ctx context.Context, active string) error {
	booted, err := d.bootedOrNone()
	if err != nil {
		return err
	}
	if booted != "" {
		active = booted
	}
	if err := grubenv.Create(d.grubenv()); err != nil {
		return err
	}
	_, err = d.change(ctx, func(s counted.State) (counted.State, error) {
		if s.ID == "" {
			s.ID = newID()
		}
		if s.Active != "" {
			return s, nil
		}
		if active == "" {
			return s, fmt.Errorf("%w: the machine runs from none", ErrNoActive)
		}
		s, err := s.MarkActive(active)
		for i := range d.Config.Slots {
			slot := &d.Config.Slots[i]
			if err == nil && slot.Name != active && (!exists(d.kernel(slot)) || !exists(d.initrd(slot))) {
				s, err = s.MarkBad(slot.Name)
			}
		}
		return s, err
	})
	if err != nil {
		return err
	}
	if s := d.Config.Slot(booted); s != nil {
		return errors.Join(d.know(s), d.knowFiles(s))
	}
	return nil
}

// newID is random; GRUB passes it to the kernel as deltaup.env=, which proves that it reads the environment block
// that is written here.
func newID() string {
	id := make([]byte, 4)
	rand.Read(id) // never fails
	return hex.EncodeToString(id)
}

// writeScript writes a file so that GRUB, which replays no journal, finds it.
func writeScript(file string, text []byte, mode os.FileMode) error {
	tmp := file + ".new"
	if err := durable.RemoveTemps(tmp); err != nil {
		return err
	}
	err := durable.WriteFile(tmp, file, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
	if err = errors.Join(err, os.Remove(tmp)); err != nil {
		return err
	}
	if err := os.Chmod(file, mode); err != nil {
		return err
	}
	return syncFileSystem(filepath.Dir(file))
}
