package rootfs

import (
	"errors"
	"io"
)

// blockSize is the unit of a tar archive.
const blockSize = 512

// cursor reads the headers of a tar archive for archive/tar, through a small buffer. It knows its
// position, and skips contents without reading them.
type cursor struct {
	r        *io.SectionReader
	pos      int64
	buf      []byte // bytes of the archive from bufStart on
	bufStart int64
	space    [8 << 10]byte

	// header is the position of the first whole block that was read since mark, or -1. There the
	// first header of the next entry lies: archive/tar reads headers block by block, and what it
	// skips before a header in smaller or larger pieces.
	header int64
}

func newCursor(r *io.SectionReader) *cursor { return &cursor{r: r, header: -1} }

// mark begins the next entry.
func (c *cursor) mark() { c.header = -1 }

// atEnd reports whether the block of zeros that ends an archive was read since mark. archive/tar
// takes the end of the file after any block for the end of the archive.
func (c *cursor) atEnd() bool {
	var block [blockSize]byte
	if c.header < 0 {
		return false
	}
	n, _ := c.r.ReadAt(block[:], c.header)
	return n == blockSize && block == [blockSize]byte{}
}

func (c *cursor) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	at := c.pos - c.bufStart
	if at < 0 || at >= int64(len(c.buf)) {
		n, err := c.r.ReadAt(c.space[:], c.pos)
		if n == 0 {
			return 0, err
		}
		c.buf, c.bufStart, at = c.space[:n], c.pos, 0
	}
	n := copy(p, c.buf[at:])
	if len(p) == blockSize && c.header < 0 {
		c.header = c.pos
	}
	c.pos += int64(n)
	return n, nil
}

// Seek implements io.Seeker as far as archive/tar needs it.
func (c *cursor) Seek(offset int64, whence int) (int64, error) {
	if whence != io.SeekCurrent || offset < 0 || c.pos+offset < 0 {
		return 0, errors.New("unexpected seek")
	}
	c.pos += offset
	return c.pos, nil
}
