package zstdparse

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"deltaup/delta/transform/parsestep"
)

// contentMax is how many bytes of content a frame may have.
const contentMax = parsestep.ContentMax

const magic = 0xFD2FB528

// Bits of the byte behind the magic.
const (
	dictionaryBits = 0b11
	checksumBit    = 1 << 2
	reservedBit    = 1 << 3
	singleBit      = 1 << 5 // no window is told
	sizeShift      = 6
)

// reader takes a frame apart. It takes about 1 MiB of memory.
type reader struct {
	r        io.Reader
	at       int64 // bytes of the frame that were read
	head     []byte
	checksum bool
	last     bool
	known    known // of sequences
	tree     bool  // there is one of a block before
	buffer   []byte
	block    block
}

// newReader reads the header of a frame. Its errors are those of r, or tell that there is no frame,
// or one with a dictionary.
func newReader(r io.Reader) (*reader, error) {
	z := &reader{r: r, head: make([]byte, 5, 18)}
	if _, err := io.ReadFull(r, z.head); err != nil {
		return nil, err
	}
	d := z.head[4]
	if binary.LittleEndian.Uint32(z.head) != magic || d&reservedBit != 0 {
		return nil, fmt.Errorf("%w: no header", errCorrupt)
	}
	if d&dictionaryBits != 0 {
		return nil, fmt.Errorf("%w: it needs a dictionary", errCorrupt)
	}
	z.checksum = d&checksumBit != 0
	n := [4]int{0, 2, 4, 8}[d>>sizeShift]
	if d&singleBit == 0 || n == 0 {
		n++ // the window; without one, and no larger size, that of the content
	}
	z.head = z.head[:5+n]
	z.at = int64(len(z.head))
	_, err := io.ReadFull(r, z.head[5:])
	return z, err
}

// header is the frame's, with its magic.
func (z *reader) header() []byte { return z.head }

// next gives the next block, which holds until the call after. Behind the last block it gives
// io.EOF.
func (z *reader) next() (*block, error) {
	if z.last {
		return nil, io.EOF
	}
	var h [4]byte
	if err := z.read(h[:3]); err != nil {
		return nil, err
	}
	v := int(binary.LittleEndian.Uint32(h[:]))
	b := &z.block
	*b = block{last: v&1 != 0, kind: kind(v >> 1 & 3), size: v >> 3, sequences: b.sequences[:0]}
	n := b.size
	if b.kind == oneByte {
		n = 1
	}
	if b.size > blockMax || b.kind > compressed || b.kind == oneByte && b.size == 0 {
		return nil, fmt.Errorf("%w: a block of %d bytes, kind %d", errCorrupt, b.size, b.kind)
	}
	if cap(z.buffer) < n {
		z.buffer = make([]byte, blockMax)
	}
	body := z.buffer[:n]
	if err := z.read(body); err != nil {
		return nil, err
	}
	if b.kind == compressed && !z.parse(body) {
		return nil, fmt.Errorf("%w: a block", errCorrupt)
	}
	z.last = b.last
	return b, nil
}

// trailer reads what is behind the last block: 4 bytes or none.
func (z *reader) trailer() ([]byte, error) {
	if !z.checksum {
		return nil, nil
	}
	sum := make([]byte, 4)
	return sum, z.read(sum)
}

func (z *reader) read(b []byte) error {
	n, err := io.ReadFull(z.r, b)
	z.at += int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// parse takes the body of a compressed block apart.
func (z *reader) parse(p []byte) bool {
	b := &z.block
	literals, n, ok := b.parseLiterals(p)
	if !ok || b.literals == literalsSame && !z.tree {
		return false
	}
	z.tree = z.tree || b.literals == literalsTree
	count, n, ok := sequenceCount(p, n)
	if !ok || count > sequenceMax {
		return false
	}
	b.size = literals
	if count == 0 {
		return n == len(p)
	}
	if n >= len(p) {
		return false
	}
	b.modes = p[n]
	n++
	size, ok := z.known.read(b.modes, p[n:])
	if !ok {
		return false
	}
	b.tables = p[n : n+size]
	bits, ok := newBitReader(p[n+size:])
	if !ok || !b.parseSequences(&bits, &z.known, count) {
		return false
	}
	for _, s := range b.sequences {
		if literals -= int(s.literals); literals < 0 {
			return false
		}
		b.size += int(s.match)
	}
	return b.size <= blockMax
}

// parseLiterals reads what is known of literals without the content: their number, and where the
// section of sequences begins.
func (b *block) parseLiterals(p []byte) (literals, n int, ok bool) {
	var head [8]byte
	copy(head[:], p)
	v := int64(binary.LittleEndian.Uint64(head[:]))
	b.literals = literalsKind(v & 3)
	format := v >> 2 & 3
	if b.literals <= literalsOneByte {
		size, shift := [4]int{1, 2, 1, 3}[format], [4]int{3, 4, 3, 4}[format]
		literals = int(v & (1<<(8*size) - 1) >> shift)
		if n = size + literals; b.literals == literalsOneByte {
			n = size + 1
		}
		return literals, n, n <= len(p) && literals <= blockMax
	}
	b.oneStream = format == 0
	size, bits := [4]int{3, 3, 4, 5}[format], [4]int{10, 10, 14, 18}[format]
	literals = int(v >> 4 & (1<<bits - 1))
	n = size + int(v>>(4+bits)&(1<<bits-1))
	if n > len(p) || literals > blockMax {
		return 0, 0, false
	}
	if b.literals == literalsTree {
		t, ok := treeSize(p[size:n])
		if !ok {
			return 0, 0, false
		}
		b.tree = p[size : size+t]
	}
	return literals, n, true
}

// sequenceCount reads the number of sequences at n in p, and gives where it ends.
func sequenceCount(p []byte, n int) (count, end int, ok bool) {
	if n >= len(p) {
		return 0, 0, false
	}
	switch c := int(p[n]); {
	case c < 128:
		return c, n + 1, true
	case c < 255 && n+1 < len(p):
		return (c-128)<<8 + int(p[n+1]), n + 2, true
	case n+2 < len(p):
		return int(p[n+1]) + int(p[n+2])<<8 + longCount, n + 3, true
	}
	return 0, 0, false
}

// longCount is from how many sequences on their number takes three bytes.
const longCount = 0x7F00

// parseSequences reads as many sequences.
func (b *block) parseSequences(r *bitReader, t *known, count int) bool {
	var states [tables]uint32
	for _, i := range [tables]int{lengths, offsets, matches} {
		states[i] = r.read(t[i].log)
	}
	for k := range count {
		l, o, m := t[lengths].steps[states[lengths]], t[offsets].steps[states[offsets]],
			t[matches].steps[states[matches]]
		var s sequence
		s.offset = 1<<o.symbol + r.read(int(o.symbol))
		c := matchCodes[m.symbol]
		s.match = c.base + r.read(int(c.bits))
		c = literalCodes[l.symbol]
		s.literals = c.base + r.read(int(c.bits))
		if b.sequences = append(b.sequences, s); k == count-1 {
			break
		}
		states[lengths] = uint32(l.base) + r.read(int(l.bits))
		states[matches] = uint32(m.base) + r.read(int(m.bits))
		states[offsets] = uint32(o.base) + r.read(int(o.bits))
		if r.left < 0 {
			return false
		}
	}
	return r.left == 0
}

// known is the tables of the block before.
type known [tables]*fse

// read takes the tables that a block's modes and descriptions tell. It gives the size of the
// descriptions.
func (k *known) read(modes uint8, p []byte) (size int, ok bool) {
	if modes&3 != 0 {
		return 0, false
	}
	for i := range k {
		switch mode(modes >> (6 - 2*i) & 3) {
		case modePredefined:
			k[i] = predefined[i]
		case modeOneSymbol:
			if size >= len(p) || int(p[size]) > kinds[i].symbolMax {
				return 0, false
			}
			k[i] = oneSymbol(p[size])
			size++
		case modeDescribed:
			counts, log, n, ok := readCounts(p[size:], kinds[i].symbolMax, kinds[i].logMax)
			if !ok {
				return 0, false
			}
			k[i] = newFSE(counts, log)
			size += n
		case modeRepeated:
			if k[i] == nil {
				return 0, false
			}
		}
	}
	return size, true
}

// Size gives the length in bytes of the frame with which b begins. ok is false when it begins with
// none, or with a part of one.
func Size(b []byte) (n int, ok bool) {
	z, err := newReader(bytes.NewReader(b))
	if err != nil {
		return 0, false
	}
	n = len(z.head)
	for last := false; !last; {
		if n+3 > len(b) {
			return 0, false
		}
		v := int(b[n]) | int(b[n+1])<<8 | int(b[n+2])<<16
		last, n = v&1 != 0, n+3
		if kind(v>>1&3) == oneByte {
			n++
		} else {
			n += v >> 3
		}
	}
	if z.checksum {
		n += 4
	}
	return n, n <= len(b)
}
