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

// Image is an open image. It is safe for concurrent use. In memory it holds the owners and small
// caches of decompressed blocks, but no other tables or listings.
type Image struct {
	r     io.ReaderAt
	size  int64      // bytes of r
	place disk.Place // place of the image in the reader that Find was given
	used  int64      // superblock.BytesUsed
	info  Info
	codec decompressor
	root  inodeRef

	inodes    metaTable
	dirs      metaTable
	pairs     metaTable // metadata of xattr pairs
	fragments lookupTable
	xattrIDs  lookupTable
	ids       []uint32

	metaCache     cache[int64, metaBlock]
	fragmentCache cache[int, []byte]
	xattrCache    cache[uint32, []tree.Xattr]
	buffers       sync.Pool // *[]byte of BlockSize bytes, for stored blocks
}

// Limits of the caches of an image.
const (
	metaCacheBlocks    = 64
	fragmentCacheBytes = 1 << 20 // but at least two blocks
	xattrCacheSets     = 64
)

// Info has the facts in the superblock and the options of the compressor.
type Info struct {
	Compression       string // "gzip", "xz", "lz4" or "zstd"
	compressorOptions []byte // as stored, in the compressor's layout; nil: none
	BlockSize         int    // bytes
	ModTime           uint32 // time of the image itself, in seconds since 1970
	Inodes            int    // the highest inode number; each Node.Inode is from 1 to this
	Fragments         int    // number of fragment blocks
	IDs               int    // number of distinct owners and groups
	flags             uint16 // as stored
	// Tables is where the tables begin. In images of mksquashfs and of Writer all data lies before.
	Tables    int64
	BytesUsed int64 // end of the last table; padding may follow
}

// Open opens the image in r, which has size bytes. The image may end before that, as in a
// partition. Open reads the superblock and the owners. Its error wraps ErrUnsupported for an image
// that is no squashfs 4.0 or has an unknown compressor, and ErrCorrupt for a damaged image.
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

// openTables finds the tables, and reads the owners, which are few.
func (m *Image) openTables(s *superblock) error {
	m.inodes = metaTable{"inode", int64(s.InodeTable), int64(s.DirTable)}
	m.dirs = metaTable{
		"directory",
		int64(s.DirTable),
		int64(min(s.FragmentTable, s.ExportTable, s.IDTable)),
	}
	m.fragments = lookupTable{
		name: "fragment",
		list: int64(s.FragmentTable),
		n:    int64(s.Fragments),
		size: fragmentEntrySize,
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
	ids := lookupTable{name: "id", list: int64(s.IDTable), n: int64(s.IDs), size: idSize}
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

// Info gives facts about the image.
func (m *Image) Info() Info {
	info := m.info
	info.compressorOptions = slices.Clone(info.compressorOptions)
	return info
}

// Start is the offset of the image in the reader that [Find] was given; 0 with [Open].
func (m *Image) Start() int64 { return m.place.Offset }

// Size is how many bytes the reader has from the image's start on. The image may end before that.
func (m *Image) Size() int64 { return m.size }

// ReadAt reads stored bytes. Offsets count from the image's start.
func (m *Image) ReadAt(p []byte, off int64) (int, error) { return m.r.ReadAt(p, off) }

// Trailer gives the bytes behind the last table, at most TrailerMax, without the zeros at their
// end. In an image that [Writer] did not make these may be anything.
func (m *Image) Trailer() ([]byte, error) {
	buf := make([]byte, min(TrailerMax, m.size-m.used))
	if err := m.readFull(buf, m.used); err != nil {
		return nil, fmt.Errorf("trailer: %w", err)
	}
	return bytes.TrimRight(buf, "\x00"), nil
}

// Metadata reads the stored bytes of everything except data: the superblock, then all tables.
func (m *Image) Metadata() io.Reader {
	return io.MultiReader(
		io.NewSectionReader(m.r, 0, superblockSize),
		io.NewSectionReader(m.r, m.info.Tables, m.used-m.info.Tables))
}
