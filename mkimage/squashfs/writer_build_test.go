package squashfs

import (
	"bytes"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/mkimage/tree"

	"github.com/klauspost/compress/zstd"
)

// zstdCompressor makes frames that a kernel reads: without a checksum, with a window no larger than
// the block.
type zstdCompressor struct{ *zstd.Encoder }

func newZstd(t testing.TB) zstdCompressor {
	t.Helper()
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithSingleSegment(true))
	if err != nil {
		t.Fatal(err)
	}
	return zstdCompressor{e}
}

func (z zstdCompressor) ID() uint16                        { return CompressorZstd }
func (z zstdCompressor) Options() []byte                   { return nil }
func (z zstdCompressor) Compress(dst, plain []byte) []byte { return z.EncodeAll(plain, dst) }

// plainCompressor stores everything plain and has an options block.
type plainCompressor struct{}

func (plainCompressor) ID() uint16                        { return compressorGzip }
func (plainCompressor) Options() []byte                   { return []byte{9, 0, 0, 0, 15, 0, 0, 0} }
func (plainCompressor) Compress(dst, plain []byte) []byte { return nil }

// memory is an image in memory, over bytes that are not zero before. It notes the writes in order.
type memory struct {
	b      []byte
	writes [][2]int64 // start, end
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	end := off + int64(len(p))
	for int64(len(m.b)) < end {
		m.b = append(m.b, 0xee)
	}
	m.writes = append(m.writes, [2]int64{off, end})
	return copy(m.b[off:], p), nil
}

// builder makes simple images: blocks in the order of calls, tails in fragment blocks that it
// closes when they are full, blocks of zeros as holes.
type builder struct {
	t    testing.TB
	w    *Writer
	tail []byte // the open fragment block
}

func newBuilder(t testing.TB, out io.WriterAt, p Params) *builder {
	t.Helper()
	if p.BlockSize == 0 {
		p.BlockSize = 128 << 10
	}
	if p.Compressor == nil {
		p.Compressor = newZstd(t)
	}
	w, err := NewWriter(out, p)
	if err != nil {
		t.Fatal(err)
	}
	return &builder{t: t, w: w}
}

// file writes the content of one file. The tail goes into a fragment block.
func (b *builder) file(content []byte) *Data {
	b.t.Helper()
	blockSize := b.w.params.BlockSize
	d := &Data{Fragment: NoFragment, Size: int64(len(content))}
	for ; len(content) >= blockSize; content = content[blockSize:] {
		b.block(d, content[:blockSize])
	}
	if len(content) == 0 {
		return d
	}
	if len(b.tail)+len(content) > blockSize {
		b.flush()
	}
	d.Fragment, d.Offset = uint32(len(b.w.fragments)), uint32(len(b.tail))
	b.tail = append(b.tail, content...)
	return d
}

// block appends one block to d.
func (b *builder) block(d *Data, plain []byte) {
	b.t.Helper()
	if bytes.Count(plain, []byte{0}) == len(plain) {
		d.Lengths = append(d.Lengths, 0)
		d.Holes += int64(len(plain))
		return
	}
	stored, compressed := b.compress(plain)
	at, err := b.w.WriteBlock(stored)
	if err != nil {
		b.t.Fatal(err)
	}
	if d.Start == 0 {
		d.Start = at
	}
	d.Lengths = append(d.Lengths, LengthWord(len(stored), compressed))
}

func (b *builder) compress(plain []byte) (stored []byte, compressed bool) {
	stored = b.w.params.Compressor.Compress(nil, plain)
	if len(stored) == 0 || len(stored) >= len(plain) {
		return plain, false
	}
	return stored, true
}

// flush closes the open fragment block.
func (b *builder) flush() {
	b.t.Helper()
	if len(b.tail) == 0 {
		return
	}
	stored, compressed := b.compress(b.tail)
	if _, err := b.w.WriteFragment(stored, compressed); err != nil {
		b.t.Fatal(err)
	}
	b.tail = b.tail[:0]
}

// trailer makes a Params.Trailer.
func trailer(text string) func() []byte { return func() []byte { return []byte(text) } }

// finish writes the image. Missing parents become directories 0755 of root.
func (b *builder) finish(inodes map[string]*Inode) (size int64) {
	b.t.Helper()
	b.flush()
	size, err := b.w.Finish(makeTree(inodes))
	if err != nil {
		b.t.Fatal(err)
	}
	return size
}

// makeTree makes nested entries of paths; "" is the root.
func makeTree(inodes map[string]*Inode) *Entry {
	all := map[string]*Inode{"": {Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}}}
	for p, in := range inodes {
		all[p] = in
		for dir := path.Dir(p); p != "" && dir != "."; dir = path.Dir(dir) {
			if all[dir] == nil && inodes[dir] == nil {
				all[dir] = &Inode{Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}}
			}
		}
	}
	children := map[string][]string{}
	for p := range all {
		if p != "" {
			dir := strings.TrimPrefix(path.Dir(p), ".")
			children[dir] = append(children[dir], p)
		}
	}
	var make func(p string) Entry
	make = func(p string) Entry {
		e := Entry{Name: path.Base(p), Inode: all[p]}
		slices.Sort(children[p])
		for _, c := range children[p] {
			e.children = append(e.children, make(c))
		}
		return e
	}
	root := make("")
	return &root
}

// imageFile makes a file for an image in a folder of the test.
func imageFile(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "image.squashfs"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// noise gives n bytes that do not compress.
func noise(seed uint64, n int) []byte {
	b := make([]byte, 0, n+8)
	for x := seed*2654435761 + 88172645463325252; len(b) < n; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b = append(b, byte(x), byte(x>>8), byte(x>>16), byte(x>>24), byte(x>>32), byte(x>>40), byte(x>>48), byte(x>>56))
	}
	return b[:n]
}
