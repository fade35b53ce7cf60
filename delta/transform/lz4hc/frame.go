package lz4hc

import (
	"encoding/binary"
	"io"
	"slices"
)

// A frame is the magic, then for each block its length as a u32 and the block. Each but the last
// has blockSize bytes of content. There is no end mark.
const (
	magic     = "\x02\x21\x4c\x18"
	blockSize = 8 << 20
)

// bound gives the largest length in bytes of the block of n bytes.
func bound(n int) int { return n + n/255 + 16 }

// Writer makes a frame of what is written to it. It takes up to 17 MiB of memory.
type Writer struct {
	w       io.Writer
	encoder *encoder
	plain   []byte // of the block at hand, less than blockSize
	packed  []byte // reused from block to block
	err     error
}

// NewWriter begins a frame on w as `lz4 -l -LEVEL` makes it. The level is 3 to 12.
func NewWriter(w io.Writer, level int) (*Writer, error) {
	if !valid(level) {
		return nil, errLevel
	}
	if _, err := io.WriteString(w, magic); err != nil {
		return nil, err
	}
	return &Writer{w: w, encoder: newEncoder(level)}, nil
}

// Write adds p to the content. It writes each block that is full.
func (w *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 && w.err == nil {
		part := min(len(p), blockSize-len(w.plain))
		w.grow(len(w.plain) + part)
		w.plain = append(w.plain, p[:part]...)
		p = p[part:]
		n += part
		if len(w.plain) == blockSize {
			w.flush()
		}
	}
	return n, w.err
}

// grow makes room for n bytes of a block.
func (w *Writer) grow(n int) {
	if n > cap(w.plain) {
		n = min(max(n, 2*cap(w.plain)), blockSize)
		w.plain = append(make([]byte, 0, n), w.plain...)
	}
}

// Close writes the last block. It does not close the writer below.
func (w *Writer) Close() error {
	if len(w.plain) > 0 && w.err == nil {
		w.flush()
	}
	return w.err
}

func (w *Writer) flush() {
	const head = 4
	w.packed = slices.Grow(w.packed[:0], head+bound(len(w.plain)))[:head]
	w.packed = w.encoder.append(w.packed, w.plain)
	binary.LittleEndian.PutUint32(w.packed, uint32(len(w.packed)-head))
	_, w.err = w.w.Write(w.packed)
	w.plain = w.plain[:0]
}
