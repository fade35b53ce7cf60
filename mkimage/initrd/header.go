package initrd

import (
	"fmt"
)

// A header is a magic of 6 digits and 13 fields of 8 hex digits, in the order of header's fields;
// see Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
const (
	headerSize = 6 + 13*8
	magicNew   = "070701"
	magicCRC   = "070702"
)

// align is how many bytes bring n to a multiple of 4. Writers pad headers with names, and data, so.
func align(n int64) int64 { return -n & 3 }

// header is a member's header without name and data.
type header struct {
	crc          bool
	lower, upper bool // which letters are among its digits
	member       Member
	size         uint32 // bytes of data
	nameSize     uint32 // bytes of the name with its NUL
}

// parseHeader reads headerSize bytes.
func parseHeader(b []byte) (*header, error) {
	h := new(header)
	switch string(b[:6]) {
	case magicNew:
	case magicCRC:
		h.crc = true
	default:
		return nil, unsupported("%q is not the magic of a cpio header", b[:6])
	}
	for i, field := range h.fields() {
		for _, c := range b[6+8*i : 14+8*i] {
			var digit byte
			switch {
			case '0' <= c && c <= '9':
				digit = c - '0'
			case 'a' <= c && c <= 'f':
				digit, h.lower = c-'a'+10, true
			case 'A' <= c && c <= 'F':
				digit, h.upper = c-'A'+10, true
			default:
				return nil, unsupported("%q in a number of a cpio header", c)
			}
			*field = *field<<4 | uint32(digit)
		}
	}
	return h, nil
}

// append encodes h.
func (h *header) append(b []byte, lower bool) []byte {
	magic, digits := magicNew, "%08X"
	if h.crc {
		magic = magicCRC
	}
	if lower {
		digits = "%08x"
	}
	b = append(b, magic...)
	for _, field := range h.fields() {
		b = fmt.Appendf(b, digits, *field)
	}
	return b
}

func (h *header) fields() [13]*uint32 {
	m := &h.member
	return [...]*uint32{
		&m.inode, &m.mode, &m.uid, &m.gid, &m.links, &m.modTime, &h.size,
		&m.devMajor, &m.devMinor, &m.rDevMajor, &m.rDevMinor, &h.nameSize, &m.check,
	}
}

// appendHead appends the header of m with name and padding, up to its data. The padding of a
// trailer counts among the zeros after it, because not all writers pad trailers.
func (a *Archive) appendHead(b []byte, m *Member) []byte {
	start := len(b)
	h := header{crc: a.crc, member: *m, size: uint32(m.size()), nameSize: uint32(len(m.Name) + 1)}
	b = h.append(b, a.lower)
	b = append(b, m.Name...)
	b = append(b, 0)
	if !m.isTrailer() {
		b = append(b, padding[:align(int64(len(b)-start))]...)
	}
	return b
}

var padding [4]byte

// stored is how many bytes m takes in its archive, with padding.
func (m *Member) stored() int64 {
	n := int64(headerSize + len(m.Name) + 1)
	if !m.isTrailer() {
		n += align(n)
	}
	return n + m.size() + align(m.size())
}
