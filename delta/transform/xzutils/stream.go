package xzutils

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"hash/crc64"
	"io"
	"slices"

	"deltaup/delta/transform/bcj"
)

// check is what follows each block to check its content.
type check uint8

const (
	checkNone   check = 0
	checkCRC32  check = 1
	checkCRC64  check = 4
	checkSHA256 check = 10
)

// size gives the check's length in bytes. It is negative for checks that are not made.
func (c check) size() int {
	switch c {
	case checkNone:
		return 0
	case checkCRC32:
		return 4
	case checkCRC64:
		return 8
	case checkSHA256:
		return 32
	}
	return -1
}

var crc64Table = crc64.MakeTable(crc64.ECMA)

// sum appends the check of plain to b.
func (c check) sum(b, plain []byte) []byte {
	switch c {
	case checkCRC32:
		return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(plain))
	case checkCRC64:
		return binary.LittleEndian.AppendUint64(b, crc64.Checksum(plain, crc64Table))
	case checkSHA256:
		sum := sha256.Sum256(plain)
		return append(b, sum[:]...)
	}
	return b
}

const (
	headMagic = "\xfd7zXZ\x00"
	footMagic = "YZ"
	headSize  = 12 // of the stream's head and of its foot

	filterX86   = 4
	filterLZMA2 = 0x21

	flagPackedSize = 0x40
	flagPlainSize  = 0x80
)

// stream writes a .xz file.
type stream struct {
	w       io.Writer // nil: only compare with want
	want    []byte    // the bytes that are expected from here on, if any are
	params  Params
	encoder *encoder
	index   []byte
	blocks  uint64

	filtered, packed []byte // reused from block to block
}

func (s *stream) write(plain []byte) error {
	if s.w == nil {
		s.w = &comparer{s}
	}
	flags := []byte{0, byte(s.params.check)}
	head := append([]byte(headMagic), flags...)
	if _, err := s.w.Write(appendCRC(head, flags)); err != nil {
		return err
	}
	size := int64(len(plain))
	if s.params.blockSize > 0 {
		size = min(size, s.params.blockSize)
	}
	s.encoder = newEncoder(s.params.lzma, size)
	if size > 0 {
		for block := range slices.Chunk(plain, int(size)) {
			if err := s.block(block); err != nil {
				return err
			}
		}
	}
	return s.end(flags)
}

// end writes the index and the foot.
func (s *stream) end(flags []byte) error {
	index := binary.AppendUvarint([]byte{0}, s.blocks)
	index = pad(append(index, s.index...))
	index = appendCRC(index, index)
	foot := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1))
	foot = append(foot, flags...)
	foot = append(appendCRC(nil, foot), foot...)
	if _, err := s.w.Write(append(append(index, foot...), footMagic...)); err != nil {
		return err
	}
	if len(s.want) > 0 {
		return errDiffers
	}
	return nil
}

// block writes a block and notes it for the index.
func (s *stream) block(plain []byte) error {
	filtered := plain
	if s.params.x86 {
		s.filtered = append(s.filtered[:0], plain...)
		bcj.Encode(s.filtered)
		filtered = s.filtered
	}
	out := &counter{w: s.w}
	body := s.streamed
	if s.params.sized {
		body = s.sized
	}
	if err := body(out, filtered, plain); err != nil {
		return err
	}
	check := s.params.check
	s.index = binary.AppendUvarint(s.index, uint64(out.n+int64(check.size())))
	s.index = binary.AppendUvarint(s.index, uint64(len(plain)))
	s.blocks++
	_, err := out.Write(check.sum(make([]byte, -out.n&3), plain))
	return err
}

// streamed writes the header and the LZMA2 of a block, without its sizes.
func (s *stream) streamed(w io.Writer, filtered, _ []byte) error {
	if _, err := w.Write(s.params.head(0, 0, 0)); err != nil {
		return err
	}
	return s.encoder.block(w, filtered, s.want)
}

// sized writes the header and the LZMA2 of a block, as a thread does.
func (s *stream) sized(w io.Writer, filtered, plain []byte) error {
	p, size := s.params, s.params.threadHeadSize()
	if s.packed == nil {
		s.packed = make([]byte, 0, packedRoom(int64(len(plain))))
	}
	packed := &limited{bytes: s.packed[:0], most: p.room()}
	want := s.want[min(int64(len(s.want)), size):]
	if err := s.encoder.block(packed, filtered, want); err != nil {
		return err
	}
	body := packed.bytes
	if packed.full {
		p.x86, p.lzma.dict, size = false, minDict, 0
		body = stored(nil, plain)
	}
	if _, err := w.Write(p.head(int64(len(body)), int64(len(plain)), size)); err != nil {
		return err
	}
	_, err := w.Write(body)
	return err
}

// comparer accepts the bytes that a stream wants, and fails at the first other ones.
type comparer struct{ s *stream }

func (c *comparer) Write(p []byte) (int, error) {
	if !bytes.HasPrefix(c.s.want, p) {
		return 0, errDiffers
	}
	c.s.want = c.s.want[len(p):]
	return len(p), nil
}
