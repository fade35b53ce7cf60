package squashfs

import (
	"io"
	"iter"
)

// Image is an open image. It is safe for concurrent use; what it holds in memory
// is small caches of decompressed blocks, never tables or listings.
type Image struct{}

// Info is what the superblock tells, and the compressor's options.
type Info struct {
	Compression       string // "gzip", "xz", "lz4" or "zstd"
	CompressorOptions []byte // as stored, nil when the image has none; layout by compressor
	BlockSize         int    // bytes
	ModTime           uint32 // of the image itself, seconds since 1970
	Inodes            int    // the highest inode number; each Node.Inode is from 1 to this
	Fragments         int    // fragment blocks
	IDs               int    // distinct owners and groups
	Flags             uint16 // as stored
	BytesUsed         int64  // end of the last table; padding may follow
}

// Node is one name in an image, with the inode behind it.
type Node struct {
	Attr
	Path  string // "" for the root, else slash-separated without leading slash: "usr/bin/env"
	Inode uint32 // number; names of one file (hard links) share it
	Links uint32
	Size  int64 // regular files: bytes; 0 for all else
}

// StatSize is the size that the kernel's stat gives: of a directory its
// listing as the format counts it, of a symbolic link its target's length.
func (n *Node) StatSize() int64 { panic("unbuilt") }

// Open reads the superblock and the owners of the image in r. Size is how many bytes r has;
// an image may end before that, as in a partition.
func Open(r io.ReaderAt, size int64) (*Image, error) { panic("unbuilt") }

// Info gives the superblock's facts.
func (m *Image) Info() Info { panic("unbuilt") }

// Trailer gives the bytes between the last table and the end of the padding,
// at most 256, without the zero bytes at their end.
func (m *Image) Trailer() ([]byte, error) { panic("unbuilt") }

// Walk calls fn for every name, depth first, the names of a directory in byte order, a
// directory before what is in it. Hard links come once per name. An
// fs.SkipDir from fn leaves out the directory (or, from another type, the rest of the
// directory it is in), fs.SkipAll ends the walk; any other error is returned as it is.
func (m *Image) Walk(fn func(n *Node) error) error { panic("unbuilt") }

// WalkFrom is Walk of the subtree below n, n included.
func (m *Image) WalkFrom(n *Node, fn func(n *Node) error) error { panic("unbuilt") }

// Lookup finds one path, written as in Node.Path; symbolic links are not followed. It
// wraps fs.ErrNotExist when there is none.
func (m *Image) Lookup(path string) (*Node, error) { panic("unbuilt") }

// Blocks gives a regular file's data blocks in order, holes included, without
// the tail that lies in a fragment. It reads the list as it goes: the list of a huge
// sparse file is never in memory. After an error nothing follows.
func (m *Image) Blocks(n *Node) iter.Seq2[Block, error] { panic("unbuilt") }

// Fragment tells where the tail of a regular file lies: in which fragment block, and
// from which of its plain bytes on. The tail is Size modulo the block size bytes long.
func (m *Image) Fragment(n *Node) (index, offset int, ok bool) { panic("unbuilt") }

// FragmentBlock gives fragment block index. How many plain bytes it holds is known only
// after decompression: Size is the block size.
func (m *Image) FragmentBlock(index int) (Block, error) { panic("unbuilt") }

// ReadStored appends a block's bytes, as they lie in the image, to dst. A hole has none.
func (m *Image) ReadStored(b Block, dst []byte) ([]byte, error) { panic("unbuilt") }

// ReadBlock appends a block's plain bytes to dst: b.Size of them, or fewer for a fragment block.
func (m *Image) ReadBlock(b Block, dst []byte) ([]byte, error) { panic("unbuilt") }

// File opens a regular file's content. Nothing needs closing.
func (m *Image) File(n *Node) (*File, error) { panic("unbuilt") }

// File is the content of a regular file. It implements io.ReaderAt and is safe for
// concurrent use; it keeps the block that it read last, so that reading in order (through
// io.NewSectionReader) decompresses each block once.
type File struct{}

// Size is the content's length in bytes.
func (f *File) Size() int64 { panic("unbuilt") }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (int, error) { panic("unbuilt") }
