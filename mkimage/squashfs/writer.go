package squashfs

import (
	"errors"
	"fmt"
	"io"
	"math/bits"

	"deltaup/mkimage/tree"
)

// Compressor compresses the metadata of one image. One goroutine at a time calls its methods.
type Compressor interface {
	// ID is the compressor's number in the superblock, one of the constants Compressor….
	ID() uint16
	// Options is the content of the block of compressor options; nil: none.
	Options() []byte
	// Compress appends the compressed form of plain to dst. When it returns nil, or appends at
	// least len(plain) bytes, plain is stored as it is.
	Compress(dst, plain []byte) []byte
}

// Params are the parameters of an image.
type Params struct {
	BlockSize  int        // bytes of a data block: a power of two, BlockSizeMin to BlockSizeMax
	ModTime    uint32     // time of the image, in seconds since 1970
	Compressor Compressor // for metadata; callers compress data
	// Trailer gives at most TrailerMax bytes, which Finish writes behind the last table, before the
	// padding; nil: none.
	Trailer func() []byte
}

// TrailerMax is the largest trailer, in bytes.
const TrailerMax = 256

// Data says where the bytes of a regular file lie in the image.
type Data struct {
	Start    int64    // position of the first stored block; the others follow without gaps
	Lengths  []uint32 // a word for each block, see [LengthWord]
	Fragment uint32   // index of the fragment block with the tail, or NoFragment
	Offset   uint32   // offset of the tail in the plain fragment block
	Size     int64    // bytes of the file
	Holes    int64    // bytes of Size that are in holes
}

// Inode is one inode of the tree. Hard links are entries with the same *Inode, or with Inodes of the
// same ID.
type Inode struct {
	tree.Attr
	// ID, if it is not 0, tells inodes apart. Then Entry.List may make an Inode each time. IDs are
	// small numbers: the Writer keeps a list of as many as the highest.
	ID   int
	Data *Data // of a regular file; nil: an empty one
	// Hot, if it is not 0, makes the inode hot: hot inodes lie at the end of the inode table, in
	// ascending order of Hot. Directories above hot inodes are hot by themselves.
	Hot int
}

// Entry is one name of the tree. The name of the root is ignored.
type Entry struct {
	Name     string
	Inode    *Inode
	children []Entry // of a directory, strictly sorted by the bytes of their names
	// List, unless it is nil, gives children in the place of that field: the same whenever it is
	// called. So only those of the directories above an entry are in memory.
	List func() []Entry
}

// load makes the entry have its children, and unload gives them up.
func (e *Entry) load() {
	if e.List != nil && e.children == nil {
		e.children = e.List()
	}
}

func (e *Entry) unload() {
	if e.List != nil {
		e.children = nil
	}
}

// Writer writes one image: first its data, block by block, then with [Writer.Finish] everything
// else. It is not safe for concurrent use.
type Writer struct {
	out       io.WriterAt
	params    Params
	dataStart int64 // position of the first block
	end       int64 // position of the next write
	fragments []fragmentEntry
	finished  bool
}

// errFinished is the error of a Writer after Finish.
var errFinished = errors.New("squashfs writer: already finished")

// NewWriter returns a Writer of an image in out. It writes nothing itself. The Writer writes every
// byte up to the image's size, so that it does not matter what out held before, and the superblock,
// bytes 0 to 96, last of all.
func NewWriter(out io.WriterAt, p Params) (*Writer, error) {
	switch {
	case !validBlockSize(int64(p.BlockSize)):
		return nil, fmt.Errorf("squashfs writer: block size %d is no power of two from %d to %d",
			p.BlockSize, BlockSizeMin, BlockSizeMax)
	case p.Compressor == nil || p.Compressor.ID() < compressorGzip || p.Compressor.ID() > CompressorZstd:
		return nil, errors.New("squashfs writer: no compressor that the format knows")
	}
	w := &Writer{out: out, params: p, dataStart: superblockSize}
	if n := len(p.Compressor.Options()); n > metaBlockSize {
		return nil, fmt.Errorf("squashfs writer: compressor options of %d bytes, at most %d", n,
			metaBlockSize)
	} else if n > 0 {
		w.dataStart += metaHeaderSize + int64(n)
	}
	w.end = w.dataStart
	return w, nil
}

// WriteBlock writes one stored data block, of 1 to BlockSize bytes, and returns its position.
func (w *Writer) WriteBlock(stored []byte) (offset int64, err error) {
	if w.finished {
		return 0, errFinished
	}
	if len(stored) == 0 || len(stored) > w.params.BlockSize {
		return 0, fmt.Errorf("squashfs writer: block of %d stored bytes, want 1 to %d", len(stored),
			w.params.BlockSize)
	}
	offset = w.end
	return offset, w.append(stored)
}

// WriteFragment writes one stored fragment block, of 1 to BlockSize bytes, and returns its index in
// the fragment table.
func (w *Writer) WriteFragment(stored []byte, compressed bool) (index uint32, err error) {
	if int64(len(w.fragments)) >= int64(NoFragment) {
		return 0, errors.New("squashfs writer: too many fragment blocks")
	}
	offset, err := w.WriteBlock(stored)
	if err != nil {
		return 0, err
	}
	w.fragments = append(w.fragments, fragmentEntry{
		Start:  uint64(offset),
		Length: LengthWord(len(stored), compressed),
	})
	return uint32(len(w.fragments) - 1), nil
}

// End is the position of the next block.
func (w *Writer) End() int64 { return w.end }

// append writes p behind everything that was written before.
func (w *Writer) append(p []byte) error {
	if _, err := w.out.WriteAt(p, w.end); err != nil {
		return fmt.Errorf("write image at byte %d: %w", w.end, err)
	}
	w.end += int64(len(p))
	return nil
}

// Finish writes all metadata of the tree below root, the padding and last of all, in one call, the
// superblock. It returns the image's size in bytes, a multiple of PadSize. It checks the tree
// before it writes anything; an error about the tree names the path. The Writer cannot be used
// afterwards.
func (w *Writer) Finish(root *Entry) (size int64, err error) {
	if w.finished {
		return 0, errFinished
	}
	w.finished = true
	f := newFinisher(w)
	if err := f.plan(root); err != nil {
		return 0, fmt.Errorf("squashfs writer: %w", err)
	}
	sb := superblock{
		Magic:      superMagic,
		Inodes:     uint32(len(f.nodes)),
		ModTime:    w.params.ModTime,
		BlockSize:  uint32(w.params.BlockSize),
		Fragments:  uint32(len(w.fragments)),
		Compressor: w.params.Compressor.ID(),
		BlockLog:   uint16(bits.TrailingZeros(uint(w.params.BlockSize))),
		// No reader relies on these two flags. mksquashfs sets them by default too.
		Flags: flagExport | flagDuplicates,
		IDs:   uint16(len(f.ids.list)),
		Major: versionMajor,
		Minor: versionMinor,
	}
	if err := f.writeTables(root, &sb); err != nil {
		return 0, fmt.Errorf("squashfs writer: %w", err)
	}
	if err := sb.validate(); err != nil {
		return 0, fmt.Errorf("squashfs writer: superblock: %w", err)
	}
	return w.close(&sb)
}

// close writes the compressor options, the trailer with the padding, and the superblock.
func (w *Writer) close(sb *superblock) (size int64, err error) {
	if options := w.params.Compressor.Options(); len(options) > 0 {
		sb.Flags |= flagOptions
		b := marshal(nil, metaHeader(len(options), false))
		if _, err := w.out.WriteAt(append(b, options...), superblockSize); err != nil {
			return 0, fmt.Errorf("write image at byte %d: %w", superblockSize, err)
		}
	}
	var trailer []byte
	if w.params.Trailer != nil {
		trailer = w.params.Trailer()
	}
	if len(trailer) > TrailerMax {
		return 0, fmt.Errorf("squashfs writer: trailer of %d bytes, at most %d", len(trailer),
			TrailerMax)
	}
	size = (w.end + int64(len(trailer)) + PadSize - 1) / PadSize * PadSize
	padding := make([]byte, size-w.end)
	copy(padding, trailer)
	if err := w.append(padding); err != nil {
		return 0, err
	}
	if _, err := w.out.WriteAt(marshal(nil, sb), 0); err != nil {
		return 0, fmt.Errorf("write image at byte 0: %w", err)
	}
	return size, nil
}
