package ldcache

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/tree"
)

// Dynamic is what the dynamic linker reads of a program or a library.
type Dynamic struct {
	Class       elf.Class
	Machine     elf.Machine
	Interpreter string   // path of the dynamic linker; "": a library, or a static program
	Needs       []string // names of libraries, or paths where they have a slash
	// Folders to look for them in, before the linker's own ones, with $ORIGIN for the file's own
	// folder. RPath also counts for what those libraries need.
	RPath, RunPath []string
}

// Limits of what a file needs. libLLVM's table of strings has 2 MB.
const (
	needsMax  = 1024
	dynstrMax = 16 << 20
)

// ReadDynamic reads a regular file of a tree; nil: it is no ELF file in little endian. Errors are
// those of the tree, or tell that the file is damaged.
func ReadDynamic(root *lookup.View, e *tree.Entry) (*Dynamic, error) {
	f, err := root.OpenAt(e)
	if err != nil {
		return nil, err
	}
	d, err := parseDynamic(f, e.Size)
	if errors.Is(err, errObject) {
		err = fmt.Errorf("/%s is a damaged ELF file", e.Path)
	}
	return d, errors.Join(err, f.Close())
}

func parseDynamic(in io.ReaderAt, size int64) (*Dynamic, error) {
	f, err := openELF(in, size)
	if errors.Is(err, errObject) || err == nil && f.data != elf.ELFDATA2LSB {
		return nil, nil
	}
	if err == nil {
		err = f.readSegments()
	}
	if err != nil {
		return nil, err
	}
	d := &Dynamic{Class: f.class, Machine: f.machine}
	for _, s := range f.segments {
		if s.kind != elf.PT_INTERP {
			continue
		}
		if d.Interpreter, err = f.text(s.offset); err != nil {
			return nil, err
		}
	}
	for _, s := range f.segments {
		if s.kind == elf.PT_DYNAMIC {
			return d, f.readNeeds(s.offset, d)
		}
	}
	return d, nil
}

// offset is where the byte at an address lies in the file; the address itself where no segment has
// it.
func (f *elfFile) offset(address uint64) uint64 {
	for _, s := range f.segments {
		if s.kind == elf.PT_LOAD && address >= s.address && address-s.address < s.size {
			return address - s.address + s.offset
		}
	}
	return address
}

// readNeeds reads the dynamic section.
func (f *elfFile) readNeeds(off uint64, d *Dynamic) error {
	tags, err := f.dynamicTags(off)
	if err != nil {
		return err
	}
	value := func(tag elf.DynTag) (uint64, bool) {
		i := slices.IndexFunc(tags, func(t dynamicTag) bool { return t.tag == uint64(tag) })
		if i < 0 {
			return 0, false
		}
		return tags[i].value, true
	}
	start, ok := value(elf.DT_STRTAB)
	length, ok2 := value(elf.DT_STRSZ)
	if !ok || !ok2 {
		return nil // it needs nothing
	}
	if length > dynstrMax {
		return errObject
	}
	texts, err := f.bytes(f.offset(start), int(length))
	if err != nil {
		return err
	}
	for _, t := range tags {
		switch elf.DynTag(t.tag) {
		case elf.DT_NEEDED, elf.DT_RPATH, elf.DT_RUNPATH:
		default:
			continue
		}
		if t.value >= uint64(len(texts)) {
			return errObject
		}
		name, _, ok := bytes.Cut(texts[t.value:], []byte{0})
		if !ok || len(name) == 0 || len(name) >= stringMax || len(d.Needs) == needsMax {
			return errObject
		}
		switch elf.DynTag(t.tag) {
		case elf.DT_NEEDED:
			d.Needs = append(d.Needs, string(name))
		case elf.DT_RPATH:
			d.RPath = strings.Split(string(name), ":")
		case elf.DT_RUNPATH:
			d.RunPath = strings.Split(string(name), ":")
		}
	}
	if d.RunPath != nil {
		d.RPath = nil // the linker does not heed it then
	}
	return nil
}

// Folders gives the folders of a tree in which its dynamic linker looks for libraries, in the order
// of the cache: those of ld.so.conf, then the linker's own. Errors wrap ErrConfig, or are those of
// the tree.
func Folders(t tree.Tree) ([]string, error) {
	root := lookup.New(t)
	g, err := findGlibc(root)
	if err != nil && !errors.Is(err, ErrUnknown) {
		return nil, err
	}
	b := &builder{root: root, glibc: g, inodes: map[string]bool{}, strings: map[string]uint32{}}
	if err := b.config(); err != nil {
		return nil, err
	}
	// of other distributions, and of musl
	for _, f := range []string{"/lib64", "/usr/lib64", "/usr/local/lib"} {
		if err := b.addFolder(f); err != nil {
			return nil, err
		}
	}
	var folders []string
	for _, f := range b.folders {
		if f.hwcaps == "" {
			folders = append(folders, f.path)
		}
	}
	return folders, nil
}
