package initramfs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/mkimage/tree"
)

// File types in the mode of a cpio header, as in stat(2).
var modes = map[tree.Type]uint32{
	tree.Directory: 0o040000, tree.Regular: 0o100000, tree.Symlink: 0o120000,
}

const sizeMax = 1<<32 - 1 // of a file in a cpio archive, in bytes

// counter counts the bytes written through it.
type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

// writeArchive writes a tree as a cpio archive in the "newc" format, which the kernel's
// Documentation/driver-api/early-userspace/buffer-format.rst describes. Everything belongs to root.
// Inodes are numbered in path order.
func writeArchive(ctx context.Context, w io.Writer, t tree.Tree, time uint32) error {
	a := &archive{w: w, time: time}
	entries := t.Entries()
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if entries[i].Path == "" {
			continue // the kernel's own
		}
		if err := a.member(t, i, &entries[i]); err != nil {
			return fmt.Errorf("/%s: %w", entries[i].Path, err)
		}
	}
	return a.close()
}

type archive struct {
	w     io.Writer
	time  uint32
	inode uint32
}

func (a *archive) member(t tree.Tree, i int, e *tree.Entry) error {
	mode, ok := modes[e.Type]
	if !ok {
		return fmt.Errorf("a file of type %d", e.Type)
	}
	size := int64(len(e.Target))
	if e.Type == tree.Regular {
		size = e.Size
	}
	if size > sizeMax {
		return fmt.Errorf("%d bytes, and an archive takes %d", size, int64(sizeMax))
	}
	links := uint32(1)
	if e.Type == tree.Directory {
		links = 2
	}
	a.inode++
	if err := a.header(e.Path, mode|uint32(e.Mode), links, a.time, uint32(size)); err != nil {
		return err
	}
	if e.Type != tree.Regular {
		return a.pad([]byte(e.Target), 0)
	}
	r, err := t.Open(i)
	if err != nil {
		return err
	}
	n, err := io.Copy(a.w, io.LimitReader(r, size+1))
	if err == nil && n != size {
		err = fmt.Errorf("it has %d bytes, not %d: %w", n, size, io.ErrUnexpectedEOF)
	}
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	return a.pad(nil, size)
}

// header writes a header with its name.
func (a *archive) header(name string, mode, links, time, size uint32) error {
	h := fmt.Appendf(nil, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", a.inode, mode, 0,
		0, links, time, size, 0, 0, 0, 0, len(name)+1, 0)
	return a.pad(append(append(h, name...), 0), 0)
}

// pad writes bytes, and zeros up to a multiple of 4 behind them and those that were written before.
func (a *archive) pad(b []byte, before int64) error {
	n := before + int64(len(b))
	_, err := a.w.Write(append(b, make([]byte, -n&3)...))
	return err
}

// close writes the member that ends an archive.
func (a *archive) close() error {
	a.inode = 0
	return a.header("TRAILER!!!", 0, 1, 0, 0)
}
