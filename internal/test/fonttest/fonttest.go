// Package fonttest makes what tests need of a tree with fontconfig.
package fonttest

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// Release is fontconfig's version of Debian 12.
const Release = 21401

// FreeType is the name of the library of FreeType that Debian has with a version of fontconfig.
func FreeType(version uint32) string {
	if version > Release {
		return "libfreetype.so.6.20.2"
	}
	return "libfreetype.so.6.18.3"
}

// Library gives a library of amd64 that has nothing but FcGetVersion.
func Library(version uint32) []byte {
	const names = "\x00FcGetVersion\x00"
	var code []byte
	code = append(code, 0xb8) // mov eax
	code = binary.LittleEndian.AppendUint32(code, version)
	code = append(code, 0xc3) // ret
	code = append(code, make([]byte, 64-len(code))...)
	const header, segment, section = 64, 56, 64
	symbols := []elf.Sym64{{}, {Name: 1, Info: byte(elf.STB_GLOBAL)<<4 | byte(elf.STT_FUNC), Shndx: 1}}
	at := uint64(header + segment + len(code))
	strings, sections := at+48, at+48+uint64(len(names)+7)&^7
	symbols[1].Value = header + segment
	var out bytes.Buffer
	for _, record := range []any{
		elf.Header64{
			Ident: [16]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
			Type:  uint16(elf.ET_DYN), Machine: uint16(elf.EM_X86_64), Version: 1, Phoff: header, Shoff: sections,
			Ehsize: header, Phentsize: segment, Phnum: 1, Shentsize: section, Shnum: 3, Shstrndx: 2,
		},
		elf.Prog64{Type: uint32(elf.PT_LOAD), Filesz: at, Memsz: at, Align: 1},
		code, symbols, []byte(names), make([]byte, sections-strings-uint64(len(names))),
		elf.Section64{},
		elf.Section64{Type: uint32(elf.SHT_DYNSYM), Off: at, Size: 48, Link: 2, Entsize: 24},
		elf.Section64{Type: uint32(elf.SHT_STRTAB), Off: strings, Size: uint64(len(names))},
	} {
		if err := binary.Write(&out, binary.LittleEndian, record); err != nil {
			panic(err) // records of fixed size
		}
	}
	return out.Bytes()
}

// Config is a fonts.conf with the fonts' and the caches' usual folders.
const Config = `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
	<dir>/usr/share/fonts</dir>
	<dir prefix="xdg">fonts</dir>
	<dir>~/.fonts</dir>
	<include ignore_missing="yes">conf.d</include>
	<cachedir>/var/cache/fontconfig</cachedir>
	<cachedir prefix="xdg">fontconfig</cachedir>
</fontconfig>
`
