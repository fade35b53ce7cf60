// Package disktest writes partition tables for tests, and tells what a disk holds after a power cut.
package disktest

import (
	"encoding/binary"
)

// MBR writes a table into a disk whose entries, of one type, begin at such sectors of 512 bytes.
func MBR(b []byte, kind byte, sectors ...uint32) []byte {
	for i, first := range sectors {
		entry := b[446+i*16:]
		entry[4] = kind
		binary.LittleEndian.PutUint32(entry[8:], first)
	}
	b[510], b[511] = 0x55, 0xaa
	return b
}

// What tests change in a GPT, as offsets in its header.
const (
	GPTEntriesAt = 72 // 8 bytes: the sector of the entries
	GPTCount     = 80 // 4 bytes: how many there are
)

// GPT writes a table into a disk whose entries begin at such sectors of a size in bytes.
func GPT(b []byte, sector int64, firsts ...uint64) []byte {
	const length = 128
	MBR(b, 0xee, 1)
	header := b[sector:]
	copy(header, "EFI PART")
	binary.LittleEndian.PutUint64(header[GPTEntriesAt:], 2)
	binary.LittleEndian.PutUint32(header[GPTCount:], 128)
	binary.LittleEndian.PutUint32(header[GPTCount+4:], length)
	for i, first := range firsts {
		binary.LittleEndian.PutUint64(b[2*sector+int64(i)*length+32:], first)
	}
	return b
}
