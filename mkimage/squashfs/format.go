package squashfs

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// The records of the format are in this file and its neighbours format_*.go. The fixed part of each
// record is a struct, whose fields in order, little-endian and without padding, are the bytes of
// the record. marshal and unmarshal encode and decode all of them. A comment says what follows the
// fixed part, such as names, targets and block lists, and a method bounds it.
//
// Sources: fs/squashfs/squashfs_fs.h of Linux; doc/format.adoc of squashfs-tools-ng.

// Sizes of the fixed parts, in bytes.
const (
	superblockSize    = 96
	metaHeaderSize    = 2
	dirHeaderSize     = 12
	dirEntrySize      = 8
	dirIndexSize      = 12
	fragmentEntrySize = 16
	inodeRefSize      = 8 // bytes of an entry of the export table
	idSize            = 4 // bytes of an entry of the id table
	locationSize      = 8 // bytes of the absolute position of one metadata block of a lookup table
	xattrKeySize      = 4
	xattrValueSize    = 4
	// bytes of the reference that an out-of-line value has in place of its bytes
	xattrRefSize   = 8
	xattrIDSize    = 16
	xattrTableSize = 16
)

const (
	superMagic   = 0x73717368 // "hsqs" on disk
	versionMajor = 4
	versionMinor = 0
)

// Values that mean "none".
const (
	NoFragment uint32 = 0xffffffff         // a file without a tail in a fragment block
	noXattr    uint32 = 0xffffffff         // an inode without extended attributes
	noTable    uint64 = 0xffffffffffffffff // a table that the image does not have
)

// Numbers of compressors in the superblock.
const (
	compressorGzip uint16 = 1 // bare zlib streams
	compressorLZMA uint16 = 2
	compressorLZO  uint16 = 3
	compressorXZ   uint16 = 4
	compressorLZ4  uint16 = 5
	CompressorZstd uint16 = 6
)

// Flags of the superblock. Readers need only flagOptions. The others say how an image was made.
const (
	flagPlainInodes    uint16 = 1 << 0
	flagPlainData      uint16 = 1 << 1
	flagPlainFragments uint16 = 1 << 3
	flagNoFragments    uint16 = 1 << 4
	// fragment blocks also have tails of files larger than a block
	flagAllFragments uint16 = 1 << 5
	flagDuplicates   uint16 = 1 << 6 // equal files are stored once
	flagExport       uint16 = 1 << 7 // there is an export table
	flagPlainXattrs  uint16 = 1 << 8
	flagNoXattrs     uint16 = 1 << 9
	// compressor options follow the superblock, as one plain metadata block
	flagOptions  uint16 = 1 << 10
	flagPlainIDs uint16 = 1 << 11
)

// superblock is the first 96 bytes of an image. Positions are absolute, in bytes; noTable means
// that there is no such table.
type superblock struct {
	Magic         uint32 // superMagic
	Inodes        uint32 // number of inodes
	ModTime       uint32 // time of the image, in seconds since 1970
	BlockSize     uint32 // bytes of a data block: a power of two, 4 KiB to 1 MiB
	Fragments     uint32 // entries of the fragment table
	Compressor    uint16 // Compressor…
	BlockLog      uint16 // log2 of BlockSize
	Flags         uint16 // flag…
	IDs           uint16 // entries of the id table, at least 1
	Major         uint16 // versionMajor
	Minor         uint16 // versionMinor
	RootInode     uint64 // inodeRef of the root directory's inode
	BytesUsed     uint64 // end of the last table; padding follows
	IDTable       uint64 // position of the list of the id table's blocks
	XattrTable    uint64 // position of the xattrTable record, or noTable
	InodeTable    uint64 // position of the first metadata block of inodes
	DirTable      uint64 // position of the first metadata block of listings
	FragmentTable uint64 // position of the list of the fragment table's blocks, or noTable
	ExportTable   uint64 // position of the list of the export table's blocks, or noTable
}

// validate checks what can be checked without the rest of the image. The error for another version
// wraps ErrUnsupported, other errors wrap ErrCorrupt.
func (s *superblock) validate() error {
	switch {
	case s.Magic != superMagic:
		return fmt.Errorf("%w: magic is %#08x, want %#08x", ErrCorrupt, s.Magic, superMagic)
	case s.Major != versionMajor || s.Minor != versionMinor:
		return fmt.Errorf("%w: format version %d.%d, want %d.%d", ErrUnsupported, s.Major, s.Minor,
			versionMajor, versionMinor)
	case !validBlockSize(int64(s.BlockSize)) || bits.TrailingZeros32(s.BlockSize) != int(s.BlockLog):
		return fmt.Errorf("%w: block size %d with logarithm %d", ErrCorrupt, s.BlockSize,
			s.BlockLog)
	case s.Compressor < compressorGzip || s.Compressor > CompressorZstd:
		return fmt.Errorf("%w: compressor number %d", ErrUnsupported, s.Compressor)
	case s.Inodes == 0 || s.IDs == 0:
		return fmt.Errorf("%w: %d inodes, %d ids", ErrCorrupt, s.Inodes, s.IDs)
	case s.BytesUsed < superblockSize || s.BytesUsed > 1<<62:
		return fmt.Errorf("%w: %d bytes used", ErrCorrupt, s.BytesUsed)
	}
	// The kernel demands this order too.
	end := s.BytesUsed
	for _, t := range []struct {
		name     string
		start    uint64
		optional bool
	}{
		{"xattr", s.XattrTable, true},
		{"id", s.IDTable, false},
		{"export", s.ExportTable, true},
		{"fragment", s.FragmentTable, true},
		{"directory", s.DirTable, false},
		{"inode", s.InodeTable, false},
	} {
		if t.optional && t.start == noTable {
			continue
		}
		if t.start > end || t.start < superblockSize {
			return fmt.Errorf("%w: %s table at %d, outside %d..%d", ErrCorrupt, t.name, t.start,
				superblockSize, end)
		}
		end = t.start
	}
	return nil
}

func validBlockSize(n int64) bool {
	return n >= BlockSizeMin && n <= BlockSizeMax && n&(n-1) == 0
}

// metaPlain is set in the 2-byte header of a metadata block that is stored plain. The other bits
// are the number of stored bytes that follow.
const metaPlain uint16 = 1 << 15

// metaHeader encodes the header of a metadata block of n stored bytes.
func metaHeader(n int, compressed bool) uint16 {
	if compressed {
		return uint16(n)
	}
	return uint16(n) | metaPlain
}

// parseMetaHeader decodes the header of a metadata block. n is the number of stored bytes that
// follow, 1 to metaBlockSize.
func parseMetaHeader(h uint16) (n int, compressed bool, err error) {
	n = int(h &^ metaPlain)
	if n == 0 || n > metaBlockSize {
		return 0, false, fmt.Errorf("%w: metadata block of %d stored bytes", ErrCorrupt, n)
	}
	return n, h&metaPlain == 0, nil
}

// blockPlain is set in the length word of a block that is stored plain.
const blockPlain uint32 = 1 << 24

// LengthWord encodes the length of a data or fragment block of stored bytes; 0 means a hole.
func LengthWord(stored int, compressed bool) uint32 {
	if compressed || stored == 0 {
		return uint32(stored)
	}
	return uint32(stored) | blockPlain
}

// parseLengthWord decodes a length word. stored is at most blockSize, and 0 for a hole.
func parseLengthWord(w uint32, blockSize int) (stored int, compressed bool, err error) {
	n := w &^ blockPlain
	if n > uint32(blockSize) {
		return 0, false, fmt.Errorf("%w: block of %d stored bytes, block size %d", ErrCorrupt, n,
			blockSize)
	}
	return int(n), w&blockPlain == 0, nil
}

// inodeRef is a reference into metadata. The upper 48 bits, of which Linux reads 32, are the
// position of the metadata block, relative to its table. The lower 16 bits are the offset in the
// plain block.
type inodeRef uint64

func makeRef(block int64, offset int) inodeRef { return inodeRef(block<<16 | int64(offset)) }

// block is the position of the metadata block, relative to its table.
func (r inodeRef) block() int64 { return int64(r >> 16) }

// offset is the offset in the plain block. It is valid below metaBlockSize.
func (r inodeRef) offset() int { return int(r & 0xffff) }

// marshal appends the fixed part r, a pointer to a record's struct, to b.
func marshal(b []byte, r any) []byte {
	b, err := binary.Append(b, binary.LittleEndian, r)
	if err != nil {
		panic(err) // r has no fixed size
	}
	return b
}

// unmarshal fills r, a pointer to a record's struct, from the first bytes of b.
func unmarshal(b []byte, r any) error {
	if _, err := binary.Decode(b, binary.LittleEndian, r); err != nil {
		return fmt.Errorf("%w: %d bytes, %T has %d", ErrCorrupt, len(b), r, binary.Size(r))
	}
	return nil
}
