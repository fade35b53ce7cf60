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

// prefetchStep is how many bytes are asked for ahead of those that are waited for: some of the
// largest requests that disks take.
const prefetchStep = 2 << 20

// Prefetch reads into the page cache what a boot needs of the image in f, a block device or a file: its
// tables, then the data that lead the image ([mkimage.Options].Order), in one sweep of large requests. It reads
// at most limit bytes and returns how many. An image without an order has only its tables read.
//
// It helps where squashfs reads through that cache: when the image is mounted by a loop device on f.
// Mounted from a block device itself, squashfs reads past it.
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
	var read int64
	for _, part := range []Range{
		{info.Tables, info.BytesUsed - info.Tables},
		{0, min(trailer.HotEnd, info.Tables)},
	} {
		part.Length = min(part.Length, limit-read)
		n, err := sweep(ctx, f, part)
		read += n
		if err != nil {
			return read, fmt.Errorf("prefetch %s: %w", f.Name(), err)
		}
	}
	return read, nil
}

// sweep reads a range from front to back, always one step ahead.
func sweep(ctx context.Context, f *os.File, r Range) (int64, error) {
	buf := make([]byte, prefetchStep)
	for at := r.Offset; at < r.End(); at += prefetchStep {
		if err := ctx.Err(); err != nil {
			return at - r.Offset, err
		}
		// With what is ahead asked for in one piece, the kernel makes requests as large as the disk takes.
		ahead := min(2*prefetchStep, r.End()-at)
		if err := unix.Fadvise(int(f.Fd()), at, ahead, unix.FADV_WILLNEED); err != nil && !errors.Is(err, unix.EINVAL) {
			return at - r.Offset, os.NewSyscallError("fadvise", err)
		}
		if _, err := f.ReadAt(buf[:min(prefetchStep, r.End()-at)], at); err != nil {
			return at - r.Offset, err
		}
	}
	return max(r.Length, 0), nil
}
