package medium

import (
	"cmp"
	"errors"
	"io"
	"io/fs"

	"golang.org/x/sys/unix"
)

// Salvage is an [io.ReaderAt] that reads on where a medium fails: it gives zeros for bytes that
// cannot be read. Its user must verify the bytes by other means.
type Salvage struct {
	R    io.ReaderAt
	Size int64 // bytes of R, behind which Salvage makes up nothing
	// Bad is called for each run of bytes that cannot be read; may be nil.
	Bad func(off, n int64, err error)
}

// ReadAt reads len(p) bytes. Its errors are io.EOF, and errors that are not the medium's, see
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
	// Read again, in the smallest sectors of any disk, so that no good byte is lost for a bad
	// neighbour.
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

// Failed tells whether err says that the medium could not read one place. Others may still be
// readable.
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
