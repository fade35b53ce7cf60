package squashfs

import "io"

// Compressor compresses data of one image. Its methods are called from one goroutine at a time.
type Compressor interface {
	// ID is the compressor's number in the superblock, one of Compressor….
	ID() uint16
	// Options is the payload of the compressor options block, nil for none.
	Options() []byte
	// Compress appends the compressed form of plain to dst. When it returns nil, or
	// appends no less than len(plain) bytes, plain is stored as it is.
	Compress(dst, plain []byte) []byte
}

// Params is what an image's writer must know beforehand.
type Params struct {
	BlockSize  int        // bytes of a data block: a power of two, BlockSizeMin to BlockSizeMax
	ModTime    uint32     // of the image, seconds since 1970
	Compressor Compressor // for metadata; data come compressed
	Trailer    []byte     // written behind the last table, within the padding; at most TrailerMax bytes
}

// TrailerMax is the largest trailer, in bytes.
const TrailerMax = 256

// Data says where a regular file's bytes lie in the image.
type Data struct {
	Start    int64    // position of the first stored block; the others follow without gaps
	Lengths  []uint32 // a word for each block, see [LengthWord]
	Fragment uint32   // index of the fragment block with the tail, or NoFragment
	Offset   uint32   // of the tail in the plain fragment block
	Size     int64    // bytes of the file
	Holes    int64    // bytes of Size that are in holes
}

// Inode is one object of the tree. Hard links are several entries with the same *Inode.
type Inode struct {
	Attr
	Data *Data // regular files; nil for an empty one
}

// Entry is one name of the tree. The root's name is not looked at.
type Entry struct {
	Name     string
	Inode    *Inode
	Children []Entry // directories: strictly sorted by the bytes of their names
}

// Writer lays out one image: first its data, block by block, then with [Writer.Finish]
// all else. It is not for concurrent use.
type Writer struct{}

// NewWriter prepares an image in out. Nothing is written before the first block;
// bytes 0 to 96, the superblock, are written last of all. Whatever out held there
// before makes no difference to the image.
func NewWriter(out io.WriterAt, p Params) (*Writer, error) { panic("unbuilt") }

// WriteBlock appends one stored data block and returns its position.
func (w *Writer) WriteBlock(stored []byte) (offset int64, err error) { panic("unbuilt") }

// WriteFragment appends one stored fragment block, enters it in the fragment table and returns its index.
func (w *Writer) WriteFragment(stored []byte, compressed bool) (index uint32, err error) {
	panic("unbuilt")
}

// Finish writes all metadata of the tree below root, the padding and at the very
// last, in one call, the superblock. It returns the image's size in bytes, a multiple of PadSize.
func (w *Writer) Finish(root *Entry) (size int64, err error) { panic("unbuilt") }
