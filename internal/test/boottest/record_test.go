package boottest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
)

// The log of QEMU's driver blklogwrites, in the format of Linux's dm-log-writes
// (drivers/md/dm-log-writes.c): little-endian, in sectors, of which the first has the head.
const (
	logMagic = 0x6a736677736872
	// magic, version and number of entries, of 8 bytes each, then the sector size, of 4 bytes
	logHead  = 28
	logEntry = 32 // first sector, sectors, flags, length of data, of 8 bytes each

	logFlush   = 1
	logFUA     = 2
	logDiscard = 4
)

// diskWrite is one request to a disk.
type diskWrite struct {
	off   int64
	data  []byte
	flush bool // everything written before is on the disk
	fua   bool // this write is on the disk when it is done
}

// parseLog reads a log.
func parseLog(b []byte) ([]diskWrite, error) {
	if len(b) < logHead || binary.LittleEndian.Uint64(b) != logMagic || binary.LittleEndian.Uint64(b[8:]) != 1 || binary.LittleEndian.Uint32(b[24:]) != sector {
		return nil, fmt.Errorf("not a log of version 1 with sectors of %d bytes", sector)
	}
	entries := binary.LittleEndian.Uint64(b[16:])
	at := uint64(sector)
	var writes []diskWrite
	for range entries {
		if at+sector > uint64(len(b)) {
			return nil, fmt.Errorf("the log ends after %d of %d entries", len(writes), entries)
		}
		e := b[at:]
		first, n, flags := binary.LittleEndian.Uint64(e), binary.LittleEndian.Uint64(e[8:]), binary.LittleEndian.Uint64(e[16:])
		at += sector
		w := diskWrite{off: int64(first * sector), flush: flags&logFlush != 0, fua: flags&logFUA != 0}
		if flags&logDiscard == 0 {
			if at+n*sector > uint64(len(b)) {
				return nil, fmt.Errorf("the log ends within entry %d of %d", len(writes), entries)
			}
			w.data = b[at : at+n*sector]
			at += n * sector
		}
		writes = append(writes, w)
	}
	return writes, nil
}

// cutter computes what a disk holds after a power cut.
type cutter struct {
	writes []diskWrite
	disk   []byte // with everything that is durable before write next
	next   int
	// offset of a superblock of ext4, whose two sectors no disk may tear, as ext4 assumes; 0: none
	super int64
}

// cut gives the disk when the power fails before write n. n must rise from call to call. Whatever
// was flushed is there. Of each write since then chance decides whether all, none or some of its
// sectors are there.
func (c *cutter) cut(n int, chance *rand.Rand) []byte {
	flushed := c.next
	for i := c.next; i < n; i++ {
		if c.writes[i].flush {
			flushed = i + 1
		}
	}
	for ; c.next < flushed; c.next++ {
		copy(c.disk[c.writes[c.next].off:], c.writes[c.next].data)
	}
	image := append([]byte(nil), c.disk...)
	for _, w := range c.writes[c.next:n] {
		fate := chance.IntN(3)
		if w.fua {
			fate = 0
		}
		there := false
		for at := 0; at < len(w.data); at += sector {
			off := w.off + int64(at)
			if c.super == 0 || off != c.super+sector {
				there = fate == 0 || fate == 1 && chance.IntN(2) == 0
			}
			if there {
				copy(image[off:], w.data[at:at+sector])
			}
		}
	}
	return image
}
