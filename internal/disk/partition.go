package disk

import (
	"encoding/binary"
	"io"
	"slices"
)

// Offsets in partition tables. An MBR (the first sector) has four entries of 16 bytes, each with
// its type and its first sector. An extended partition begins with a sector of the same form, whose
// second entry leads to the next such sector. A GPT's header (the second sector) says where its
// entries lie, how many and how long they are. Each entry has its first sector. All numbers are
// little-endian.
const (
	mbrSize, mbrEntries, mbrEntrySize, mbrType, mbrFirst = 512, 446, 16, 4, 8

	mbrProtective = 0xee // type of an entry that stands for a GPT
	firstLogical  = 5    // number of the first partition in an extended one

	gptMagic                                         = "EFI PART"
	gptHeaderSize, gptEntriesAt, gptCount, gptLength = 92, 72, 80, 84
	gptEntryMin, gptFirst                            = 128, 32

	maxPartitions   = 128
	maxGPTEntrySize = 4 << 10
)

// Partitions reads the partition table of the disk in r, which has size bytes. It gives the kind of
// the table, "MBR" or "GPT", and where the partitions begin, in the table's order. It leaves out
// partitions that begin beyond the end, and all but the first that begin at the same place. Without
// a table it gives "" and no partitions.
func Partitions(r io.ReaderAt, size int64) (table string, parts []Place, err error) {
	t := tableReader{r: r, size: size}
	mbr, err := t.mbr(0)
	if mbr == nil || err != nil {
		return "", nil, err
	}
	table = "MBR"
	for i := range 4 {
		entry := mbr.entry(i)
		switch {
		case entry[mbrType] == mbrProtective:
			t.parts, table = nil, "GPT"
			err = t.gpt()
			return table, t.parts, err
		case isExtended(entry):
			err = t.extended(first(entry))
		default:
			t.add(first(entry)*mbrSize, i+1)
		}
		if err != nil {
			return "", nil, err
		}
	}
	return table, t.parts, nil
}

// tableReader collects partitions.
type tableReader struct {
	r     io.ReaderAt
	size  int64
	parts []Place
}

func (t *tableReader) add(offset int64, number int) {
	same := func(p Place) bool { return p.Offset == offset }
	if offset > 0 && offset < t.size && !slices.ContainsFunc(t.parts, same) {
		t.parts = append(t.parts, Place{Offset: offset, partition: number})
	}
}

// mbr is a sector with four partition entries.
type mbr [mbrSize]byte

func (m *mbr) entry(i int) []byte { return m[mbrEntries+i*mbrEntrySize:][:mbrEntrySize] }

// first gives the first sector of an entry.
func first(entry []byte) int64 { return int64(binary.LittleEndian.Uint32(entry[mbrFirst:])) }

func isExtended(entry []byte) bool {
	t := entry[mbrType]
	return t == 0x05 || t == 0x0f || t == 0x85
}

// mbr reads the mbr at an offset. It gives nil without an error when there is none.
func (t *tableReader) mbr(off int64) (*mbr, error) {
	m := new(mbr)
	if _, err := t.r.ReadAt(m[:], off); err != nil {
		return nil, unlessEOF(err)
	}
	if m[510] != 0x55 || m[511] != 0xaa {
		return nil, nil
	}
	return m, nil
}

// extended follows the chain of an extended partition. Each link has a partition, whose place
// counts from the link, and the place of the next link, which counts from the first link.
func (t *tableReader) extended(base int64) error {
	at := base
	for number := firstLogical; number < maxPartitions; number++ {
		m, err := t.mbr(at * mbrSize)
		if m == nil || err != nil {
			return err
		}
		if start := first(m.entry(0)); start > 0 {
			t.add((at+start)*mbrSize, number)
		}
		next := m.entry(1)
		if !isExtended(next) || first(next) == 0 {
			break
		}
		at = base + first(next)
	}
	return nil
}

// gpt reads a GPT, whose sectors have 512 or 4096 bytes.
func (t *tableReader) gpt() error {
	for _, sector := range []int64{512, 4096} {
		var header [gptHeaderSize]byte
		if _, err := t.r.ReadAt(header[:], sector); err != nil {
			return unlessEOF(err)
		}
		if string(header[:len(gptMagic)]) != gptMagic {
			continue
		}
		at := binary.LittleEndian.Uint64(header[gptEntriesAt:])
		length := int64(binary.LittleEndian.Uint32(header[gptLength:]))
		if length < gptEntryMin || length > maxGPTEntrySize || at > uint64(t.size/sector) {
			return nil
		}
		n := min(binary.LittleEndian.Uint32(header[gptCount:]), maxPartitions)
		for i := range int64(n) {
			var entry [gptEntryMin]byte
			if _, err := t.r.ReadAt(entry[:], int64(at)*sector+i*length); err != nil {
				return unlessEOF(err)
			}
			first := binary.LittleEndian.Uint64(entry[gptFirst:])
			if first <= uint64(t.size/sector) {
				t.add(int64(first)*sector, int(i)+1)
			}
		}
		return nil
	}
	return nil
}
