package medium

import (
	"cmp"
	"errors"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Salvage is an [io.ReaderAt] that reads on where a medium fails: it gives zeros for what cannot be
// read. Who uses it must know by other means what the bytes ought to be.
type Salvage struct {
	R    io.ReaderAt
	Size int64 // of what R reads: nothing is made up behind its end
	// is told of each run of bytes that is zero for that; may be nil
	Bad func(off, n int64, err error)
}

// ReadAt reads len(p) bytes. Its errors are io.EOF, and those that no sector is to blame for: see
// [Failed].
func (s *Salvage) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.read(p, off)
	if !Failed(err) {
		return n, err
	}
	if left := max(s.Size-off, 0); int64(len(p)) > left {
		n, err = s.ReadAt(p[:left], off)
		return n, cmp.Or(err, io.EOF)
	}
	// Once more, in the smallest pieces that a disk may have, so that no good byte is given up for
	// a bad neighbour.
	for n = 0; n < len(p); {
		at := off + int64(n)
		piece := p[n:min(len(p), n+int(Align-at%Align))]
		m, err := s.read(piece, at)
		if Failed(err) {
			clear(piece)
			if s.Bad != nil {
				s.Bad(at, int64(len(piece)), err)
			}
			m, err = len(piece), nil
		}
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

func (s *Salvage) read(p []byte, off int64) (int, error) {
	if err := fault(s.R, off, int64(len(p))); err != nil {
		return 0, err
	}
	return s.R.ReadAt(p, off)
}

// Failed tells whether err is the medium's, about the place that was to be read: another one may be
// read.
func Failed(err error) bool {
	var errno unix.Errno
	if err == nil || err == io.EOF || errors.Is(err, fs.ErrClosed) || !errors.As(err, &errno) {
		return false
	}
	switch errno {
	case unix.EIO,
		unix.EREMOTEIO,
		unix.ENODATA,
		unix.EILSEQ,
		unix.EBADMSG,
		unix.EUCLEAN,
		unix.ETIMEDOUT,
		unix.ENOLINK:
		return true
	}
	return false
}
