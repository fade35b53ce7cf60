// Package uki splits a unified kernel image: an EFI program whose sections hold a kernel, an
// initrd, a command line and more. What lies where is all that it tells; packages kernel and initrd
// take the sections apart.
//
// The file is a PE image (https://learn.microsoft.com/windows/win32/debug/pe-format). What its
// sections mean: https://uapi-group.org/specifications/specs/unified_kernel_image/.
package uki

import (
	"bytes"
	"encoding/binary"
	"io"
)

// Names of sections.
const (
	Kernel    = ".linux"
	initrd    = ".initrd"
	microcode = ".ucode" // an initrd as well
)

// Part is a part of the file: a section with a kernel or an initrd, or what lies between two.
type Part struct {
	Section string // its name; "": none
	Size    int64  // of a section without what aligns the next one
	offset  int64
}

// Limits of what is read, in bytes and sections. A PE image has at most 96 sections.
const (
	headMax     = 16 << 10
	sectionsMax = 96
)

// Fields of the headers, by their offsets in bytes. Numbers are little-endian.
const (
	peOffset     = 0x3c // in the file: where the signature is
	peSignature  = "PE\x00\x00"
	coffCount    = 6  // behind the signature's begin: number of sections
	coffOptional = 20 // size of what lies between this header and the table of sections
	coffSize     = 24 // with the signature
	sectionSize  = 40
	sectionName  = 8 // bytes, at 0
)

// Split gives the parts of a file of size bytes, in their order; none is empty. There are none when
// it is no unified kernel image. Errors are those of file.
func Split(file io.ReaderAt, size int64) ([]Part, error) {
	head := make([]byte, min(headMax, size))
	if _, err := file.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, err
	}
	parts, at, kernel := []Part(nil), int64(0), false
	for _, s := range append(sections(head), Part{offset: size}) {
		if s.offset < at || s.Size > size-s.offset {
			return nil, nil
		}
		if s.offset > at {
			parts = append(parts, Part{Size: s.offset - at})
		}
		if s.Size > 0 {
			parts = append(parts, s)
		}
		kernel, at = kernel || s.Section == Kernel, s.offset+s.Size
	}
	if !kernel {
		return nil, nil
	}
	return parts, nil
}

// sections gives the sections with a kernel or an initrd that are not empty, by their offsets.
func sections(head []byte) (list []Part) {
	for table := sectionTable(head); len(table) > 0; table = table[sectionSize:] {
		s := parseSection(table)
		if s.Size == 0 || s.Section != Kernel && s.Section != initrd && s.Section != microcode {
			continue
		}
		list = append(list, s)
		for i := len(list) - 1; i > 0 && list[i].offset < list[i-1].offset; i-- {
			list[i], list[i-1] = list[i-1], list[i]
		}
	}
	return list
}

// sectionTable finds the table of sections in the first bytes of a file, nil when there is none.
func sectionTable(head []byte) []byte {
	if len(head) < peOffset+4 || string(head[:2]) != "MZ" {
		return nil
	}
	at := int64(binary.LittleEndian.Uint32(head[peOffset:]))
	if at > int64(len(head)-coffSize) || string(head[at:at+4]) != peSignature {
		return nil
	}
	head = head[at:]
	n := int(binary.LittleEndian.Uint16(head[coffCount:]))
	table := coffSize + int(binary.LittleEndian.Uint16(head[coffOptional:]))
	if n > sectionsMax || table+n*sectionSize > len(head) {
		return nil
	}
	return head[table:][:n*sectionSize]
}

// parseSection reads the first entry of a table.
func parseSection(table []byte) Part {
	const virtualSize, rawSize, rawOffset = 8, 16, 20
	name, _, _ := bytes.Cut(table[:sectionName], []byte{0})
	return Part{
		Section: string(name),
		Size: int64(min(binary.LittleEndian.Uint32(table[virtualSize:]),
			binary.LittleEndian.Uint32(table[rawSize:]))),
		offset: int64(binary.LittleEndian.Uint32(table[rawOffset:])),
	}
}
