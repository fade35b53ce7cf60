// Package medium reads what files and block devices have stored, past the page cache.
package medium

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Align is what addresses, offsets and lengths of reads have to be multiples of to go past the page
// cache: a page, and no less than the sector of any disk.
const Align = 4 << 10

// Buffer gives n bytes at a multiple of Align.
func Buffer(n int) []byte {
	b := make([]byte, n+Align-1)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & (Align - 1))
	return b[skip : skip+n : skip+n]
}

// Reader reads a file or block device from what it is stored on, with O_DIRECT where that is
// possible. It may be used concurrently.
type Reader struct {
	f      *os.File
	once   sync.Once
	direct *os.File // nil: not possible
}

// NewReader makes one for f, which must stay open.
func NewReader(f *os.File) *Reader { return &Reader{f: f} }

// Close leaves f open.
func (r *Reader) Close() error {
	if r.direct == nil {
		return nil
	}
	return r.direct.Close()
}

// ReadAt reads len(p) bytes from the medium; what was written there and is in memory goes out
// first. It is quick when p and off are aligned. At the end of a file it returns what there is and
// io.EOF.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	r.once.Do(func() {
		// By its descriptor: the path may lead elsewhere by now.
		r.direct, _ = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", r.f.Fd()),
			os.O_RDONLY|unix.O_DIRECT, 0)
	})
	if r.direct != nil && len(p) > 0 &&
		(uint64(uintptr(unsafe.Pointer(&p[0])))|uint64(off)|uint64(len(p)))%Align == 0 {
		n, err := readDirect(r.direct, p, off)
		// which a file system gives that takes O_DIRECT and does not have it
		if !errors.Is(err, unix.EINVAL) {
			return n, err
		}
	}
	if err := r.drop(off, int64(len(p))); err != nil {
		return 0, fmt.Errorf("%s: drop cache: %w", r.f.Name(), err)
	}
	return r.f.ReadAt(p, off)
}

// Copy writes all of a file or block device to w, as its medium has it.
func Copy(w io.Writer, f *os.File) error {
	r := NewReader(f)
	buf := Buffer(1 << 20)
	for off := int64(0); ; {
		if err := fault(r, off, int64(len(buf))); err != nil {
			return errors.Join(err, r.Close())
		}
		n, err := r.ReadAt(buf, off)
		off += int64(n)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return errors.Join(werr, r.Close())
		}
		if err == io.EOF {
			return r.Close()
		}
		if err != nil {
			return errors.Join(err, r.Close())
		}
	}
}

// readDirect fills p. Unlike [os.File.ReadAt] it does not ask on from within a sector, where a file
// may end.
func readDirect(f *os.File, p []byte, off int64) (n int, err error) {
	for n < len(p) && n%Align == 0 {
		m, err := unix.Pread(int(f.Fd()), p[n:], off+int64(n))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return n, &os.PathError{Op: "read", Path: f.Name(), Err: err}
		case m == 0:
			return n, io.EOF
		}
		n += m
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// drop makes later reads of a range come from the medium.
func (r *Reader) drop(off, n int64) error {
	fd := int(r.f.Fd())
	const out = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	if err := unix.SyncFileRange(fd, off, n, out); err != nil { // dirty pages cannot be dropped
		if err := unix.Fdatasync(fd); err != nil {
			return err
		}
	}
	first := off &^ (Align - 1) // pages that are named in part alone would stay
	return unix.Fadvise(fd, first, off+n-first+Align, unix.FADV_DONTNEED)
}
