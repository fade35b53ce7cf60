// Package inside opens a file of a folder and never one outside of it.
package inside

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// Both are about a file that is there.
var (
	ErrOutside   = errors.New("is a link that leads out of the mirror's folder")
	ErrIrregular = errors.New("is no regular file") // but a folder, a device or a fifo
)

// Open opens a regular file below dir, which may itself be a link. Links are followed as long
// as they stay within it. Errors leave its path out.
func Open(dir, name string) (*os.File, os.FileInfo, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, reason(err)
	}
	defer root.Close() // only read
	// Opening a fifo would wait for a writer.
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, reason(err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrIrregular
	}
	if err != nil {
		_ = f.Close() // nothing was read
		return nil, nil, reason(err)
	}
	return f, info, nil
}

// reason is a path error's cause. Of those that an [os.Root] gives, what no system call says is
// that a path leads out.
func reason(err error) error {
	var at *fs.PathError
	if !errors.As(err, &at) {
		return err
	}
	var number syscall.Errno
	if !errors.As(at.Err, &number) && !errors.Is(at.Err, fs.ErrNotExist) &&
		!errors.Is(at.Err, fs.ErrClosed) {
		return ErrOutside
	}
	return at.Err
}
