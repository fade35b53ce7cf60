package gnuzip

import (
	"encoding/binary"
	"io"
)

// bitWriter writes bits, the low one first, and keeps the first error.
type bitWriter struct {
	w   io.Writer
	buf []byte
	acc uint64
	n   uint // bits in acc
	err error
}

// bits writes the low n bits of v. n is at most 16, and v has no higher bits.
func (w *bitWriter) bits(v uint32, n uint) {
	w.acc |= uint64(v) << w.n
	w.n += n
	if w.n >= 32 {
		w.buf = binary.LittleEndian.AppendUint32(w.buf, uint32(w.acc))
		w.acc >>= 32
		w.n -= 32
		if len(w.buf) >= 16<<10 {
			w.flush()
		}
	}
}

func (w *bitWriter) code(c code) {
	w.bits(uint32(c.value), uint(c.bits))
}

// align fills the current byte with zeros, and puts all bytes into the buffer.
func (w *bitWriter) align() {
	for ; w.n > 0; w.n -= min(w.n, 8) {
		w.buf = append(w.buf, byte(w.acc))
		w.acc >>= 8
	}
}

// stored writes the body of a stored block.
func (w *bitWriter) stored(p []byte) {
	w.align()
	n := uint16(len(p))
	w.buf = append(w.buf, byte(n), byte(n>>8), byte(^n), byte(^n>>8))
	w.buf = append(w.buf, p...)
}

func (w *bitWriter) flush() {
	if w.err == nil {
		_, w.err = w.w.Write(w.buf)
	}
	w.buf = w.buf[:0]
}

func (w *bitWriter) close() error {
	w.align()
	w.flush()
	return w.err
}
