package squashfs

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// The on-disk records, in this file and its neighbours format_*.go. Each fixed
// part is a struct whose fields, in order, without padding and little endian, are the
// bytes of the record; marshal and unmarshal serve all of them. What follows a
// fixed part (names, targets, block lists) is told by a comment and bounded by the
// record's validate.
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
	inodeRefSize      = 8 // an entry of the export table
	idSize            = 4 // an entry of the id table
	locationSize      = 8 // absolute position of one metadata block of a lookup table
	xattrKeySize      = 4
	xattrValueSize    = 4
	xattrRefSize      = 8 // what an out-of-line value has in place of its bytes
	xattrIDSize       = 16
	xattrTableSize    = 16
)

const (
	superMagic   = 0x73717368 // "hsqs" on disk
	versionMajor = 4
	versionMinor = 0
)

// Values that say "none".
const (
	NoFragment uint32 = 0xffffffff         // a file without a tail in a fragment block
	noXattr    uint32 = 0xffffffff         // an inode without extended attributes
	noTable    uint64 = 0xffffffffffffffff // a table that the image does not have
)

// Compressors, as numbered in the superblock.
const (
	compressorGzip uint16 = 1 // bare zlib streams
	compressorLZMA uint16 = 2
	compressorLZO  uint16 = 3
	compressorXZ   uint16 = 4
	compressorLZ4  uint16 = 5
	CompressorZstd uint16 = 6
)

// Superblock flags. Readers need only flagOptions; the others tell how an image was made.
const (
	flagPlainInodes    uint16 = 1 << 0
	flagPlainData      uint16 = 1 << 1
	flagPlainFragments uint16 = 1 << 3
	flagNoFragments    uint16 = 1 << 4
	flagAllFragments   uint16 = 1 << 5 // tails of files larger than a block are packed too
	flagDuplicates     uint16 = 1 << 6 // equal files are stored once
	flagExport         uint16 = 1 << 7 // there is an export table
	flagPlainXattrs    uint16 = 1 << 8
	flagNoXattrs       uint16 = 1 << 9
	// compressor options follow the superblock, as one plain metadata block
	flagOptions  uint16 = 1 << 10
	flagPlainIDs uint16 = 1 << 11
)

// superblock is the first 96 bytes of an image. Positions are absolute, noTable where there is
// none.
type superblock struct {
	Magic         uint32 // superMagic
	Inodes        uint32 // number of inodes
	ModTime       uint32 // of the image, seconds since 1970
	BlockSize     uint32 // bytes of a data block: a power of two, 4 KiB to 1 MiB
	Fragments     uint32 // entries of the fragment table
	Compressor    uint16 // Compressor…
	BlockLog      uint16 // log2 of BlockSize
	Flags         uint16 // flag…
	IDs           uint16 // entries of the id table, at least 1
	Major         uint16 // versionMajor
	Minor         uint16 // versionMinor
	RootInode     uint64 // reference (see inodeRef) to the root directory's inode
	BytesUsed     uint64 // where the last table ends; padding follows
	IDTable       uint64 // list of the id table's block locations
	XattrTable    uint64 // the xattrTable record, or noTable
	InodeTable    uint64 // first metadata block of the inodes
	DirTable      uint64 // first metadata block of the directories
	FragmentTable uint64 // list of the fragment table's block locations, or noTable
	ExportTable   uint64 // list of the export table's block locations, or noTable
}

// validate checks all that can be checked without the rest of the image. A wrong
// version or compressor is ErrUnsupported, all else ErrCorrupt.
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
	// The kernel insists on this order too.
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

// metaPlain is set in a metadata block's 2-byte header when the block is stored
// plain; the other bits are the number of stored bytes that follow.
const metaPlain uint16 = 1 << 15

// metaHeader makes the header of a metadata block of n stored bytes.
func metaHeader(n int, compressed bool) uint16 {
	if compressed {
		return uint16(n)
	}
	return uint16(n) | metaPlain
}

// parseMetaHeader gives the stored bytes that follow a metadata block's header, 1 to metaBlockSize.
func parseMetaHeader(h uint16) (n int, compressed bool, err error) {
	n = int(h &^ metaPlain)
	if n == 0 || n > metaBlockSize {
		return 0, false, fmt.Errorf("%w: metadata block of %d stored bytes", ErrCorrupt, n)
	}
	return n, h&metaPlain == 0, nil
}

// blockPlain is set in a length word when the block is stored plain.
const blockPlain uint32 = 1 << 24

// LengthWord makes the on-disk word for a data or fragment block of stored bytes;
// 0 is a hole.
func LengthWord(stored int, compressed bool) uint32 {
	if compressed || stored == 0 {
		return uint32(stored)
	}
	return uint32(stored) | blockPlain
}

// parseLengthWord takes a length word apart; stored is 0 for a hole and at most blockSize.
func parseLengthWord(w uint32, blockSize int) (stored int, compressed bool, err error) {
	stored = int(w &^ blockPlain)
	if stored > blockSize {
		return 0, false, fmt.Errorf("%w: block of %d stored bytes, block size %d", ErrCorrupt,
			stored, blockSize)
	}
	return stored, w&blockPlain == 0, nil
}

// inodeRef is a reference into metadata: where the metadata block starts, relative to its table, in
// the upper 48 bits (of which Linux reads 32); the offset in the plain block in the lower 16.
type inodeRef uint64

func makeRef(block int64, offset int) inodeRef { return inodeRef(block<<16 | int64(offset)) }

// block is the metadata block's position relative to its table.
func (r inodeRef) block() int64 { return int64(r >> 16) }

// offset is the position in the plain block; valid below metaBlockSize.
func (r inodeRef) offset() int { return int(r & 0xffff) }

// marshal appends the fixed part r, a pointer to one of the record structs.
func marshal(b []byte, r any) []byte {
	b, err := binary.Append(b, binary.LittleEndian, r)
	if err != nil {
		panic(err) // r is no fixed-size struct
	}
	return b
}

// unmarshal fills r, a pointer to one of the record structs, from the first bytes of b.
func unmarshal(b []byte, r any) error {
	if _, err := binary.Decode(b, binary.LittleEndian, r); err != nil {
		return fmt.Errorf("%w: %d bytes, %T has %d", ErrCorrupt, len(b), r, binary.Size(r))
	}
	return nil
}
