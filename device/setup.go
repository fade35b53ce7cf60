package device

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/grubenv"
	"deltaup/slotboot/machine"
)

var (
	// ErrUnfit is wrapped when GRUB could not write the environment block where it lies.
	ErrUnfit = errors.New("not a place for an environment block")
	// ErrUnknown is wrapped when it cannot be found out how GRUB sees the place of the environment
	// block.
	ErrUnknown = errors.New("it is not known how GRUB sees it")
	// ErrNoActive is wrapped when nobody says which slot boots at first.
	ErrNoActive = errors.New("which slot boots at first?")
	// ErrOutput is wrapped when a script is to be written over something that is no file.
	ErrOutput = errors.New("not a place for a script")
)

// SetupOptions say which script is written where; with none of the three files it is a part,
// deltaup.cfg beside the environment block. Files are paths of the machine, and so lie below its
// root; a path that begins with that root is taken as it is.
type SetupOptions struct {
	Part      string // to be sourced by a grub.cfg
	Whole     string // a whole grub.cfg
	Generator string // for /etc/grub.d
	// the slot that boots at first, when the machine runs from none and there is one to boot
	Active string
}

// Setup prepares the boot loader: it makes the environment block or mends it, has the running slot
// boot at first, marks empty slots bad, and writes the scripts. It can be repeated; what the block
// says of slots stays. While all slots are empty none boots at first: the first installation is.
// The files written are given. After an error everything is as it was before.
func (d *Device) Setup(ctx context.Context, o SetupOptions) (files []string, err error) {
	place, err := d.grubPlace()
	if err != nil {
		return nil, err
	}
	block, err := grubenv.Find(d.blockPath())
	if err != nil {
		return nil, err
	}
	booted, err := d.bootedOrNone()
	if err != nil {
		return nil, err
	}
	scripts, err := d.scripts(place, o)
	if err != nil {
		return nil, err
	}
	var u undo
	defer func() {
		if err != nil {
			files, err = nil, errors.Join(err, u.run())
		}
	}()
	if err := d.makeFolders(&u); err != nil {
		return nil, err
	}
	unlock, err := lockFolder(filepath.Dir(d.blockPath()))
	if err != nil {
		return nil, err
	}
	defer unlock()
	u.push(block.Undo)
	if err := d.applyFirst(ctx, block, booted, o.Active); err != nil {
		return nil, err
	}
	for _, s := range scripts {
		if err := s.write(&u); err != nil {
			return nil, err
		}
		files = append(files, s.file)
	}
	if s := d.Config.Slot(booted); s != nil {
		if err := d.guardRecords(&u); err != nil {
			return nil, err
		}
		if err := errors.Join(d.know(s), d.knowFiles(s)); err != nil {
			return nil, err
		}
	}
	return append(files, d.blockPath()), nil
}

// blockPath is where the environment block lies or is to be made, behind all symbolic links.
func (d *Device) blockPath() string {
	path, err := d.Machine.Resolve(d.Config.Boot.Grubenv)
	if err != nil {
		return d.grubenv()
	}
	return path
}

// grubPlace is the file system of the environment block, which GRUB must be able to find and to
// write to.
func (d *Device) grubPlace() (*machine.FileSystem, error) {
	path := d.Config.Boot.Grubenv
	place, err := d.Machine.FileSystem(path)
	switch {
	case err != nil:
		return nil, err
	case place.NotForGRUB != "":
		return nil, fmt.Errorf("%s: %w: %s", path, ErrUnfit, place.NotForGRUB)
	case place.Unknown != "":
		return nil, fmt.Errorf("%s: %w: %s", path, ErrUnknown, place.Unknown)
	}
	return place, nil
}

func (d *Device) scripts(place *machine.FileSystem, o SetupOptions) ([]script, error) {
	c, err := d.grubConfig(place)
	if err != nil {
		return nil, err
	}
	if o.Part == "" && o.Whole == "" && o.Generator == "" {
		o.Part = filepath.Join(filepath.Dir(d.Config.Boot.Grubenv), "deltaup.cfg")
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
		file, err := d.output(s.file)
		if err != nil {
			return nil, err
		}
		for _, other := range append(list, script{file: d.blockPath()}) {
			if other.file == file {
				return nil, fmt.Errorf("%s: %w: something else is written there, too", s.file,
					ErrOutput)
			}
		}
		script, err := newScript(file, text, s.mode)
		if err != nil {
			return nil, err
		}
		list = append(list, *script)
	}
	return list, nil
}

// output is where a script that the machine is to have at file is written.
func (d *Device) output(file string) (string, error) {
	root := d.path("/")
	if d.Machine.Running() {
		var err error
		if file, err = filepath.Abs(file); err != nil {
			return "", err
		}
	} else if rest, ok := strings.CutPrefix(filepath.Clean(file), root+"/"); ok {
		file = rest
	}
	return d.Machine.Resolve(file)
}

// grubConfig is the configuration in GRUB's paths.
func (d *Device) grubConfig(place *machine.FileSystem) (*grub.Config, error) {
	c := &grub.Config{UUID: place.UUID, Env: place.Inner, Args: strings.Fields(d.Config.Boot.Args)}
	for _, s := range d.Config.Slots {
		at, err := d.Machine.FileSystem(s.Boot)
		if err != nil {
			return nil, fmt.Errorf("slot %s: %w", s.Name, err)
		}
		if at.Device != place.Device {
			return nil, fmt.Errorf("slot %s: %s: %w: it is on another file system than %s", s.Name,
				s.Boot, ErrUnfit, d.Config.Boot.Grubenv)
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

// makeFolders makes the folders of the environment block and of the slots' kernels.
func (d *Device) makeFolders(u *undo) error {
	folders := []string{filepath.Dir(d.blockPath())}
	for _, s := range d.Config.Slots {
		folders = append(folders, d.path(s.Boot))
	}
	for _, dir := range folders {
		if err := u.mkdirAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// lockFolder keeps other setups out of a folder, and removes what those that were killed left
// there.
func lockFolder(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		err = fmt.Errorf("%s: %w", dir, ErrBusy)
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOLCK):
		err = nil // a file system without locks
	}
	if err == nil {
		err = durable.RemoveTemps(dir)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil // nothing was written to it
}
