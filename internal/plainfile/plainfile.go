// Package plainfile opens files that somebody has named, and refuses anything else in their place:
// opening a named pipe blocks until somebody writes to it, and opening a device may do anything.
package plainfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// ErrTooLong is wrapped when a file exceeds its limit.
var ErrTooLong = errors.New("too long")

// ErrKind is wrapped when a path leads to something that cannot be read as a file.
var ErrKind = errors.New("not a regular file")

// Open opens a regular file for reading. Errors wrap ErrKind or are those of the system.
func Open(path string) (*os.File, error) { return open(path, false) }

// OpenDevice opens a regular file or a block device for reading.
func OpenDevice(path string) (*os.File, error) { return open(path, true) }

func open(path string, device bool) (*os.File, error) {
	info, err := os.Stat(path) // look first: opening a device may already do something
	if err != nil {
		return nil, err
	}
	if err := check(path, info.Mode(), device); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil { // somebody may have replaced it meanwhile
		err = check(path, info.Mode(), device)
	}
	if err == nil {
		err = unix.SetNonblock(int(f.Fd()), false)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func check(path string, mode fs.FileMode, device bool) error {
	kind := ""
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		kind = "a directory"
	case mode&fs.ModeNamedPipe != 0:
		kind = "a pipe"
	case mode&fs.ModeSocket != 0:
		kind = "a socket"
	case mode&fs.ModeCharDevice != 0:
		kind = "a character device"
	case device:
		return nil
	default:
		kind = "a block device"
	}
	return &kindError{path, kind}
}

// kindError is an ErrKind that says what the path leads to.
type kindError struct{ path, kind string }

func (e *kindError) Error() string   { return e.path + ": is " + e.kind }
func (e *kindError) Is(t error) bool { return t == ErrKind }

// Read gives the bytes of a regular file, at most limit. The error for a longer file wraps
// ErrTooLong.
func Read(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: %w: more than %d bytes", path, ErrTooLong, limit)
	}
	return b, err
}
