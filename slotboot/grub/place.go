package grub

import (
	"fmt"
	"slices"
	"strings"

	"deltaup/slotboot/loader"
	"deltaup/slotboot/machine"
)

// The file systems that GRUB 2.06 writes to, see
// https://www.gnu.org/software/grub/manual/grub/html_node/Environment-block.html, and the features
// of ext4 with which it does not know one.
var (
	writable        = []string{"vfat", "msdos", "ext2", "ext3", "ext4"}
	unknownFeatures = []string{"ea_inode", "inline_data", "casefold", "bigalloc"}
)

// unfit says why GRUB cannot write an environment block to a file system, "" when it can.
func unfit(f *machine.FileSystem) string {
	switch {
	case !slices.Contains(writable, f.Type):
		return "GRUB does not write to " + f.Type
	case f.Layer != "":
		return "it lies on " + f.Layer + ", which GRUB does not write to"
	}
	unknown := slices.DeleteFunc(slices.Clone(f.Features),
		func(name string) bool { return !slices.Contains(unknownFeatures, name) })
	if len(unknown) > 0 {
		return "GRUB does not know its feature " + strings.Join(unknown, ", ")
	}
	return ""
}

// Check tells whether the environment block can be made where the configuration says.
// loader.ErrUnfit is wrapped when GRUB cannot write there, loader.ErrUnknown when that could not be
// found out, and loader.ErrForeign when something else lies there.
func (l *Loader) Check() error {
	if _, err := l.place(); err != nil {
		return err
	}
	_, err := l.find()
	return err
}

// place is the file system of the environment block, which GRUB finds and writes to.
func (l *Loader) place() (*machine.FileSystem, error) {
	path := l.config.Boot.Grubenv
	f, err := l.machine.FileSystem(path)
	if err != nil {
		return nil, err
	}
	if why := unfit(f); why != "" {
		return nil, loader.Mark(fmt.Errorf("%s: not a place for an environment block: %s", path, why),
			loader.ErrUnfit)
	}
	if f.Unknown != "" {
		return nil, loader.Mark(fmt.Errorf("%s: it is not known how GRUB sees it: %s", path,
			f.Unknown), loader.ErrUnknown)
	}
	return f, nil
}
