package grub

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/slotboot/config"
	"deltaup/slotboot/loader"
	"deltaup/slotboot/machine"
)

// What a setup can write, as loader.Setup.Outputs names it.
const (
	OutputPart      = "part"      // menu entries that a grub.cfg sources
	OutputWhole     = "whole"     // a whole grub.cfg
	OutputGenerator = "generator" // a program for /etc/grub.d
)

// Setup makes the environment block or mends it, and writes the scripts. Without outputs it writes
// a part, deltaup.cfg beside the environment block. It gives the files that it wrote.
//
// Paths of outputs are those of the machine, and so lie below its root; a path that begins with
// that root is taken as it is.
func (l *Loader) Setup(ctx context.Context, o loader.Setup) (files []string, err error) {
	place, err := l.place()
	if err != nil {
		return nil, err
	}
	block, err := l.find()
	if err != nil {
		return nil, err
	}
	outputs, err := l.outputs(place, o.Outputs)
	if err != nil {
		return nil, err
	}
	folder := filepath.Dir(l.blockPath())
	if err := o.Undo.MkdirAll(folder); err != nil {
		return nil, err
	}
	unlock, err := lockFolder(folder)
	if err != nil {
		return nil, err
	}
	defer unlock()
	o.Undo.Push(block.Undo)
	if err := l.apply(ctx, block, o.First); err != nil {
		return nil, err
	}
	for _, out := range outputs {
		if err := o.Undo.WriteFile(out.path, out.text, out.mode); err != nil {
			return nil, err
		}
		files = append(files, out.path)
	}
	return append(files, l.blockPath()), nil
}

// output is a script and where it is written.
type output struct {
	path string
	text []byte
	mode fs.FileMode
}

// outputs makes the scripts that are wanted, and refuses paths where none can be written.
func (l *Loader) outputs(place *machine.FileSystem, wanted map[string]string) ([]output, error) {
	script, err := l.script(place)
	if err != nil {
		return nil, err
	}
	if len(wanted) == 0 {
		wanted = map[string]string{
			OutputPart: filepath.Join(filepath.Dir(l.config.Boot.Grubenv), "deltaup.cfg"),
		}
	}
	wanted = maps.Clone(wanted)
	var list []output
	for _, kind := range []struct {
		name string
		text func() ([]byte, error)
		mode fs.FileMode
	}{
		{OutputPart, script.Part, 0o644},
		{OutputWhole, script.Whole, 0o644},
		{OutputGenerator, script.generator, 0o755},
	} {
		path, ok := wanted[kind.name]
		if !ok {
			continue
		}
		delete(wanted, kind.name)
		text, err := kind.text()
		if err != nil {
			return nil, err
		}
		out := output{text: text, mode: kind.mode}
		if out.path, err = l.outputPath(path, list); err != nil {
			return nil, err
		}
		list = append(list, out)
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		return nil, fmt.Errorf("%s: %w: GRUB has no %s", wanted[name], loader.ErrOutput, name)
	}
	return list, nil
}

// outputPath is where a script that the machine is to have at path is written. It wraps
// loader.ErrOutput when something else lies or is written there.
func (l *Loader) outputPath(path string, others []output) (string, error) {
	root, named := l.machine.Path("/"), path
	if l.machine.Running() {
		var err error
		if path, err = filepath.Abs(path); err != nil {
			return "", err
		}
	} else if rest, ok := strings.CutPrefix(filepath.Clean(path), root+"/"); ok {
		path = rest
	}
	path, err := l.machine.Resolve(path)
	if err != nil {
		return "", err
	}
	taken := slices.ContainsFunc(others, func(o output) bool { return o.path == path })
	if taken || path == l.blockPath() {
		return "", fmt.Errorf("%s: %w: something else is written there, too", named,
			loader.ErrOutput)
	}
	info, err := os.Lstat(path)
	switch {
	case err == nil && !info.Mode().IsRegular():
		return "", fmt.Errorf("%s: %w: it is no file", path, loader.ErrOutput)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	}
	return path, nil
}

// script is the machine as GRUB sees it.
func (l *Loader) script(place *machine.FileSystem) (*Script, error) {
	s := &Script{UUID: place.UUID, Env: place.Inner, Args: l.config.Boot.KernelArgs()}
	for i := range l.config.Slots {
		slot := &l.config.Slots[i]
		at, err := l.machine.FileSystem(slot.Boot)
		if err != nil {
			return nil, fmt.Errorf("slot %s: %w", slot.Name, err)
		}
		if at.Device != place.Device {
			return nil, loader.Mark(fmt.Errorf(
				"slot %s: %s: not a place for an environment block: it is on another file system than %s",
				slot.Name, slot.Boot, l.config.Boot.Grubenv), loader.ErrUnfit)
		}
		args := []string{machine.ArgImage + "=" + slot.Image}
		if place.UUID != "" { // else the initramfs has no name for BOOT, and gives nothing up
			args = append(args, ArgGrubenv+"=UUID="+place.UUID+":"+place.Inner)
		}
		s.Entries = append(s.Entries, Entry{
			Slot:   slot.Name,
			Kernel: filepath.Join(at.Inner, config.KernelFile),
			Initrd: filepath.Join(at.Inner, config.InitrdFile),
			Args:   args,
		})
	}
	return s, nil
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
		err = fmt.Errorf("%s: %w", dir, loader.ErrBusy)
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
