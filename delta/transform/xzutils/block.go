package xzutils

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"slices"
)

// filters appends the filters to b, as a block's header has them.
func (p Params) filters(b []byte) []byte {
	if p.x86 {
		b = append(b, filterX86, 0)
	}
	return append(b, filterLZMA2, 1, dictCode(p.lzma.dict))
}

// storedSize gives the length of content that is stored in LZMA2.
func storedSize(plain int64) int64 {
	return plain + (plain+chunkMax-1)/chunkMax*3 + 1
}

// packedRoom is more than what LZMA2 of content takes.
func packedRoom(plain int64) int64 { return plain + plain/1024 + 1024 }

// bound gives the bytes that a thread has for a block.
func (p Params) bound() int64 {
	const heads = 92 // more than the header and the check of any block
	return heads + (storedSize(p.blockSize)+3)&^3
}

// headSize gives the length of the header of a block whose header has these sizes.
func (p Params) headSize(packed, plain int64) int64 {
	b := p.filters(make([]byte, 6, 64))
	if p.sized {
		b = binary.AppendUvarint(b, uint64(packed))
		b = binary.AppendUvarint(b, uint64(plain))
	}
	return int64(len(pad(b)))
}

// threadHeadSize gives the length of the header of a block that a thread makes, which has room for
// the sizes of any block.
func (p Params) threadHeadSize() int64 { return p.headSize(p.bound(), p.blockSize) }

// room gives how long the LZMA2 of a block may be. A thread stores the content of a longer one.
func (p Params) room() int64 {
	return (p.bound() - p.threadHeadSize() - int64(p.check.size())) &^ 3
}

// head gives the header of a block, which is at least so long.
func (p Params) head(packed, plain, size int64) []byte {
	flags := byte(0)
	b := []byte{0, 0}
	if p.sized {
		flags = flagPackedSize | flagPlainSize
		b = binary.AppendUvarint(b, uint64(packed))
		b = binary.AppendUvarint(b, uint64(plain))
	}
	if p.x86 {
		flags |= 1
	}
	b = pad(p.filters(b))
	b = append(b, make([]byte, max(0, size-int64(len(b))-4))...)
	b[0], b[1] = byte(len(b)/4), flags
	return appendCRC(b, b)
}

// stored appends content to b as LZMA2 that is not compressed.
func stored(b, plain []byte) []byte {
	control := byte(1)
	for chunk := range slices.Chunk(plain, chunkMax) {
		n := len(chunk) - 1
		b = append(append(b, control, byte(n>>8), byte(n)), chunk...)
		control = 2
	}
	return append(b, 0)
}

// pad appends zeros to b up to a multiple of four bytes.
func pad(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }

func appendCRC(b, of []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(of))
}

// counter counts what is written to w.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// limited keeps what is written, up to most bytes. Further bytes make it full.
type limited struct {
	bytes []byte
	most  int64
	full  bool
}

func (l *limited) Write(p []byte) (int, error) {
	if l.full = l.full || int64(len(l.bytes)+len(p)) > l.most; !l.full {
		l.bytes = append(l.bytes, p...)
	}
	return len(p), nil
}
