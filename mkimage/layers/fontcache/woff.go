package fontcache

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
)

// unpackedMax is how many bytes a compressed font may have.
const unpackedMax = 64 << 20

// readWOFF reads the directory of a file of packed tables. It is an error unless that is as
// FreeType demands, and not too large: a header of 44 bytes with the sizes of the file and of what
// it packs, a record of 20 bytes for each table, and the tables one behind the other, each at a
// multiple of 4.
func (s *source) readWOFF() (*sfnt, error) {
	be := binary.BigEndian
	wrong := fmt.Errorf("%w: its tables", errUnread)
	if s.size < 44 {
		return nil, wrong
	}
	head, err := s.bytes(0, 44)
	if err != nil {
		return nil, err
	}
	count := int(be.Uint16(head[12:]))
	if int64(be.Uint32(head[8:])) != s.size || count == 0 || be.Uint16(head[14:]) != 0 ||
		int64(44+20*count) > s.size {
		return nil, wrong
	}
	records, err := s.bytes(44, int64(20*count))
	if err != nil {
		return nil, err
	}
	f := s.newSFNT(string(head[4:8]))
	f.face.woff = true
	var list []extent
	last := ""
	for ; len(records) > 0; records = records[20:] {
		tag := string(records[:4])
		e := extent{
			int64(be.Uint32(records[4:])), int64(be.Uint32(records[8:])), int64(be.Uint32(records[12:])),
		}
		if tag < last {
			return nil, wrong
		}
		if last = tag; f.extents[tag] == (extent{}) {
			f.extents[tag] = e
		}
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b extent) int { return cmp.Compare(a.offset, b.offset) })
	at, whole := int64(44+20*count), int64(12+16*count)
	for _, e := range list {
		if e.offset != at || e.packed > e.size || e.offset+e.packed > s.size {
			return nil, wrong
		}
		at += (e.packed + 3) &^ 3
		whole += (e.size + 3) &^ 3
	}
	if whole != int64(be.Uint32(head[16:])) || whole > unpackedMax {
		return nil, wrong
	}
	for _, e := range list { // all are whole
		if e.packed == e.size {
			continue
		}
		if _, err := s.table(e); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// unpacked gives a packed table of so many bytes.
func unpacked(b []byte, size int64) ([]byte, error) {
	wrong := fmt.Errorf("%w: its tables", errUnread)
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, wrong
	}
	plain := make([]byte, size)
	if _, err := io.ReadFull(r, plain); err != nil {
		return nil, wrong
	}
	if _, err := io.ReadFull(r, make([]byte, 1)); err != io.EOF {
		return nil, wrong
	}
	return plain, nil
}
