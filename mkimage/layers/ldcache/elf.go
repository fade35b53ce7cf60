package ldcache

import (
	"bytes"
	"cmp"
	"debug/elf"
	"encoding/binary"
	"io"
)

// elfFile reads an ELF file of either class in little endian.
type elfFile struct {
	in       io.ReaderAt
	size     int64
	class    elf.Class
	data     elf.Data
	kind     elf.Type
	machine  elf.Machine
	flags    uint32 // the processor's
	word     int    // bytes of an address
	table    uint64 // where the program headers are
	count    int    // of these
	segments []segment
}

// openELF reads the header of a file of so many bytes. Errors are errObject for a file that is none
// of either class, or those of in.
func openELF(in io.ReaderAt, size int64) (*elfFile, error) {
	f := &elfFile{in: in, size: size}
	h, err := f.bytes(0, headerSize)
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	f.class, f.data = elf.Class(h[elf.EI_CLASS]), elf.Data(h[elf.EI_DATA])
	f.kind, f.machine = elf.Type(le.Uint16(h[16:])), elf.Machine(le.Uint16(h[18:]))
	switch {
	case string(h[:4]) != elf.ELFMAG:
		return nil, errObject
	case f.class == elf.ELFCLASS64:
		f.word, f.flags = 8, le.Uint32(h[48:])
		f.table, f.count = le.Uint64(h[32:]), int(le.Uint16(h[56:]))
	case f.class == elf.ELFCLASS32:
		f.word, f.flags = 4, le.Uint32(h[36:])
		f.table, f.count = uint64(le.Uint32(h[28:])), int(le.Uint16(h[44:]))
	default:
		return nil, errObject
	}
	return f, nil
}

type segment struct {
	kind                  elf.ProgType
	offset, address, size uint64 // size: in the file
	align                 uint64
}

// bytes reads n bytes, or errObject where the file ends before.
func (f *elfFile) bytes(off uint64, n int) ([]byte, error) {
	if off > uint64(f.size) || uint64(n) > uint64(f.size)-off {
		return nil, errObject
	}
	if n == 0 {
		return nil, nil
	}
	b := make([]byte, n)
	_, err := f.in.ReadAt(b, int64(off))
	return b, err
}

func (f *elfFile) address(b []byte) uint64 {
	if f.word == 4 {
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// text reads a string up to its zero.
func (f *elfFile) text(off uint64) (string, error) {
	if off > uint64(f.size) {
		return "", errObject
	}
	b, err := f.bytes(off, int(min(uint64(f.size)-off, stringMax)))
	if err != nil {
		return "", err
	}
	i := bytes.IndexByte(b, 0)
	if i < 0 {
		return "", errObject
	}
	return string(b[:i]), nil
}

// readSegments reads the program headers.
func (f *elfFile) readSegments() error {
	size := 56
	if f.word == 4 {
		size = 32
	}
	b, err := f.bytes(f.table, size*f.count)
	if err != nil {
		return err
	}
	for ; len(b) > 0; b = b[size:] {
		s := segment{kind: elf.ProgType(binary.LittleEndian.Uint32(b))}
		if f.word == 8 {
			s.offset, s.address = f.address(b[8:]), f.address(b[16:])
			s.size, s.align = f.address(b[32:]), f.address(b[48:])
		} else {
			s.offset, s.address = f.address(b[4:]), f.address(b[8:])
			s.size, s.align = f.address(b[16:]), f.address(b[28:])
		}
		f.segments = append(f.segments, s)
	}
	return nil
}

// dynamicTag is an entry of the dynamic section.
type dynamicTag struct{ tag, value uint64 }

// dynamicTags reads the dynamic section, whose size nothing but its end tells.
func (f *elfFile) dynamicTags(off uint64) ([]dynamicTag, error) {
	var tags []dynamicTag
	size := 2 * f.word
	for off <= uint64(f.size) && len(tags)*size < dynamicMax {
		n := int(min(1024, uint64(f.size)-off)) / size * size
		b, err := f.bytes(off, n)
		if err != nil || n == 0 {
			return nil, cmp.Or(err, errObject)
		}
		off += uint64(n)
		for ; len(b) > 0; b = b[size:] {
			t := dynamicTag{f.address(b), f.address(b[f.word:])}
			if t.tag == uint64(elf.DT_NULL) {
				return tags, nil
			}
			tags = append(tags, t)
		}
	}
	return nil, errObject
}
