package transform

import (
	"bytes"
	"encoding/binary"
)

// le is the byte order of all files that the package rewrites.
var le = binary.LittleEndian

// Sizes of the records of a 64-bit ELF file (ELF-64 Object File Format, version 1.5).
const (
	elfHeaderSize      = 64
	elfSectionSize     = 64
	elfSymbolSize      = 24
	elfRelaSize        = 24
	elfSectionMax      = 4096 // most sections of a file that the package rewrites
	elfTypeRel         = 1
	elfTypeExec        = 2
	elfTypeDyn         = 3
	elfMachineX86      = 62
	elfMachineARM      = 183
	sectionSymtab      = 2
	sectionRela        = 4
	sectionNobits      = 8
	sectionDynsym      = 11
	flagWrite          = 1
	flagAlloc          = 2
	flagExec           = 4
	flagTLS            = 0x400
	flagMerge          = 0x10
	flagStrings        = 0x20
	symbolKindFunction = 2
	symbolKindSection  = 3
	symbolKindFile     = 4
)

// elfFile is the outline of a 64-bit little-endian ELF file. It holds no content, so that it serves
// both the file and its rewritten form, whose headers are equal.
type elfFile struct {
	kind, machine uint16
	sections      []elfSection

	symbols     *symbolTable // the symbol table that was read last
	symbolsFrom *elfSection
}

// elfSection is one section header.
type elfSection struct {
	name      string
	kind      uint32
	flags     uint64
	addr, mem uint64 // its address and size in memory
	off, size int    // its place in the file; size is 0 when the file has no bytes of it
	link      int
	info      int
	entry     uint64
}

// of gives the section's bytes in the file b.
func (s *elfSection) of(b []byte) []byte {
	return b[s.off : s.off+s.size : s.off+s.size]
}

// parseELF reads the outline of a file. ok is false unless every section lies within the file and
// overlaps neither the headers nor another section.
func parseELF(b []byte) (f *elfFile, ok bool) {
	if len(b) < elfHeaderSize || !bytes.HasPrefix(b, []byte("\x7fELF\x02\x01\x01")) {
		return nil, false
	}
	at, n := le.Uint64(b[40:]), int(le.Uint16(b[60:]))
	if le.Uint16(b[58:]) != elfSectionSize || n < 1 || n > elfSectionMax || at > uint64(len(b)) ||
		uint64(len(b))-at < uint64(n)*elfSectionSize {
		return nil, false
	}
	f = &elfFile{
		kind:     le.Uint16(b[16:]),
		machine:  le.Uint16(b[18:]),
		sections: make([]elfSection, n),
	}
	names := make([]uint32, n)
	used := []extent{{0, elfHeaderSize}, {int(at), int(at) + n*elfSectionSize}}
	for i := range f.sections {
		h := b[int(at)+i*elfSectionSize:]
		s := &f.sections[i]
		names[i] = le.Uint32(h)
		s.kind, s.flags, s.addr = le.Uint32(h[4:]), le.Uint64(h[8:]), le.Uint64(h[16:])
		off, size := le.Uint64(h[24:]), le.Uint64(h[32:])
		s.mem = size
		s.link, s.info, s.entry = int(le.Uint32(h[40:])), int(le.Uint32(h[44:])), le.Uint64(h[56:])
		if s.kind == 0 || s.kind == sectionNobits || size == 0 {
			continue
		}
		if off > uint64(len(b)) || size > uint64(len(b))-off {
			return nil, false
		}
		s.off, s.size = int(off), int(size)
		used = append(used, extent{s.off, s.off + s.size})
	}
	if overlap(used) {
		return nil, false
	}
	strs := int(le.Uint16(b[62:]))
	if strs >= n {
		return nil, false
	}
	for i, at := range names {
		f.sections[i].name = stringAt(f.sections[strs].of(b), at)
	}
	return f, true
}

type extent struct{ from, to int }

// overlap sorts e, which has at most some thousand elements, by insertion: slices would add 10 kB
// to the program. It tells whether two of them have bytes in common.
func overlap(e []extent) bool {
	for i := range e {
		for k := i; k > 0 && e[k-1].from > e[k].from; k-- {
			e[k-1], e[k] = e[k], e[k-1]
		}
	}
	for i := 1; i < len(e); i++ {
		if e[i].from < e[i-1].to {
			return true
		}
	}
	return false
}

// section gives the first section of that name, or nil.
func (f *elfFile) section(name string) *elfSection {
	for i := range f.sections {
		if f.sections[i].name == name {
			return &f.sections[i]
		}
	}
	return nil
}

// at gives the section with that number, or nil.
func (f *elfFile) at(i int) *elfSection {
	if i <= 0 || i >= len(f.sections) {
		return nil
	}
	return &f.sections[i]
}

// stringMax is how many bytes of a name count. It bounds the time that broken string tables take.
const stringMax = 1024

// stringAt gives the zero-terminated string at an offset in a string table, cut off at stringMax.
// It is empty when the offset lies outside.
func stringAt(table []byte, at uint32) string {
	if uint64(at) >= uint64(len(table)) {
		return ""
	}
	s := table[at:min(uint64(len(table)), uint64(at)+stringMax)]
	if n := bytes.IndexByte(s, 0); n >= 0 {
		s = s[:n]
	}
	return string(s)
}
