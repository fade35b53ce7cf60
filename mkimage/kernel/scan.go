package kernel

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"

	"deltaup/mkimage/internal/unpack"
)

// layout is what a kernel's first bytes tell of it.
type layout struct {
	offset int64 // of the payload in the file
	length int64 // of the room that the payload is in; the stream may end before
	image  bool  // the payload, plain, is an arm64 Image
	plain  bool  // it lies there as it is
	x86    bool  // it is a bzImage
}

// plainLayout is that of a kernel which is its payload.
var plainLayout = layout{length: contentMax, plain: true}

// headMax is how many bytes recognise looks at: what has all headers.
const headMax = 1 << 10

// recognise tells a kernel by its first bytes, at most headMax of them.
func recognise(head []byte) (layout, error) {
	switch {
	case isImage(head):
		return plainLayout, nil
	case bytes.HasPrefix(head, []byte(gzipMagic)):
		return layout{length: streamMax, image: true}, nil
	case hasAt(head, 0, "MZ") && hasAt(head, 4, "zimg"):
		return zboot(head)
	case hasAt(head, 0x202, "HdrS"):
		return bzImage(head)
	}
	return layout{}, unsupported("%w", ErrForeign)
}

func hasAt(b []byte, at int, magic string) bool {
	return len(b) >= at+len(magic) && string(b[at:at+len(magic)]) == magic
}

// isImage tells whether b begins as an arm64 Image does, Documentation/arch/arm64/booting.rst of
// the kernel.
func isImage(b []byte) bool { return hasAt(b, 0x38, "ARM\x64") }

// imageHead is how many bytes isImage looks at.
const imageHead = 0x3c

// zboot reads the header of drivers/firmware/efi/libstub/zboot-header.S of the kernel.
func zboot(head []byte) (layout, error) {
	if len(head) < 16 {
		return layout{}, unsupported("it is too short")
	}
	return layout{
		offset: int64(binary.LittleEndian.Uint32(head[8:])),
		length: int64(binary.LittleEndian.Uint32(head[12:])),
	}.checked()
}

// bzImage reads the header of Documentation/arch/x86/boot.rst of the kernel.
func bzImage(head []byte) (layout, error) {
	const flag, version, offset, length = 0x1fe, 0x206, 0x248, 0x24c
	if len(head) < length+4 || !hasAt(head, flag, "\x55\xaa") {
		return layout{}, unsupported("it is a damaged bzImage")
	}
	if v := binary.LittleEndian.Uint16(head[version:]); v < 0x208 {
		return layout{}, unsupported("its boot protocol, %d.%02d, does not tell where the payload is",
			v>>8, v&0xff)
	}
	sectors := int64(head[0x1f1]) // of the setup, without the first one
	if sectors == 0 {
		sectors = 4
	}
	return layout{
		offset: (1+sectors)*512 + int64(binary.LittleEndian.Uint32(head[offset:])),
		length: int64(binary.LittleEndian.Uint32(head[length:])),
		x86:    true,
	}.checked()
}

func (l layout) checked() (layout, error) {
	if l.offset > contentMax || l.length > streamMax {
		return layout{}, unsupported("a payload of %d bytes at %d", l.length, l.offset)
	}
	return l, nil
}

const (
	gzipMagic = "\x1f\x8b\x08"
	lz4Magic  = "\x02\x21\x4c\x18"
	zstdMagic = "\x28\xb5\x2f\xfd"
	xzMagic   = "\xfd7zXZ\x00"
)

// familyOf tells how a payload is compressed by its first bytes.
func familyOf(head []byte) (family, error) {
	switch {
	case bytes.HasPrefix(head, []byte(gzipMagic)):
		return familyGzip, nil
	case bytes.HasPrefix(head, []byte(lz4Magic)):
		return familyLZ4, nil
	case bytes.HasPrefix(head, []byte(zstdMagic)):
		return "", unsupported("its payload is compressed with zstd")
	case bytes.HasPrefix(head, []byte(xzMagic)):
		return "", unsupported("its payload is compressed with xz")
	}
	return "", unsupported("its payload begins with %x, which is no compression known here",
		head[:min(6, len(head))])
}

// gzipHeader gives the length of the header of the gzip member (RFC 1952) with which b begins.
func gzipHeader(b []byte) (int, error) {
	const hcrc, extra, name, comment = 2, 4, 8, 16
	at := 10
	if len(b) < at+2 {
		return 0, unsupported("it is too short")
	}
	flags := b[3]
	if flags&extra != 0 {
		at += 2 + int(binary.LittleEndian.Uint16(b[at:]))
	}
	for _, text := range []byte{name, comment} {
		if flags&text == 0 {
			continue
		}
		n := bytes.IndexByte(b[min(at, len(b)):], 0)
		if n < 0 {
			return 0, unsupported("a gzip header of more than %d bytes", len(b))
		}
		at += n + 1
	}
	if flags&hcrc != 0 {
		at += 2
	}
	if at > len(b) {
		return 0, unsupported("a gzip header of more than %d bytes", len(b))
	}
	return at, nil
}

// open opens the stream of a family at which in is. It reads the payload and leaves in at the first
// byte behind the stream.
func (f family) open(in *bufio.Reader) (io.Reader, error) {
	switch f {
	case familyGzip:
		return flate.NewReader(in), nil // it reads no further, since in is an io.ByteReader
	case familyLZ4:
		return unpack.LZ4(in)
	}
	return in, nil
}
