package trace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
)

// prefetchStep is how many bytes Prefetch asks for at once: 127 pages, the most that one request to
// many an NVMe disk can name. The kernel would split 512 KiB into two requests. Disks that take
// larger requests lose little.
const prefetchStep = 127 * 4096

// Prefetch reads what a boot needs of the image in f, a block device or a file, into the page
// cache: its tables, then the data that lead the image ([mkimage.Options].Order), in one sweep of
// large requests. It reads at most limit bytes and returns how many it read. Of an image without an
// order it reads only the tables.
//
// Prefetch helps when the image is mounted through a loop device on f, since squashfs then reads
// through the page cache of f. Mounted directly from a block device, squashfs bypasses that cache.
func Prefetch(ctx context.Context, f *os.File, limit int64) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, fmt.Errorf("prefetch: %w", err)
	}
	m, err := squashfs.Open(f, size)
	if err != nil {
		return 0, fmt.Errorf("prefetch %s: %w", f.Name(), err)
	}
	trailer, _, err := mkimage.ReadTrailer(m)
	if err != nil {
		return 0, fmt.Errorf("prefetch %s: %w", f.Name(), err)
	}
	info := m.Info()
	tables := info.Tables &^ 4095 // begin at a page, so that steps are whole pages
	var read int64
	for _, part := range []byteRange{
		{tables, info.BytesUsed - tables},
		{0, min(trailer.HotEnd, info.Tables)},
	} {
		part.length = min(part.length, limit-read)
		n, err := sweep(ctx, f, part)
		read += n
		if err != nil {
			return read, fmt.Errorf("prefetch %s: %w", f.Name(), err)
		}
	}
	return read, nil
}

// stepsAhead is how many steps sweep asks for before it waits for the first, so that the disk is
// never idle.
const stepsAhead = 4

// sweep reads a range from front to back. It asks for some steps ahead.
func sweep(ctx context.Context, f *os.File, r byteRange) (int64, error) {
	buf := make([]byte, prefetchStep)
	asked := r.offset
	for at := r.offset; at < r.end(); at += prefetchStep {
		if err := ctx.Err(); err != nil {
			return at - r.offset, err
		}
		for ; asked < min(at+stepsAhead*prefetchStep, r.end()); asked += prefetchStep {
			err := unix.Fadvise(int(f.Fd()), asked, min(prefetchStep, r.end()-asked),
				unix.FADV_WILLNEED)
			if err != nil && !errors.Is(err, unix.EINVAL) {
				return at - r.offset, os.NewSyscallError("fadvise", err)
			}
		}
		if _, err := f.ReadAt(buf[:min(prefetchStep, r.end()-at)], at); err != nil {
			return at - r.offset, err
		}
	}
	return max(r.length, 0), nil
}
