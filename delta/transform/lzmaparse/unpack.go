package lzmaparse

import (
	"hash/crc32"

	"deltaup/delta/transform/bcj"
)

// Unpack gives the content of the file with which b begins, as Size tells it, in a slice with room
// for so many bytes more. With keep it gives the file's parse, too, unless that takes more than
// ParseMax bytes.
func Unpack(b []byte, room int, keep bool) (content []byte, p *Parse, err error) {
	f, content, p, err := unpack(b, room, keep)
	if err == nil && f.x86 {
		bcj.Decode(content)
	}
	return content, p, err
}

// unpack is Unpack, except that it gives the content as LZMA2 has it, and the filters.
func unpack(b []byte, room int, keep bool) (f filters, content []byte, p *Parse, err error) {
	_, size, ok := Size(b)
	if !ok {
		return f, nil, nil, errCorrupt
	}
	content = make([]byte, size, size+room)
	if keep {
		p = &Parse{}
	}
	r, f, err := newReader(b, content)
	if err != nil {
		return f, nil, nil, err
	}
	for {
		c, err := r.begin()
		if err != nil {
			return f, nil, nil, err
		}
		if c.control == chunkEnd {
			return f, content, p, nil
		}
		for c.lzma() && r.more() {
			at := r.at
			s, err := r.next()
			if err != nil {
				return f, nil, nil, err
			}
			if p != nil && s.length > 0 && !p.add(at, r.last[0], s) {
				return f, nil, nil, errCorrupt
			}
		}
	}
}

// newReader makes a reader of the file with which b begins. It does not check sums.
func newReader(b, content []byte) (*reader, filters, error) {
	f, n, ok := readFilters(b)
	if !ok {
		return nil, f, errCorrupt
	}
	return &reader{lzma: lzma{content: content}, b: b[n:]}, f, nil
}

// sum gives the check of a content.
func sum(content []byte) uint32 { return crc32.ChecksumIEEE(content) }
