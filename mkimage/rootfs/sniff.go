package rootfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"

	"deltaup/internal/disk"
)

// kind is the kind of a file, by its first bytes.
type kind int

const (
	kindTar kind = iota + 1
	kindGzip
	kindZstd
	kindXZ
	kindImage
	kindZeros // an empty archive, or room before something else
)

// archive reports whether the file is a plain tar archive.
func (k kind) archive() bool { return k == kindTar || k == kindZeros }

// sniffLen is how many bytes sniff needs. The first header of a tar archive would suffice for
// archives; file systems have their magic later.
const sniffLen = disk.HeadSize

// sniff tells the kind of a file. It reads up to sniffLen bytes.
func sniff(r io.Reader) (kind, error) {
	head, err := io.ReadAll(io.LimitReader(r, sniffLen))
	if err != nil {
		return 0, err
	}
	switch {
	case len(head) == 0:
		return 0, fmt.Errorf("%w: it is empty", ErrMalformed)
	case bytes.HasPrefix(head, []byte("hsqs")), bytes.HasPrefix(head, []byte("sqsh")):
		return kindImage, nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return kindGzip, nil
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}), isSkippableFrame(head):
		return kindZstd, nil
	case bytes.HasPrefix(head, []byte{0xfd, '7', 'z', 'X', 'Z', 0}):
		return kindXZ, nil
	case len(head) < blockSize || !isTarHeader(head[:blockSize]):
		return 0, foreign(head)
	case !isZero(head[:blockSize]):
		return kindTar, nil
	}
	if err := foreign(head); err != ErrKind {
		return 0, err
	}
	return kindZeros, nil
}

// isSkippableFrame reports whether head is the beginning of a skippable frame of zstd, with which
// pzstd begins.
func isSkippableFrame(head []byte) bool {
	return len(head) >= 4 && head[0]&0xf0 == 0x50 &&
		bytes.Equal(head[1:4], []byte{0x2a, 0x4d, 0x18})
}

// isTarHeader reports whether block may be the first of an archive: its checksum is right, or it is
// the zeros at the end of an archive.
func isTarHeader(block []byte) bool {
	_, err := tar.NewReader(bytes.NewReader(block)).Next()
	return !errors.Is(err, tar.ErrHeader)
}

// foreignError is an ErrKind that says what a file is.
type foreignError struct {
	what string // a clause that describes the file
	fs   bool   // a whole file system, in which an image is a file
}

func (e *foreignError) Error() string { return ErrKind.Error() + ": " + e.what }
func (e *foreignError) Unwrap() error { return ErrKind }

// foreigners are kinds of files that are no input, such as disks and archives, by bytes at an
// offset. Package disk knows file systems.
var foreigners = []struct {
	offset int
	magic  string
	name   string
}{
	{0, "QFI\xfb", "a disk image of QEMU (qcow2)"},
	{0, "KDMV", "a disk image of VMware"},
	{0, "vhdxfile", "a disk image of Hyper-V"},
	{0x200, "EFI PART", "a disk with partitions (GPT)"},
	{0, "0707", "a cpio archive" + unpackIt},
	{0, "PK\x03\x04", "a zip archive" + unpackIt},
	{0, "!<arch>\n", "an ar archive, as Debian packages are" + unpackIt},
	{0, "\xed\xab\xee\xdb", "an RPM package" + unpackIt},
	{0, "7z\xbc\xaf\x27\x1c", "a 7z archive" + unpackIt},
	{0, "BZh", "compressed with bzip2" + decompressIt},
	{0, "\x04\x22\x4d\x18", "compressed with lz4" + decompressIt},
	{0, "\x5d\x00\x00", "compressed with lzma" + decompressIt},
	{0, "LZIP", "compressed with lzip" + decompressIt},
	{0, "\x7fELF", "a program (ELF)"},
	{510, "\x55\xaa", "a disk with partitions, or a boot sector"},
}

const (
	mountIt      = ": mount it and give the folder"
	unpackIt     = ": unpack it and give the folder"
	decompressIt = ": decompress it into mkimage -"
)

// foreign makes an ErrKind that says what a file with the first bytes head is, if that is known.
func foreign(head []byte) error {
	if name := disk.FileSystem(head); name != "" {
		return &foreignError{"it is " + name + mountIt, true}
	}
	for _, f := range foreigners {
		if len(head) >= f.offset+len(f.magic) && string(head[f.offset:][:len(f.magic)]) == f.magic {
			return &foreignError{what: "it is " + f.name}
		}
	}
	return ErrKind
}

// foreignDisk makes an ErrKind that says what lies on a disk. It gives nil when nothing is known
// about it.
func foreignDisk(r io.ReaderAt, size int64) error {
	what, err := disk.Describe(r, size)
	if err != nil || what == "" {
		return err
	}
	return &foreignError{what: what + ": mount the one that is meant and give the folder"}
}
