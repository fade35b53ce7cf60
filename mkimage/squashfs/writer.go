package squashfs

import (
	"errors"
	"fmt"
	"io"
	"math/bits"

	"deltaup/mkimage/tree"
)

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
	// gives what lies behind the last table, within the padding: at most TrailerMax bytes; called
	// by Finish; nil: nothing
	Trailer func() []byte
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
	tree.Attr
	Data *Data // regular files; nil for an empty one
	// not 0: lies with all that is hot at the end of the inode table, in ascending order; not for
	// directories, which follow from what is in them
	Hot int
}

// Entry is one name of the tree. The root's name is not looked at.
type Entry struct {
	Name     string
	Inode    *Inode
	Children []Entry // directories: strictly sorted by the bytes of their names
}

// Writer lays out one image: first its data, block by block, then with [Writer.Finish]
// all else. It is not for concurrent use.
type Writer struct {
	out       io.WriterAt
	params    Params
	dataStart int64 // where the first block lies
	end       int64 // where the next write goes
	fragments []fragmentEntry
	finished  bool
}

// errFinished is what a Writer answers after Finish.
var errFinished = errors.New("squashfs writer: already finished")

// NewWriter prepares an image in out. Nothing is written before the first block;
// bytes 0 to 96, the superblock, are written last of all. All bytes up to the
// image's size are written, so what out held before makes no difference.
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

// WriteBlock appends one stored data block, 1 to BlockSize bytes, and returns its position.
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

// WriteFragment appends one stored fragment block, 1 to BlockSize bytes, enters it
// in the fragment table and returns its index there.
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

// End is where the next block will lie.
func (w *Writer) End() int64 { return w.end }

// append writes p behind all that was written before.
func (w *Writer) append(p []byte) error {
	if _, err := w.out.WriteAt(p, w.end); err != nil {
		return fmt.Errorf("write image at byte %d: %w", w.end, err)
	}
	w.end += int64(len(p))
	return nil
}

// Finish writes all metadata of the tree below root, the padding and at the very
// last, in one call, the superblock. It returns the image's size in bytes, a
// multiple of PadSize. The tree is checked before anything is written; an
// error about it names the path. The Writer can't be used afterwards.
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
		// The two flags promise nothing that a reader relies on; mksquashfs sets them by default as
		// well.
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
