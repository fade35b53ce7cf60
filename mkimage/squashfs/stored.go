package squashfs

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"slices"

	"deltaup/mkimage/tree"
)

// Blocks gives the data blocks of a regular file in order, with holes, without a tail in a fragment
// block. It reads the block list on the way, so that the list of a huge sparse file is never in
// memory. After an error it gives nothing more.
func (m *Image) Blocks(n *Node) iter.Seq2[Block, error] {
	return func(yield func(Block, error) bool) {
		if n.Type != tree.Regular {
			yield(Block{}, fmt.Errorf("blocks of %s: no regular file", quote(n.Path)))
			return
		}
		l := m.blockList(n)
		for l.next < l.total {
			b, err := l.read()
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}

// Fragment gives the index of the fragment block with the tail of a regular file, and the tail's
// offset in the plain bytes of that block. The tail has n.Size modulo the block size bytes. ok is
// false when no tail lies in a fragment block.
func (m *Image) Fragment(n *Node) (index, offset int, ok bool) {
	if n.Type != tree.Regular || n.file.fragment == NoFragment || n.Size%int64(m.info.BlockSize) == 0 {
		return 0, 0, false
	}
	return int(n.file.fragment), int(n.file.offset), true
}

// FragmentBlock gives the fragment block with an index. The Size of a compressed one is the block
// size, since only decompression tells its plain bytes.
func (m *Image) FragmentBlock(index int) (Block, error) {
	raw, err := m.lookup(&m.fragments, int64(index))
	if err != nil {
		return Block{}, err
	}
	var e fragmentEntry
	if err := unmarshal(raw, &e); err != nil {
		return Block{}, err
	}
	b := Block{Size: m.info.BlockSize, fragment: true}
	b.Length, b.Compressed, err = parseLengthWord(e.Length, m.info.BlockSize)
	if err != nil {
		return Block{}, fmt.Errorf("fragment block %d: %w", index, err)
	}
	if !b.Compressed {
		b.Size = b.Length
	}
	if b.Length == 0 || e.Start > uint64(m.used) {
		return Block{}, fmt.Errorf("fragment block %d: %w: %d bytes at %d", index, ErrCorrupt,
			b.Length, e.Start)
	}
	b.Offset = int64(e.Start)
	return b, nil
}

// ReadStored appends the stored bytes of a block to dst. A hole has none.
func (m *Image) ReadStored(b Block, dst []byte) ([]byte, error) {
	if b.Length == 0 {
		return dst, nil
	}
	if err := m.checkBlock(b); err != nil {
		return dst, err
	}
	n := len(dst)
	dst = slices.Grow(dst, b.Length)[:n+b.Length]
	if err := m.readFull(dst[n:], b.Offset); err != nil {
		return dst[:n], err
	}
	return dst, nil
}

// ReadBlock appends the plain bytes of a block to dst: b.Size of them, or fewer for a fragment
// block.
func (m *Image) ReadBlock(b Block, dst []byte) ([]byte, error) {
	if err := m.checkBlock(b); err != nil {
		return dst, err
	}
	n := len(dst)
	dst = slices.Grow(dst, b.Size)[:n+b.Size]
	k, err := m.decompress(b, dst[n:])
	if err != nil {
		return dst[:n], err
	}
	return dst[:n+k], nil
}

// checkBlock checks a block against the image's size and block size.
func (m *Image) checkBlock(b Block) error {
	switch {
	case b.Size < 0 || b.Size > m.info.BlockSize || b.Length < 0 || b.Length > m.info.BlockSize:
		return fmt.Errorf("%w: block of %d stored and %d plain bytes", ErrCorrupt, b.Length, b.Size)
	case b.Length != 0 && (b.Offset < superblockSize || b.Offset > m.used-int64(b.Length)):
		return fmt.Errorf("%w: block of %d bytes at %d, outside of the image", ErrCorrupt, b.Length,
			b.Offset)
	case b.Length != 0 && !b.Compressed && b.Length != b.Size:
		return fmt.Errorf("%w: plain block at %d of %d bytes for %d", ErrCorrupt, b.Offset,
			b.Length, b.Size)
	}
	return nil
}

// decompress fills plain, which has b.Size bytes, with the plain bytes of a block that checkBlock
// has checked. It returns their number.
func (m *Image) decompress(b Block, plain []byte) (int, error) {
	if b.Length == 0 {
		clear(plain)
		return len(plain), nil
	}
	if !b.Compressed {
		return len(plain), m.readFull(plain, b.Offset)
	}
	buf := m.buffers.Get().(*[]byte)
	defer m.buffers.Put(buf)
	stored := (*buf)[:b.Length]
	if err := m.readFull(stored, b.Offset); err != nil {
		return 0, err
	}
	n, err := m.codec.decompress(plain, stored)
	if err != nil {
		return 0, fmt.Errorf("%w: block at %d: %s: %w", ErrCorrupt, b.Offset, m.info.Compression,
			err)
	}
	if n != b.Size && !b.fragment {
		return 0, fmt.Errorf("%w: block at %d has %d bytes, want %d", ErrCorrupt, b.Offset, n,
			b.Size)
	}
	return n, nil
}

// fragment gives the plain bytes of a fragment block, which are shared, so nobody may change them.
func (m *Image) fragment(index int) ([]byte, error) {
	return m.fragmentCache.get(index, func() ([]byte, error) {
		b, err := m.FragmentBlock(index)
		if err != nil {
			return nil, err
		}
		plain, err := m.ReadBlock(b, nil)
		if err != nil {
			return nil, fmt.Errorf("fragment block %d: %w", index, err)
		}
		return plain, nil
	})
}

// blockList reads the block list of a file, in order or from any block on.
type blockList struct {
	m      *Image
	size   int64 // size of the file in bytes
	total  int64 // number of blocks
	next   int64 // number of the next block
	offset int64 // offset of the next stored block
	cur    metaCursor
	marks  []blockMark // one for every marksEvery-th block so far
}

// blockMark is a place from which a blockList can read again.
type blockMark struct {
	ref    inodeRef
	offset int64
}

// marksEvery is the number of length words in a metadata block. Marks are then few compared with
// what the image itself stores.
const marksEvery = metaBlockSize / lengthWordSize

func (m *Image) blockList(n *Node) *blockList {
	_, _, inFragment := m.Fragment(n)
	return &blockList{
		m:      m,
		size:   n.Size,
		total:  fileBlocks(n.Size, m.info.BlockSize, inFragment),
		offset: n.file.start,
		cur:    m.cursor(&m.inodes, n.file.list),
	}
}

// read gives the next block.
func (l *blockList) read() (Block, error) {
	if l.next >= l.total {
		return Block{}, io.EOF
	}
	if l.next == int64(len(l.marks))*marksEvery {
		l.marks = append(l.marks, blockMark{l.cur.ref(), l.offset})
	}
	cur := l.cur // l.cur moves only on success, so that a failed read can be repeated
	var word [lengthWordSize]byte
	if err := cur.read(word[:]); err != nil {
		return Block{}, fmt.Errorf("length of block %d: %w", l.next, err)
	}
	bs := l.m.info.BlockSize
	b := Block{Offset: l.offset, Size: int(min(int64(bs), l.size-l.next*int64(bs)))}
	var err error
	if b.Length, b.Compressed, err = parseLengthWord(binary.LittleEndian.Uint32(word[:]), bs); err != nil {
		return Block{}, fmt.Errorf("block %d: %w", l.next, err)
	}
	if b.Length == 0 {
		b.Offset, b.Compressed = 0, false
	}
	if err := l.m.checkBlock(b); err != nil {
		return Block{}, fmt.Errorf("block %d: %w", l.next, err)
	}
	l.cur = cur
	l.next++
	l.offset += int64(b.Length)
	return b, nil
}

// at gives block i.
func (l *blockList) at(i int64) (Block, error) {
	if mark := min(i/marksEvery, int64(len(l.marks))-1); i < l.next || mark*marksEvery > l.next {
		l.next = mark * marksEvery
		l.offset = l.marks[mark].offset
		l.cur = l.m.cursor(&l.m.inodes, l.marks[mark].ref)
	}
	for l.next < i {
		if _, err := l.read(); err != nil {
			return Block{}, err
		}
	}
	return l.read()
}
