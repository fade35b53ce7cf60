package ldcache

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"slices"

	"deltaup/mkimage/tree"
)

// Flags of entries, from glibc's sysdeps/generic/ldconfig.h: the type, and the machine's mode.
const (
	flagElf     = 0x0001 // before 2.37: it needs no libc.so.6
	flagLibc6   = 0x0003
	flagAmd64   = 0x0303
	flagX32     = 0x0803
	flagArmHard = 0x0903
	flagArm64   = 0x0a03
	flagArmSoft = 0x0b03
)

// object is what ldconfig wants to know about a library.
type object struct {
	soname   string
	named    bool // it has a soname, which may be ""
	flags    uint32
	isaLevel int
}

// Limits of reading, in bytes.
const (
	headerSize = 64      // ldconfig reads no smaller file, also of 32 bits
	dynamicMax = 1 << 20 // of a dynamic section; the largest ones have 2 kB
	noteMax    = 64 << 10
	stringMax  = 4096 // of a soname, of which a file name has 255, and of an interpreter
)

// errObject tells that a file is no library that ldconfig takes.
var errObject = errors.New("no shared object")

// readObject reads a library; nil: ldconfig ignores the file.
func (b *builder) readObject(e *tree.Entry) (*object, error) {
	if e.Size < headerSize {
		return nil, nil
	}
	f, err := b.root.OpenAt(e)
	if err != nil {
		return nil, err
	}
	o, err := parseObject(f, e.Size, b.glibc)
	if errors.Is(err, errObject) {
		err = nil
	}
	return o, errors.Join(err, f.Close())
}

// parseObject reads of a library what the glibc's ldconfig reads. Errors are errObject for a file
// that it ignores, or those of in.
func parseObject(in io.ReaderAt, size int64, g glibc) (*object, error) {
	f, err := openELF(in, size)
	if err != nil {
		return nil, err
	}
	switch {
	case f.kind != elf.ET_DYN,
		g.machine == elf.EM_X86_64 && f.machine != elf.EM_X86_64 &&
			(f.machine != elf.EM_386 || f.class != elf.ELFCLASS32):
		return nil, errObject
	}
	if err := f.readSegments(); err != nil {
		return nil, err
	}
	o := &object{flags: flagLibc6}
	if err := f.describe(o, g); err != nil {
		return nil, err
	}
	o.flags = f.mode(o.flags, g)
	return o, nil
}

// mode adds the machine's mode to the flags of an entry.
func (f *elfFile) mode(flags uint32, g glibc) uint32 {
	const (
		eabi, eabi5 = 0xff000000, 0x05000000
		hard, soft  = 0x400, 0x200
	)
	switch {
	case g.machine == elf.EM_AARCH64 && f.class == elf.ELFCLASS64:
		return flagArm64
	case g.machine == elf.EM_AARCH64 && f.flags&eabi != eabi5:
		return flags
	case g.machine == elf.EM_AARCH64 && f.flags&hard != 0:
		return flagArmHard
	case g.machine == elf.EM_AARCH64 && f.flags&soft != 0:
		return flagArmSoft
	case g.machine == elf.EM_AARCH64:
		return flagLibc6
	case f.machine == elf.EM_X86_64 && f.class == elf.ELFCLASS64:
		return flagAmd64
	case f.machine == elf.EM_X86_64:
		return flagX32
	}
	return flags
}

// interpreters are the dynamic linkers by which the old ldconfig knows a library for libc6.
var interpreters = map[string]bool{
	"/lib/ld-linux-x86-64.so.2": true, "/lib/ld-linux.so.2": true, "/libx32/ld-linux-x32.so.2": true,
	"/lib64/ld-linux-x86-64.so.2": true, "/lib/ld-linux-aarch64.so.1": true,
	"/lib/ld-linux-aarch64_be.so.1": true, "/lib/ld-linux-aarch64_ilp32.so.1": true,
	"/lib/ld-linux-aarch64_be_ilp32.so.1": true, "/lib/ld-linux.so.3": true,
	"/lib/ld-linux-armhf.so.3": true,
}

// describe finds soname, type and ISA level.
func (f *elfFile) describe(o *object, g glibc) error {
	known := !g.old()
	dynamic := segment{}
	for _, s := range f.segments {
		switch s.kind {
		case elf.PT_DYNAMIC:
			dynamic = s
		case elf.PT_INTERP:
			if s.offset > uint64(f.size) {
				return errObject
			}
			if name, err := f.text(s.offset); err == nil && interpreters[name] {
				known = true
			} else if err != nil && !errors.Is(err, errObject) {
				return err
			}
		case elf.PT_GNU_PROPERTY:
			if g.machine != elf.EM_X86_64 || s.align != uint64(f.word) {
				break
			}
			b, err := f.bytes(s.offset, int(min(s.size, noteMax)))
			if err != nil {
				return err
			}
			if level, ok := parseISALevel(b, f.word); ok {
				o.isaLevel = level
			}
		}
	}
	if dynamic.size == 0 {
		return errObject
	}
	if err := f.readDynamic(dynamic.offset, o, &known); err != nil {
		return err
	}
	if !known {
		o.flags = flagElf
	}
	return nil
}

// readDynamic finds the soname, and whether the library needs a libc that is known.
func (f *elfFile) readDynamic(off uint64, o *object, known *bool) error {
	tags, err := f.dynamicTags(off)
	if err != nil {
		return err
	}
	table := slices.IndexFunc(tags, func(t dynamicTag) bool { return t.tag == uint64(elf.DT_STRTAB) })
	if table < 0 {
		return errObject
	}
	start := f.offset(tags[table].value)
	for _, t := range tags {
		needed := t.tag == uint64(elf.DT_NEEDED) && !*known
		if !needed && t.tag != uint64(elf.DT_SONAME) {
			continue
		}
		name, err := f.text(start + t.value)
		switch {
		case err != nil:
			return err
		case needed:
			*known = name == "libc.so.6" || name == "libm.so.6"
		case !o.named:
			o.soname, o.named = name, true
		}
		if *known && o.named {
			return nil
		}
	}
	return nil
}

// parseISALevel finds the level of the instructions that a library needs in its GNU property note.
// It reads the first note, of which properties are in ascending order.
func parseISALevel(b []byte, word int) (level int, ok bool) {
	const (
		propertyNote = 5
		isaNeeded    = 0xc0008002
	)
	le := binary.LittleEndian
	align := func(n uint64) uint64 { return (n + uint64(word) - 1) &^ (uint64(word) - 1) }
	for len(b) > 12 {
		name, size := uint64(le.Uint32(b)), uint64(le.Uint32(b[4:]))
		if name != 4 || le.Uint32(b[8:]) != propertyNote || len(b) < 16 || string(b[12:16]) != "GNU\x00" {
			next := align(align(12+name) + size)
			if next >= uint64(len(b)) {
				break
			}
			b = b[next:]
			continue
		}
		if size < 8 || size%uint64(word) != 0 || size > uint64(len(b)-16) {
			break
		}
		last := uint32(0)
		for b = b[16 : 16+size]; len(b) >= 8; {
			kind, n := le.Uint32(b), uint64(le.Uint32(b[4:]))
			b = b[8:]
			if kind < last || kind > isaNeeded || n > uint64(len(b)) {
				break
			}
			if kind == isaNeeded {
				if n != 4 || le.Uint32(b) == 0 {
					break
				}
				return bits.Len32(le.Uint32(b)) - 1, true
			}
			last = kind
			b = b[min(align(n), uint64(len(b))):]
		}
		break
	}
	return 0, false
}
