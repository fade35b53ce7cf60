// Package medium reads files and block devices from the medium that stores them, past the page
// cache.
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

// Align is the size, in bytes, of which addresses, offsets and lengths of reads past the page cache
// must be multiples: a page, and no less than a sector of any disk.
const Align = 4 << 10

// Buffer gives n bytes at an address that is a multiple of Align.
func Buffer(n int) []byte {
	b := make([]byte, n+Align-1)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & (Align - 1))
	return b[skip : skip+n : skip+n]
}

// Reader reads a file or block device from its medium, with O_DIRECT where possible. It is safe for
// concurrent use.
type Reader struct {
	f      *os.File
	once   sync.Once
	direct *os.File // f, opened with O_DIRECT; nil: not possible
}

// NewReader returns a Reader of f, which must stay open.
func NewReader(f *os.File) *Reader { return &Reader{f: f} }

// Close closes the Reader and leaves f open.
func (r *Reader) Close() error {
	if r.direct == nil {
		return nil
	}
	return r.direct.Close()
}

// ReadAt reads len(p) bytes from the medium. It first writes out what is still in memory of them.
// It is quick when the address of p, len(p) and off are multiples of Align. At the end of the file
// it returns the bytes before the end and io.EOF.
func (r *Reader) ReadAt(p []byte, off int64) (int, error) {
	r.once.Do(func() {
		// Open it by its descriptor, since its path may lead elsewhere by now.
		r.direct, _ = os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", r.f.Fd()),
			os.O_RDONLY|unix.O_DIRECT, 0)
	})
	if r.direct != nil && len(p) > 0 &&
		(uint64(uintptr(unsafe.Pointer(&p[0])))|uint64(off)|uint64(len(p)))%Align == 0 {
		n, err := readDirect(r.direct, p, off)
		// some file systems accept O_DIRECT in open and refuse reads with EINVAL
		if !errors.Is(err, unix.EINVAL) {
			return n, err
		}
	}
	if err := r.drop(off, int64(len(p))); err != nil {
		return 0, fmt.Errorf("%s: drop cache: %w", r.f.Name(), err)
	}
	return r.f.ReadAt(p, off)
}

// Copy writes all bytes of a file or block device to w, as its medium has them.
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

// readDirect fills p. Unlike [os.File.ReadAt] it stops after a read that ends within a sector,
// where the file ends.
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

// drop drops a range from the page cache, so that later reads come from the medium.
func (r *Reader) drop(off, n int64) error {
	fd := int(r.f.Fd())
	const out = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE |
		unix.SYNC_FILE_RANGE_WAIT_AFTER
	if err := unix.SyncFileRange(fd, off, n, out); err != nil { // dirty pages cannot be dropped
		if err := unix.Fdatasync(fd); err != nil {
			return err
		}
	}
	first := off &^ (Align - 1) // the kernel would keep pages that the range only touches
	return unix.Fadvise(fd, first, off+n-first+Align, unix.FADV_DONTNEED)
}
