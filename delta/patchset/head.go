package patchset

import (
	"encoding/binary"
	"fmt"

	"deltaup/chunkstore"
)

// Layout of a head; doc/patchset.md has it in full. Version and head size are little-endian.
const (
	magic       = "DUPSET\r\n"
	version     = 4
	versionIDs  = 2 // the last one that has the ids of all contents, and no checks
	versionRuns = 4 // the first one whose groups may go on

	hashSize    = len(chunkstore.ID{})
	groupRefMin = 1 + 1 + hashSize // the fewest bytes of a group in the table
)

// HeadSize gives the number of bytes of a set's head, with the first FixedSize bytes, which it
// takes. Errors wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion.
func HeadSize(first []byte) (int64, error) {
	if len(first) < FixedSize || string(first[:len(magic)]) != magic {
		return 0, fmt.Errorf("read patch set: %w: it does not begin like one",
			chunkstore.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(first[8:]); v < 1 || v > version {
		return 0, fmt.Errorf("read patch set: %w: %d, this program knows up to %d", chunkstore.ErrVersion,
			v, version)
	}
	n := int64(binary.LittleEndian.Uint32(first[12:]))
	if n < headMinSize || n > HeadMax {
		return 0, fmt.Errorf("read patch set: %w: a head of %d bytes", chunkstore.ErrCorrupt, n)
	}
	return n, nil
}

// columns is how many columns the head has.
func (h *Head) columns() int {
	switch h.version {
	case 1:
		return columnsV1
	case 2:
		return columnsV2
	}
	return numColumns
}

// headMinSize is the size of a head with empty columns and no groups.
const headMinSize = int64(FixedSize + 2*hashSize + 1 + int(columnsV1) + hashSize)

// encode gives the bytes of the head. It fills in ID, size and the groups' offsets.
func (h *Head) encode() []byte {
	b := binary.LittleEndian.AppendUint32([]byte(magic), h.version)
	b = append(b, 0, 0, 0, 0)
	b = append(b, h.From[:]...)
	b = append(b, h.To[:]...)
	b = binary.AppendUvarint(b, uint64(len(h.Groups)))
	for _, g := range h.Groups {
		b = binary.AppendUvarint(b, uint64(g.Length))
		b = binary.AppendUvarint(b, h.encodePlain(&g))
		b = append(b, g.Hash[:]...)
	}
	b = append(b, h.bundle...)
	h.size = int64(len(b) + hashSize)
	binary.LittleEndian.PutUint32(b[12:], uint32(h.size))
	h.ID = chunkstore.Sum(b)
	h.place()
	return append(b, h.ID[:]...)
}

// place computes the groups' offsets.
func (h *Head) place() {
	at := h.size
	for i := range h.Groups {
		h.Groups[i].Offset = at
		at += h.Groups[i].Length
	}
}

// ReadHead reads the head in b, which has exactly HeadSize bytes. It verifies the checksum and
// keeps b. Errors wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion.
func ReadHead(b []byte) (*Head, error) {
	n, err := HeadSize(b)
	if err != nil {
		return nil, err
	}
	if n != int64(len(b)) {
		return nil, fmt.Errorf("read patch set: %w: %d bytes of a head of %d",
			chunkstore.ErrCorrupt, len(b), n)
	}
	body := b[:len(b)-hashSize]
	h := &Head{version: binary.LittleEndian.Uint32(b[8:]), size: n, ID: chunkstore.Sum(body)}
	if h.ID != chunkstore.ID(b[len(b)-hashSize:]) {
		return nil, fmt.Errorf("read patch set: %w: the head's checksum differs",
			chunkstore.ErrCorrupt)
	}
	in := input{b: body[FixedSize:]}
	h.From, h.To = in.id(), in.id()
	for left := in.length(int64(len(in.b) / groupRefMin)); left > 0 && in.err == nil; left-- {
		g := GroupRef{Length: int64(in.length(groupMax))}
		h.decodePlain(&in, &g)
		g.Hash = in.id()
		h.Groups = append(h.Groups, g)
	}
	h.checkRuns(&in)
	if in.err != nil {
		return nil, fmt.Errorf("read patch set: %w", in.err)
	}
	h.bundle = in.b
	h.place()
	return h, nil
}
