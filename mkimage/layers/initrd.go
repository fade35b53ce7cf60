package layers

import (
	"cmp"
	"slices"
	"strings"
)

// Initrd is what package initramfs composes of the tree. The zero value is usable.
type Initrd struct {
	Kernel    string   `toml:"kernel"`    // version; "": that of the only one in the tree
	Modules   []string `toml:"modules"`   // names of modules that are loaded at each boot
	Programs  []string `toml:"programs"`  // names, or paths of the tree
	Files     []string `toml:"files"`     // paths of the tree; a folder with all that is below
	Microcode []string `toml:"microcode"` // archives of the tree, or its folders of microcode
	Udev      bool     `toml:"udev"`      // the tree's udev finds the devices, not a small loop
	Compress  string   `toml:"compress"`  // a level of mkimage.Levels, or none; "": the best
}

// with gives the initrd with what another definition adds.
func (i *Initrd) with(other *Initrd) Initrd {
	return Initrd{
		Kernel:    cmp.Or(other.Kernel, i.Kernel),
		Modules:   append(slices.Clone(i.Modules), other.Modules...),
		Programs:  append(slices.Clone(i.Programs), other.Programs...),
		Files:     append(slices.Clone(i.Files), other.Files...),
		Microcode: append(slices.Clone(i.Microcode), other.Microcode...),
		Udev:      i.Udev || other.Udev,
		Compress:  cmp.Or(other.Compress, i.Compress),
	}
}

func (i *Initrd) validate() error {
	for _, name := range i.Modules {
		if !word(name, "-_") {
			return wrong("initrd: the module %q", name)
		}
	}
	for _, list := range [][]string{i.Files, i.Microcode} {
		for j, name := range list {
			var err error
			if list[j], err = cleanPath(name); err != nil {
				return err
			}
		}
	}
	for _, name := range i.Programs {
		if _, err := cleanPath(name); err != nil {
			return err
		}
	}
	if strings.Contains(i.Kernel, "/") {
		return wrong("initrd: the kernel %q", i.Kernel)
	}
	return nil
}
