package squashfs

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"slices"

	"deltaup/mkimage/tree"
)

// Blocks gives a regular file's data blocks in order, holes included, without
// the tail that lies in a fragment. It reads the list as it goes: the list of a huge
// sparse file is never in memory. After an error nothing follows.
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

// Fragment tells where the tail of a regular file lies: in which fragment block, and
// from which of its plain bytes on. The tail is Size modulo the block size bytes long.
func (m *Image) Fragment(n *Node) (index, offset int, ok bool) {
	if n.Type != tree.Regular || n.file.fragment == NoFragment || n.Size%int64(m.info.BlockSize) == 0 {
		return 0, 0, false
	}
	return int(n.file.fragment), int(n.file.offset), true
}

// FragmentBlock gives fragment block index. How many plain bytes a compressed one holds is
// known only after decompression: its Size is then the block size.
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

// ReadStored appends a block's bytes, as they lie in the image, to dst. A hole has none.
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

// ReadBlock appends a block's plain bytes to dst: b.Size of them, or fewer for a fragment block.
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

// checkBlock bounds a block by the image and its block size.
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

// decompress fills plain, of b.Size bytes, with a block that checkBlock has passed.
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

// fragment gives the plain bytes of a fragment block, which are shared: not to be changed.
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

// blockList reads the length words of a file, in order or from anywhere.
type blockList struct {
	m      *Image
	size   int64 // bytes of the file
	total  int64 // blocks
	next   int64 // block to read next
	offset int64 // where it is stored
	cur    metaCursor
	marks  []blockMark // of every marksEvery-th block that was met
}

// blockMark is a place from which a list can be read again.
type blockMark struct {
	ref    inodeRef
	offset int64
}

// marksEvery is as many length words as a metadata block holds, so that marks
// are few beside what the image itself holds.
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
	cur := l.cur // moves on only when all went well, so that a failed read can be done again
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
