package squashfs

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"
)

// metaBlock is one decompressed metadata block.
type metaBlock struct {
	plain []byte // 1 to metaBlockSize bytes, shared, so nobody may change them
	next  int64  // position behind its stored bytes, where the next block begins
}

// metaBlock gives the metadata block at a position, from the cache if possible.
func (m *Image) metaBlock(pos int64) (metaBlock, error) {
	return m.metaCache.get(pos, func() (metaBlock, error) {
		b, err := m.readMetaBlock(pos)
		if err != nil {
			return b, fmt.Errorf("metadata block at %d: %w", pos, err)
		}
		return b, nil
	})
}

func (m *Image) readMetaBlock(pos int64) (metaBlock, error) {
	if pos < superblockSize || pos > m.used-metaHeaderSize {
		return metaBlock{}, fmt.Errorf("%w: outside of the image", ErrCorrupt)
	}
	// Read header and payload at once, since that reads little too much.
	buf := make([]byte, min(metaHeaderSize+metaBlockSize, m.used-pos))
	if err := m.readFull(buf, pos); err != nil {
		return metaBlock{}, err
	}
	n, compressed, err := parseMetaHeader(binary.LittleEndian.Uint16(buf))
	if err != nil {
		return metaBlock{}, err
	}
	if metaHeaderSize+n > len(buf) {
		return metaBlock{}, fmt.Errorf("%w: %d stored bytes reach beyond the image's end",
			ErrCorrupt, n)
	}
	stored := buf[metaHeaderSize : metaHeaderSize+n]
	next := pos + metaHeaderSize + int64(n)
	if !compressed {
		return metaBlock{stored, next}, nil
	}
	plain := make([]byte, metaBlockSize)
	k, err := m.codec.decompress(plain, stored)
	if err != nil {
		return metaBlock{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, m.info.Compression, err)
	}
	if k == 0 {
		return metaBlock{}, fmt.Errorf("%w: empty", ErrCorrupt)
	}
	return metaBlock{plain[:k], next}, nil
}

// readFull fills p with the bytes of the image from off on.
func (m *Image) readFull(p []byte, off int64) error {
	n, err := m.r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(p), off, err)
}

// metaTable is a part of the image that consists of metadata blocks.
type metaTable struct {
	name       string
	start, end int64 // a block begins at or behind start and before end
}

// metaCursor reads the plain bytes of a metaTable in order. A copy reads on independently.
type metaCursor struct {
	m     *Image
	table *metaTable
	pos   int64 // position of the current block, or while block.plain is nil of the next to load
	off   int   // offset of the next byte in the block; may be the block's end
	block metaBlock
}

// cursor gives a cursor at a reference relative to table. It reads nothing yet.
func (m *Image) cursor(table *metaTable, ref inodeRef) metaCursor {
	// The sum cannot overflow, since ref.block is below 1<<48.
	return metaCursor{m: m, table: table, pos: table.start + ref.block(), off: ref.offset()}
}

// load reads the current block, or the next one when the current block is used up.
func (c *metaCursor) load() error {
	if c.block.plain != nil && c.off >= len(c.block.plain) {
		c.pos, c.off, c.block = c.block.next, 0, metaBlock{}
	}
	if c.block.plain != nil {
		return nil
	}
	if c.pos < c.table.start || c.pos >= c.table.end {
		return fmt.Errorf("%w: position %d is outside of the %s table", ErrCorrupt, c.pos,
			c.table.name)
	}
	b, err := c.m.metaBlock(c.pos)
	if err != nil {
		return fmt.Errorf("%s table: %w", c.table.name, err)
	}
	// The end of the block is valid: the next byte is then the first of the next block.
	if c.off > len(b.plain) || c.off >= metaBlockSize {
		return fmt.Errorf("%w: offset %d in a metadata block of %d bytes in the %s table",
			ErrCorrupt, c.off, len(b.plain), c.table.name)
	}
	c.block = b
	if c.off == len(b.plain) {
		return c.load()
	}
	return nil
}

// ref is the reference to the next byte, relative to the table.
func (c *metaCursor) ref() inodeRef {
	pos, off := c.pos, c.off
	if c.block.plain != nil && off == len(c.block.plain) {
		pos, off = c.block.next, 0
	}
	return makeRef(pos-c.table.start, off)
}

// read fills p, from as many blocks as necessary.
func (c *metaCursor) read(p []byte) error {
	for len(p) > 0 {
		if err := c.load(); err != nil {
			return err
		}
		n := copy(p, c.block.plain[c.off:])
		p, c.off = p[n:], c.off+n
	}
	return nil
}

// record reads the fixed part of a record, of size bytes, into r, a pointer to its struct.
func (c *metaCursor) record(r any, size int) error {
	var buf [64]byte
	if err := c.read(buf[:size]); err != nil {
		return err
	}
	return unmarshal(buf[:size], r)
}

// lookupTable is a table of numbered records of one size.
type lookupTable struct {
	name string
	list int64 // position of the list of the table's blocks
	n    int64 // number of records
	size int   // bytes of a record, a divisor of metaBlockSize

	last atomic.Pointer[tableBlock] // the block of the last lookup; nil: there was none
}

// tableBlock says where a block of a lookupTable lies.
type tableBlock struct{ number, pos int64 }

// validate checks that the list lies within the first used bytes of the image.
func (t *lookupTable) validate(used int64) error {
	if t.n == 0 {
		return nil
	}
	if t.list < superblockSize || t.list > used ||
		tableBlocks(t.n, t.size) > (used-t.list)/locationSize {
		return fmt.Errorf("%w: %s table of %d entries at %d does not fit in", ErrCorrupt, t.name,
			t.n, t.list)
	}
	return nil
}

// lookup gives the bytes of a metadata block from record i on.
func (m *Image) lookup(t *lookupTable, i int64) ([]byte, error) {
	if i < 0 || i >= t.n {
		return nil, fmt.Errorf("%w: entry %d of the %s table, which has %d", ErrCorrupt, i, t.name,
			t.n)
	}
	at := i * int64(t.size)
	pos, err := m.locate(t, at/metaBlockSize)
	if err != nil {
		return nil, fmt.Errorf("%s table: %w", t.name, err)
	}
	b, err := m.metaBlock(pos)
	if err != nil {
		return nil, fmt.Errorf("%s table: %w", t.name, err)
	}
	off := int(at % metaBlockSize)
	if off+t.size > len(b.plain) {
		return nil, fmt.Errorf("%w: entry %d of the %s table is behind its block's end", ErrCorrupt,
			i, t.name)
	}
	return b.plain[off:], nil
}

// locate gives the position of a table's block. Lookups mostly ask for the same one again.
func (m *Image) locate(t *lookupTable, number int64) (int64, error) {
	if last := t.last.Load(); last != nil && last.number == number {
		return last.pos, nil
	}
	var word [locationSize]byte
	if err := m.readFull(word[:], t.list+number*locationSize); err != nil {
		return 0, err
	}
	pos := binary.LittleEndian.Uint64(word[:])
	if pos >= uint64(t.list) {
		return 0, fmt.Errorf("%w: a block at %d, behind the list", ErrCorrupt, pos)
	}
	t.last.Store(&tableBlock{number, int64(pos)})
	return int64(pos), nil
}
