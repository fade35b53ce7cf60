package fontcache

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/binary"
	"io"
	"slices"
)

// soundWOFF tells whether a file of packed tables is as FreeType demands, and not too large: a
// header of 44 bytes with the sizes of the file and of what it packs, a record of 20 bytes for each
// table, and the tables one behind the other, each at a multiple of 4.
func soundWOFF(b []byte) bool {
	be := binary.BigEndian
	if len(b) < 44 || int64(be.Uint32(b[8:])) != int64(len(b)) {
		return false
	}
	count := int(be.Uint16(b[12:]))
	if count == 0 || be.Uint16(b[14:]) != 0 || 44+20*count > len(b) {
		return false
	}
	type table struct{ tag, offset, packed, size int64 }
	var tables []table
	for i := range count {
		r := b[44+20*i:]
		tables = append(tables, table{
			int64(be.Uint32(r)), int64(be.Uint32(r[4:])), int64(be.Uint32(r[8:])), int64(be.Uint32(r[12:])),
		})
	}
	if !slices.IsSortedFunc(tables, func(a, b table) int { return cmp.Compare(a.tag, b.tag) }) {
		return false
	}
	slices.SortFunc(tables, func(a, b table) int { return cmp.Compare(a.offset, b.offset) })
	at, whole := int64(44+20*count), int64(12+16*count)
	for _, t := range tables {
		if t.offset != at || t.packed > t.size || t.offset+t.packed > int64(len(b)) {
			return false
		}
		at += (t.packed + 3) &^ 3
		whole += (t.size + 3) &^ 3
	}
	if whole != int64(be.Uint32(b[16:])) || whole > unpackedMax {
		return false
	}
	for _, t := range tables {
		if t.packed < t.size && !unpacks(b[t.offset:t.offset+t.packed], t.size) {
			return false
		}
	}
	return true
}

// unpacks tells whether a packed table is whole and has so many bytes.
func unpacks(b []byte, size int64) bool {
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return false
	}
	n, err := io.Copy(io.Discard, io.LimitReader(r, size+1))
	return err == nil && n == size
}
