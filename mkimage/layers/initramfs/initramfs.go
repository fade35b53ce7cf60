// Package initramfs composes the initrd of a composed tree from that tree: programs with the
// libraries that they need, kernel modules, and the scripts of dist/initramfs, which mount a slot's
// image. It starts no program, and the same tree gives the same bytes on any machine.
//
// Contents are those of the tree, except for the indexes of modules and libraries and for packed
// modules, which are unpacked. So a release with the tree's image carries hardly anything for its
// initrd. Write does it all, and WriteKernel gives the kernel that belongs to it.
package initramfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"deltaup/dist"
	"deltaup/mkimage/initrd"
	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/ldcache"
	"deltaup/mkimage/modules"
	"deltaup/mkimage/tree"
)

// noFrame is the setting of Compress that leaves an initrd plain.
const noFrame = "none"

// scriptDir has deltaup.sh in the initrd, and the list of modules that its init loads.
const scriptDir = "usr/lib/deltaup"

// Write writes the initrd of a tree, which stays open, as the settings say. All times in it are
// time, in seconds since 1970. Errors wrap layers.ErrDefinition when the tree has not what the
// settings name or what each initrd needs, or are those of ctx, of the tree and of w.
func Write(ctx context.Context, w io.Writer, t tree.Tree, s *layers.Initrd, time uint32) error {
	in, err := selectFiles(ctx, t, s)
	if err != nil {
		return err
	}
	out := &counter{w: w}
	if err := writeMicrocode(ctx, out, t, s.Microcode, time); err != nil {
		return err
	}
	if s.Compress == noFrame {
		return writeArchive(ctx, out, in, time)
	}
	frame, err := initrd.NewFrame(out, s.Compress)
	if err != nil {
		return wrong("compress: %w, or %q", err, noFrame)
	}
	return errors.Join(writeArchive(ctx, frame, in, time), frame.Close())
}

// wrong makes an error about the definition.
func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: initrd: "+format, append([]any{layers.ErrDefinition}, args...)...)
}

// selectFiles gives the tree of the initrd.
func selectFiles(ctx context.Context, t tree.Tree, s *layers.Initrd) (*selection, error) {
	in := newSelection(t)
	version, err := kernelVersion(t, s.Kernel)
	if err != nil {
		return nil, err
	}
	if err := in.takeModules(t, version, s.Modules); err != nil {
		return nil, err
	}
	if err := in.takePrograms(s); err != nil {
		return nil, err
	}
	for _, name := range s.Files {
		if err := in.takeAll(name); err != nil {
			return nil, wrong("files: %w", err)
		}
	}
	for _, name := range configFiles {
		if err := in.takeAll(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, wrong("%w", err)
		}
	}
	if err := in.takeLibraries(t); err != nil {
		return nil, err
	}
	if err := in.addScripts(s); err != nil {
		return nil, err
	}
	if err := in.index(ctx, version); err != nil {
		return nil, err
	}
	return in, nil
}

// takePrograms takes the programs of each initrd and those of the settings.
func (in *selection) takePrograms(s *layers.Initrd) error {
	for _, name := range []string{"bin/sh", "sbin/modprobe"} { // where init and the kernel want them
		if _, err := in.take(name); err != nil {
			return wrong("each one needs /%s: %w", name, err)
		}
	}
	for _, name := range tools {
		if err := in.takeTool(name); err != nil {
			return err
		}
	}
	for _, name := range s.Programs {
		if !strings.Contains(name, "/") {
			at, ok := in.findProgram(name)
			if !ok {
				return wrong("programs: the tree has no program %s", name)
			}
			name = at
		}
		e, err := in.take(name)
		if err == nil && e.Type != tree.Regular {
			err = fmt.Errorf("/%s is no file", name)
		}
		if err != nil {
			return wrong("programs: %w", err)
		}
	}
	if !s.Udev {
		return nil
	}
	for _, name := range udevPrograms {
		if _, err := in.take(name); err != nil {
			return wrong("udev: %w", err)
		}
	}
	for _, name := range udevFiles {
		if _, err := in.take(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return wrong("udev: %w", err)
		}
	}
	return nil
}

// findProgram looks for a program by its name.
func (in *selection) findProgram(name string) (string, bool) {
	for _, dir := range programDirs {
		if e := in.root.Stat(dir + "/" + name); e != nil && e.Type == tree.Regular {
			return dir + "/" + name, true
		}
	}
	return "", false
}

// takeTool takes a program that the scripts need, or has busybox stand for it.
func (in *selection) takeTool(name string) error {
	at, ok := in.findProgram(name)
	if ok {
		e, err := in.take(at)
		if err != nil {
			return wrong("%w", err)
		}
		if path.Base(e.Path) == busybox && slices.Contains(ofUtilLinux, name) {
			return wrong("the tree's %s is that of busybox, and the initrd needs that of util-linux", name)
		}
		return nil
	}
	box, ok := in.findProgram(busybox)
	if !ok || slices.Contains(ofUtilLinux, name) {
		return wrong("the tree has no program %s, which the initrd needs", name)
	}
	if _, err := in.take(box); err != nil {
		return wrong("%w", err)
	}
	dir, err := in.take(path.Dir(box))
	if err != nil {
		return wrong("%w", err)
	}
	in.add(&item{Entry: tree.Entry{Path: path.Join(dir.Path, name),
		Attr: tree.Attr{Type: tree.Symlink, Mode: 0o777, Target: busybox}}})
	return nil
}

// addScripts adds what is not the tree's.
func (in *selection) addScripts(s *layers.Initrd) error {
	for _, dir := range emptyDirs {
		if err := in.makeFolder(dir); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		path, from string
		mode       uint16
	}{{"init", "init", 0o755}, {scriptDir + "/deltaup.sh", "deltaup.sh", 0o644}} {
		b, err := dist.Files.ReadFile("initramfs/" + f.from)
		if err != nil {
			return err
		}
		if err := in.makeFile(f.path, f.mode, b); err != nil {
			return err
		}
	}
	list := strings.Join(append(slices.Clone(s.Modules), ""), "\n")
	return in.makeFile(scriptDir+"/modules", 0o644, []byte(list))
}

// index unpacks the modules, and makes the indexes of modules and libraries anew for what the
// initrd has of them.
func (in *selection) index(ctx context.Context, version string) error {
	if version != "" {
		plain, err := modules.Plain(ctx, in.frozen())
		if err != nil {
			return err
		}
		files, err := modules.Depmod(ctx, plain, version)
		if err != nil {
			return err
		}
		in.replace(plain)
		for _, f := range files {
			if !slices.Contains(unusedIndexes, path.Base(f.Path)) {
				if err := in.makeFile(f.Path, 0o644, f.Content); err != nil {
					return err
				}
			}
		}
		for _, name := range indexInputs {
			in.remove("lib/modules/" + version + "/" + name)
		}
	}
	made, err := ldcache.Build(in)
	if errors.Is(err, ldcache.ErrUnknown) {
		return nil // another libc, whose linker has no cache
	}
	if err != nil {
		return err
	}
	return in.makeFile(ldcache.Path, 0o644, made.Cache)
}
