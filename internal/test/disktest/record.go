package disktest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// The log of QEMU's driver blklogwrites, in the format of Linux's dm-log-writes
// (drivers/md/dm-log-writes.c): little-endian, in sectors, of which the first has the head.
const (
	sector   = 512
	logMagic = 0x6a736677736872
	// magic, version and number of entries, of 8 bytes each, then the sector size, of 4 bytes
	logHead  = 28
	logEntry = 32 // first sector, sectors, flags, length of data, of 8 bytes each

	logFlush   = 1
	logFUA     = 2
	logDiscard = 4
)

// Write is one request to a disk.
type Write struct {
	Off   int64 // in bytes
	Data  []byte
	Flush bool  // everything written before is on the disk
	FUA   bool  // this write is on the disk when it is done
	End   int64 // where its entry in the log ends, in bytes
}

// ParseLog reads a log of all requests.
func ParseLog(b []byte) ([]Write, error) {
	if len(b) < logHead || binary.LittleEndian.Uint64(b) != logMagic || binary.LittleEndian.Uint64(b[8:]) != 1 || binary.LittleEndian.Uint32(b[24:]) != sector {
		return nil, fmt.Errorf("not a log of version 1 with sectors of %d bytes", sector)
	}
	entries := binary.LittleEndian.Uint64(b[16:])
	at := uint64(sector)
	var writes []Write
	for range entries {
		if at+sector > uint64(len(b)) {
			return nil, fmt.Errorf("the log ends after %d of %d entries", len(writes), entries)
		}
		e := b[at:]
		first, n, flags := binary.LittleEndian.Uint64(e), binary.LittleEndian.Uint64(e[8:]), binary.LittleEndian.Uint64(e[16:])
		at += sector
		w := Write{Off: int64(first * sector), Flush: flags&logFlush != 0, FUA: flags&logFUA != 0}
		if flags&logDiscard == 0 {
			if at+n*sector > uint64(len(b)) {
				return nil, fmt.Errorf("the log ends within entry %d of %d", len(writes), entries)
			}
			w.Data = b[at : at+n*sector]
			at += n * sector
		}
		w.End = int64(at)
		writes = append(writes, w)
	}
	return writes, nil
}

// Cutter computes what a disk holds after a power cut.
type Cutter struct {
	Writes []Write
	Disk   []byte // as it was before the first write; Cut changes it
	// Super is the offset of a superblock of ext4, whose two sectors no disk may tear, as ext4
	// assumes; 0: none.
	Super int64

	next int // Disk has everything that is durable before this write
}

// Cut gives the disk when the power fails before write n. n must rise from call to call. Whatever
// was flushed is there. Of each write since then chance decides whether all, none or some of its
// sectors are there.
func (c *Cutter) Cut(n int, chance *rand.Rand) []byte {
	flushed := c.next
	for i := c.next; i < n; i++ {
		if c.Writes[i].Flush {
			flushed = i + 1
		}
	}
	for ; c.next < flushed; c.next++ {
		copy(c.Disk[c.Writes[c.next].Off:], c.Writes[c.next].Data)
	}
	image := append([]byte(nil), c.Disk...)
	for _, w := range c.Writes[c.next:n] {
		fate := chance.IntN(3)
		if w.FUA {
			fate = 0
		}
		there := false
		for at := 0; at < len(w.Data); at += sector {
			off := w.Off + int64(at)
			if c.Super == 0 || off != c.Super+sector {
				there = fate == 0 || fate == 1 && chance.IntN(2) == 0
			}
			if there {
				copy(image[off:], w.Data[at:at+sector])
			}
		}
	}
	return image
}
