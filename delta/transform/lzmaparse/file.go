package lzmaparse

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// What surrounds the LZMA2 of a file, of the .xz format, version 1.2.
const (
	magic       = "\xfd7zXZ\x00"
	footMagic   = "YZ"
	checkCRC32  = 1
	filterX86   = 4
	filterLZMA2 = 0x21
	dictMax     = 40 // code of the longest dictionary
	headMax     = 32
)

var le = binary.LittleEndian

// filters are those of a file, as its header has them.
type filters struct {
	x86  bool
	dict byte // code of the length of the dictionary
}

// head gives what lies before the LZMA2: the head of the stream, and behind it that of the block.
func (f filters) head() (stream, block []byte) {
	flags := []byte{0, checkCRC32}
	stream = appendCRC(append([]byte(magic), flags...), flags)
	block = []byte{0, 0}
	if f.x86 {
		block = append(block, filterX86, 0)
		block[1] = 1 // filters, less one
	}
	block = pad(append(block, filterLZMA2, 1, f.dict))
	block[0] = byte(len(block) / 4)
	return stream, appendCRC(block, block)
}

// readFilters reads the head of a file. n is its length.
func readFilters(b []byte) (f filters, n int, ok bool) {
	for _, f := range []filters{{}, {x86: true}} {
		stream, block := f.head()
		code := len(stream) + 4
		if f.x86 {
			code += 2
		}
		if len(b) < len(stream)+len(block) || b[code] > dictMax {
			continue
		}
		f.dict = b[code]
		if _, block = f.head(); bytes.HasPrefix(b, stream) && bytes.HasPrefix(b[len(stream):], block) {
			return f, len(stream) + len(block), true
		}
	}
	return filters{}, 0, false
}

// appendTail appends what lies behind the LZMA2 of packed bytes of a content of size bytes.
func (f filters) appendTail(b []byte, packed, size int, sum uint32) []byte {
	_, block := f.head()
	b = append(b, make([]byte, -packed&3)...)
	b = le.AppendUint32(b, sum)
	index := []byte{0, 1} // a list of one block
	index = binary.AppendUvarint(index, uint64(len(block)+packed+4))
	index = pad(binary.AppendUvarint(index, uint64(size)))
	index = appendCRC(index, index)
	foot := append(le.AppendUint32(nil, uint32(len(index)/4-1)), 0, checkCRC32)
	b = append(append(b, index...), appendCRC(nil, foot)...)
	return append(append(b, foot...), footMagic...)
}

// pad appends zeros to b up to a multiple of four bytes.
func pad(b []byte) []byte { return append(b, make([]byte, -len(b)&3)...) }

func appendCRC(b, of []byte) []byte { return le.AppendUint32(b, crc32.ChecksumIEEE(of)) }

// Size gives the lengths in bytes of the file with which b begins, and of its content. ok is false
// when it begins with none that this package takes apart, or with a part of one. It looks at no
// compressed byte.
func Size(b []byte) (n, content int, ok bool) {
	f, head, ok := readFilters(b)
	if !ok {
		return 0, 0, false
	}
	for n = head; ; {
		c, size, ok := readChunk(b[n:])
		if !ok || c.size > contentMax-content {
			return 0, 0, false
		}
		n += size + c.packed
		content += c.size
		if n > len(b) {
			return 0, 0, false
		}
		if c.control == chunkEnd {
			break
		}
	}
	tail := -(n - head) & 3
	if tail+4 > len(b)-n {
		return 0, 0, false
	}
	want := f.appendTail(nil, n-head, content, le.Uint32(b[n+tail:]))
	return n + len(want), content, bytes.HasPrefix(b[n:], want)
}
