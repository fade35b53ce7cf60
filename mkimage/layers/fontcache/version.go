package fontcache

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strings"

	"deltaup/mkimage/internal/lookup"
)

// release is a version of fontconfig.
type release struct {
	cache     uint32 // the version of its caches
	column    int    // of the languages' numbers
	langWords int    // words of a set of languages

	wrapper   bool // it says in what a font is wrapped, and which is a named instance
	utf16     bool // names in encodings that it does not know are read as UTF-16
	instances bool // each face of a collection has its own named instances

	freetype
}

// releases are those that are known, by what FcGetVersion gives.
var releases = map[uint32]release{
	21401: {cache: 8, langWords: 8},
	21500: {cache: 9, column: 1, langWords: 9, wrapper: true, utf16: true, instances: true},
}

// freetype is a version of FreeType.
type freetype struct {
	longFamilies bool // families of bitmap fonts have the name of their foundry
	lenient      bool // of a PostScript name, just the wrong letters are left out
}

// freetypes are those whose way of reading fonts is known, by the names of Debian's libraries:
// 2.12.1 and 2.13.3.
var freetypes = map[string]freetype{"libfreetype.so.6.18.3": {}, "libfreetype.so.6.20.2": {true, true}}

const libraryMax = 16 << 20 // bytes

// findRelease finds the version of a tree's fontconfig. Errors wrap ErrUnknown, or are those of the
// tree.
func findRelease(root *lookup.View) (*release, error) {
	for _, parent := range []string{"usr/lib", "usr/lib64", "lib", "lib64"} {
		folders := []string{parent}
		for _, name := range root.Names(parent) {
			if strings.Contains(name, "-linux-gnu") {
				folders = append(folders, parent+"/"+name)
			}
		}
		for _, folder := range folders {
			if root.Stat(folder+"/libfontconfig.so.1") == nil {
				continue
			}
			other := root.Stat(folder + "/libfreetype.so.6")
			if other == nil {
				return nil, fmt.Errorf("%w: no FreeType in /%s", ErrUnknown, folder)
			}
			with, known := freetypes[other.Path[strings.LastIndexByte(other.Path, '/')+1:]]
			if !known {
				return nil, fmt.Errorf("%w: /%s", ErrUnknown, other.Path)
			}
			name := folder + "/libfontconfig.so.1"
			b, err := root.Read(name, libraryMax)
			if err != nil {
				return nil, err
			}
			version, err := libraryVersion(b)
			if err != nil {
				return nil, fmt.Errorf("%w: /%s: %w", ErrUnknown, name, err)
			}
			if r, ok := releases[version]; ok {
				r.freetype = with
				return &r, nil
			}
			return nil, fmt.Errorf("%w: /%s: version %d", ErrUnknown, name, version)
		}
	}
	return nil, fmt.Errorf("%w: the tree has no libfontconfig", ErrUnknown)
}

// libraryVersion gives the number that FcGetVersion of a library gives, which loads it as a
// constant and returns: only there is the number in a library. It is an error for a machine other
// than amd64 and arm64, and when the function is another one.
func libraryVersion(b []byte) (uint32, error) {
	f, err := elf.NewFile(bytes.NewReader(b))
	if err != nil {
		return 0, err
	}
	symbols, err := f.DynamicSymbols()
	if err != nil {
		return 0, err
	}
	for _, s := range symbols {
		if s.Name != "FcGetVersion" {
			continue
		}
		for _, p := range f.Progs {
			if p.Type != elf.PT_LOAD || s.Value < p.Vaddr || s.Value-p.Vaddr+16 > p.Filesz {
				continue
			}
			code := make([]byte, 16)
			if _, err := p.ReadAt(code, int64(s.Value-p.Vaddr)); err != nil {
				return 0, err
			}
			switch f.Machine {
			case elf.EM_X86_64:
				code = bytes.TrimPrefix(code, []byte{0xf3, 0x0f, 0x1e, 0xfa}) // endbr64
				if code[0] == 0xb8 && code[5] == 0xc3 {                       // mov eax, ret
					return binary.LittleEndian.Uint32(code[1:]), nil
				}
			case elf.EM_AARCH64:
				for len(code) > 4 {
					word := binary.LittleEndian.Uint32(code)
					if word&0xffe0001f == 0x52800000 { // mov w0
						return word >> 5 & 0xffff, nil
					}
					code = code[4:] // bti
				}
			}
		}
	}
	return 0, fmt.Errorf("no version in code for %v", f.Machine)
}
