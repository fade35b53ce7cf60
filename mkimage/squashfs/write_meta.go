package squashfs

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
)

// metaWriter cuts a stream of records into metadata blocks and compresses each of them.
type metaWriter struct {
	out        io.Writer
	compressor Compressor
	plain      []byte  // the unfinished block, less than metaBlockSize
	stored     []byte  // header and compressed bytes of one block; scratch
	start      int64   // position of the unfinished block, from the first block on
	blocks     []int64 // positions of the finished blocks, from the first block on
}

func newMetaWriter(out io.Writer, c Compressor) *metaWriter {
	return &metaWriter{out: out, compressor: c, plain: make([]byte, 0, metaBlockSize)}
}

// ref is the reference to the next byte.
func (m *metaWriter) ref() inodeRef { return makeRef(m.start, len(m.plain)) }

// write appends a record, or a piece of one.
func (m *metaWriter) write(p []byte) error {
	for len(p) > 0 {
		n := min(len(p), metaBlockSize-len(m.plain))
		m.plain = append(m.plain, p[:n]...)
		p = p[n:]
		if len(m.plain) == metaBlockSize {
			if err := m.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush finishes the current block, unless it is empty.
func (m *metaWriter) flush() error {
	if len(m.plain) == 0 {
		return nil
	}
	if m.start > math.MaxUint32 {
		return fmt.Errorf("metadata table of %d bytes: references reach 4 GiB", m.start)
	}
	header := append(m.stored[:0], 0, 0)
	b := m.compressor.Compress(header, m.plain)
	n := len(b) - metaHeaderSize
	compressed := n > 0 && n < len(m.plain)
	if !compressed {
		b = append(header, m.plain...)
		n = len(m.plain)
	}
	binary.LittleEndian.PutUint16(b, metaHeader(n, compressed))
	if _, err := m.out.Write(b); err != nil {
		return err
	}
	m.stored = b
	m.blocks = append(m.blocks, m.start)
	m.start += int64(len(b))
	m.plain = m.plain[:0]
	return nil
}

// tail writes what follows the data, through a buffer, and knows its position.
type tail struct {
	*bufio.Writer
	w *Writer
}

func newTail(w *Writer) *tail {
	return &tail{bufio.NewWriterSize(appendFunc(w.append), 256<<10), w}
}

// appendFunc makes Writer.append an io.Writer.
type appendFunc func(p []byte) error

func (f appendFunc) Write(p []byte) (int, error) {
	if err := f(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// pos is the absolute position of the next byte.
func (t *tail) pos() uint64 { return uint64(t.w.end) + uint64(t.Buffered()) }

// writeRecords writes the metadata blocks of a lookup table of n records. It returns the table's
// list of their absolute positions.
func (t *tail) writeRecords(n int,
	record func(b []byte, i int) []byte) (locations []byte, err error) {
	base := t.pos()
	m := newMetaWriter(t, t.w.params.Compressor)
	var b []byte
	for i := range n {
		b = record(b[:0], i)
		if err := m.write(b); err != nil {
			return nil, err
		}
	}
	if err := m.flush(); err != nil {
		return nil, err
	}
	for _, at := range m.blocks {
		locations = binary.LittleEndian.AppendUint64(locations, base+uint64(at))
	}
	return locations, nil
}

// writeLookup writes a whole lookup table and returns the position of its list of blocks.
func (t *tail) writeLookup(n int, record func(b []byte, i int) []byte) (list uint64, err error) {
	locations, err := t.writeRecords(n, record)
	if err != nil {
		return 0, err
	}
	list = t.pos()
	_, err = t.Write(locations)
	return list, err
}
