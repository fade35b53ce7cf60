package squashfs

import (
	"encoding/binary"
	"io"
)

// Where partition tables have what is needed of them. Of an MBR (the first sector): four entries of
// 16 bytes, each with its type and its first sector. Of a GPT (the second sector): where its
// entries lie, how many and how long they are; of an entry its first sector. All numbers are
// little-endian.
const (
	mbrSize, mbrEntries, mbrEntrySize, mbrType, mbrFirst = 512, 446, 16, 4, 8

	mbrProtective = 0xee // the type of an entry that stands for a GPT

	gptMagic                                         = "EFI PART"
	gptHeaderSize, gptEntriesAt, gptCount, gptLength = 92, 72, 80, 84
	gptEntryMin, gptFirst                            = 128, 32

	maxPartitions   = 128
	maxGPTEntrySize = 4 << 10
)

// partitions looks at the start of each partition.
func (s *search) partitions() (*Image, error) {
	var mbr [mbrSize]byte
	if _, err := s.r.ReadAt(mbr[:], 0); err != nil {
		return nil, unlessEOF(err)
	}
	if mbr[510] != 0x55 || mbr[511] != 0xaa {
		return nil, nil
	}
	for i := range 4 {
		entry := mbr[mbrEntries+i*mbrEntrySize:][:mbrEntrySize]
		if entry[mbrType] == mbrProtective {
			return s.gpt()
		}
		if m, err := s.at(int64(binary.LittleEndian.Uint32(entry[mbrFirst:])) * 512); m != nil ||
			err != nil {
			return m, err
		}
	}
	return nil, nil
}

// gpt looks at the start of each partition of a GPT, whose sectors have 512 or 4096 bytes.
func (s *search) gpt() (*Image, error) {
	for _, sector := range []int64{512, 4096} {
		var header [gptHeaderSize]byte
		if _, err := s.r.ReadAt(header[:], sector); err != nil {
			return nil, unlessEOF(err)
		}
		if string(header[:len(gptMagic)]) != gptMagic {
			continue
		}
		at := binary.LittleEndian.Uint64(header[gptEntriesAt:])
		n := min(binary.LittleEndian.Uint32(header[gptCount:]), maxPartitions)
		length := int64(binary.LittleEndian.Uint32(header[gptLength:]))
		if length < gptEntryMin || length > maxGPTEntrySize || at > uint64(s.size/sector) {
			return nil, nil
		}
		return s.gptEntries(io.NewSectionReader(s.r, int64(at)*sector, int64(n)*length), int64(n),
			length, sector)
	}
	return nil, nil
}

func (s *search) gptEntries(r io.ReaderAt, n, length, sector int64) (*Image, error) {
	for i := range n {
		var entry [gptEntryMin]byte
		if _, err := r.ReadAt(entry[:], i*length); err != nil {
			return nil, unlessEOF(err)
		}
		first := binary.LittleEndian.Uint64(entry[gptFirst:])
		if first > uint64(s.size/sector) {
			continue
		}
		if m, err := s.at(int64(first) * sector); m != nil || err != nil {
			return m, err
		}
	}
	return nil, nil
}
