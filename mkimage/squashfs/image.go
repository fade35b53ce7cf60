package squashfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"sync"

	"deltaup/internal/disk"
	"deltaup/mkimage/tree"
)

// Image is an open image. It is safe for concurrent use; what it holds in memory
// is small caches of decompressed blocks, never tables or listings.
type Image struct {
	r     io.ReaderAt
	size  int64      // bytes of r
	place disk.Place // of the image in what Find was given
	used  int64      // superblock.BytesUsed
	info  Info
	codec decompressor
	root  inodeRef

	inodes    metaTable
	dirs      metaTable
	pairs     metaTable // of xattrs
	fragments lookupTable
	xattrIDs  lookupTable
	ids       []uint32

	metaCache     cache[int64, metaBlock]
	fragmentCache cache[int, []byte]
	xattrCache    cache[uint32, []tree.Xattr]
	buffers       sync.Pool // *[]byte of BlockSize bytes, for stored blocks
}

// What the caches of an image hold at most.
const (
	metaCacheBlocks    = 64
	fragmentCacheBytes = 1 << 20 // but two blocks at least
	xattrCacheSets     = 64
)

// Info is what the superblock tells, and the compressor's options.
type Info struct {
	Compression       string // "gzip", "xz", "lz4" or "zstd"
	compressorOptions []byte // as stored, nil when the image has none; layout by compressor
	BlockSize         int    // bytes
	ModTime           uint32 // of the image itself, seconds since 1970
	Inodes            int    // the highest inode number; each Node.Inode is from 1 to this
	Fragments         int    // fragment blocks
	IDs               int    // distinct owners and groups
	flags             uint16 // as stored
	// where the tables begin; in images of mksquashfs and of Writer all data lies before them
	Tables    int64
	BytesUsed int64 // end of the last table; padding may follow
}

// Open reads the superblock and the owners of the image in r. Size is how many bytes r has;
// an image may end before that, as in a partition. An image that is no squashfs 4.0 or has a
// compressor unknown here is ErrUnsupported, a damaged one ErrCorrupt.
func Open(r io.ReaderAt, size int64) (*Image, error) {
	m := &Image{r: r, size: size}
	if err := m.open(); err != nil {
		return nil, fmt.Errorf("open image: %w", err)
	}
	return m, nil
}

func (m *Image) open() error {
	s, err := m.readSuperblock()
	if err != nil {
		return err
	}
	name, codec, err := newDecompressor(s.Compressor)
	if err != nil {
		return err
	}
	m.codec, m.root, m.used = codec, inodeRef(s.RootInode), int64(s.BytesUsed)
	m.info = Info{
		Compression: name,
		BlockSize:   int(s.BlockSize),
		ModTime:     s.ModTime,
		Inodes:      int(s.Inodes),
		Fragments:   int(s.Fragments),
		IDs:         int(s.IDs),
		flags:       s.Flags,
		Tables:      int64(s.InodeTable),
		BytesUsed:   m.used,
	}
	m.metaCache.max = metaCacheBlocks
	m.fragmentCache.max = max(2, fragmentCacheBytes/m.info.BlockSize)
	m.xattrCache.max = xattrCacheSets
	m.buffers.New = func() any { b := make([]byte, m.info.BlockSize); return &b }
	if err := m.openTables(s); err != nil {
		return err
	}
	if s.Flags&flagOptions != 0 {
		b, err := m.metaBlock(superblockSize)
		if err != nil {
			return fmt.Errorf("compressor options: %w", err)
		}
		m.info.compressorOptions = slices.Clone(b.plain)
	}
	_, err = m.Lookup("")
	return err
}

func (m *Image) readSuperblock() (*superblock, error) {
	if m.size < superblockSize {
		return nil, fmt.Errorf("%w: %d bytes, a superblock has %d", ErrCorrupt, m.size,
			superblockSize)
	}
	var buf [superblockSize]byte
	if err := m.readFull(buf[:], 0); err != nil {
		return nil, err
	}
	s := new(superblock)
	if err := unmarshal(buf[:], s); err != nil {
		return nil, err
	}
	if s.Magic == bits.ReverseBytes32(superMagic) {
		return nil, fmt.Errorf("%w: big-endian, format version %d", ErrUnsupported,
			bits.ReverseBytes16(s.Major))
	}
	if err := s.validate(); err != nil {
		return nil, err
	}
	if s.BytesUsed > uint64(m.size) {
		return nil, fmt.Errorf("%w: %d bytes, its superblock says %d", ErrCorrupt, m.size,
			s.BytesUsed)
	}
	return s, nil
}

// openTables finds the tables and reads the owners, which are few.
func (m *Image) openTables(s *superblock) error {
	m.inodes = metaTable{"inode", int64(s.InodeTable), int64(s.DirTable)}
	m.dirs = metaTable{
		"directory",
		int64(s.DirTable),
		int64(min(s.FragmentTable, s.ExportTable, s.IDTable)),
	}
	m.fragments = lookupTable{
		"fragment",
		int64(s.FragmentTable),
		int64(s.Fragments),
		fragmentEntrySize,
	}
	if s.FragmentTable == noTable && s.Fragments != 0 {
		return fmt.Errorf("%w: %d fragment blocks and no fragment table", ErrCorrupt, s.Fragments)
	}
	if err := m.fragments.validate(m.used); err != nil {
		return err
	}
	if err := m.openXattrs(s); err != nil {
		return err
	}
	ids := lookupTable{"id", int64(s.IDTable), int64(s.IDs), idSize}
	if err := ids.validate(m.used); err != nil {
		return err
	}
	for int64(len(m.ids)) < ids.n {
		b, err := m.lookup(&ids, int64(len(m.ids)))
		if err != nil {
			return err
		}
		for ; len(b) >= idSize && int64(len(m.ids)) < ids.n; b = b[idSize:] {
			m.ids = append(m.ids, binary.LittleEndian.Uint32(b))
		}
	}
	return nil
}

// Info gives the superblock's facts.
func (m *Image) Info() Info {
	info := m.info
	info.compressorOptions = slices.Clone(info.compressorOptions)
	return info
}

// Start is where the image begins in what [Find] was given; 0 with [Open].
func (m *Image) Start() int64 { return m.place.Offset }

// Size is how many bytes there are from the image's start on; an image may end before that.
func (m *Image) Size() int64 { return m.size }

// ReadAt reads bytes as they are stored, from the image's start on.
func (m *Image) ReadAt(p []byte, off int64) (int, error) { return m.r.ReadAt(p, off) }

// Trailer gives what follows the last table, at most TrailerMax bytes, without the
// zero bytes at its end. In an image of unknown making that may be anything.
func (m *Image) Trailer() ([]byte, error) {
	buf := make([]byte, min(TrailerMax, m.size-m.used))
	if err := m.readFull(buf, m.used); err != nil {
		return nil, fmt.Errorf("trailer: %w", err)
	}
	return bytes.TrimRight(buf, "\x00"), nil
}

// Metadata streams what is stored of everything but data: the superblock, and from the first table
// to the end of the last one.
func (m *Image) Metadata() io.Reader {
	return io.MultiReader(
		io.NewSectionReader(m.r, 0, superblockSize),
		io.NewSectionReader(m.r, m.info.Tables, m.used-m.info.Tables))
}
