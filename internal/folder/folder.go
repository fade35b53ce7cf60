// Package folder works in folders whose content nobody has checked, such as those of a medium that
// a stranger had in his hands. Each name is looked up in an open folder: no link is followed, no
// device or pipe is opened, and listings are bounded.
//
// Changes are announced to package durable, so that tests can cut the power before each.
package folder

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrMany is wrapped when a folder has more names than its reader takes.
var ErrMany = errors.New("too many names in a folder")

// ErrKind is wrapped when a name is not of the kind that it should be.
var ErrKind = errors.New("of another kind than it should be")

// Folder is an open folder.
type Folder struct{ f *os.File }

// Open opens a folder that the caller trusts. Links in the path are followed, but not in its last
// name.
func Open(name string) (*Folder, error) { return openAt(unix.AT_FDCWD, name, name) }

func openAt(at int, name, full string) (*Folder, error) {
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := openRetry(at, name, flags, 0)
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s: %w: not a folder", full, ErrKind)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: full, Err: err}
	}
	return &Folder{os.NewFile(uintptr(fd), full)}, nil
}

// openRetry is openat; a signal can interrupt it.
func openRetry(at int, name string, flags int, mode uint32) (fd int, err error) {
	for {
		fd, err = unix.Openat(at, name, flags, mode)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// Close closes the folder.
func (d *Folder) Close() error { return d.f.Close() }

// Name is the folder's path, as it was when it was opened.
func (d *Folder) Name() string { return d.f.Name() }

// File is the open folder itself.
func (d *Folder) File() *os.File { return d.f }

func (d *Folder) fd() int { return int(d.f.Fd()) }

func (d *Folder) path(name string) string { return path.Join(d.f.Name(), name) }

func (d *Folder) fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: d.path(name), Err: err}
}

// check refuses what is no name: whoever calls with a name out of a file may rely on it.
func check(op, name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	return nil
}

// Folder opens a folder in it.
func (d *Folder) Folder(name string) (*Folder, error) {
	if err := check("open", name); err != nil {
		return nil, err
	}
	return openAt(d.fd(), name, d.path(name))
}

// Again opens the same folder once more.
func (d *Folder) Again() (*Folder, error) { return openAt(d.fd(), ".", d.f.Name()) }

// Open opens a regular file for reading.
func (d *Folder) Open(name string) (*os.File, error) {
	s, err := d.Lstat(name) // look first: opening a device may already do something
	if err != nil {
		return nil, err
	}
	if s.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("%s: %w: not a file", d.path(name), ErrKind)
	}
	fd, err := openRetry(d.fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, d.fail("open", name, err)
	}
	f := os.NewFile(uintptr(fd), d.path(name))
	if err := unix.Fstat(fd, &s); err != nil || s.Mode&unix.S_IFMT != unix.S_IFREG {
		f.Close()
		return nil, errors.Join(d.fail("stat", name, err), fmt.Errorf("%s: %w: not a file", d.path(name), ErrKind))
	}
	return f, nil
}

// Read gives the bytes of a regular file, which must have at most limit.
func (d *Folder) Read(name string, limit int64) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	p, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(p)) > limit {
		err = fmt.Errorf("%s: %w: more than %d bytes", d.path(name), ErrKind, limit)
	}
	return p, err
}

// Lstat tells what a name is.
func (d *Folder) Lstat(name string) (s unix.Stat_t, err error) {
	if err := check("stat", name); err != nil {
		return s, err
	}
	return s, d.fail("stat", name, unix.Fstatat(d.fd(), name, &s, unix.AT_SYMLINK_NOFOLLOW))
}

// Stat tells about the folder itself.
func (d *Folder) Stat() (s unix.Stat_t, err error) {
	return s, d.fail("stat", "", unix.Fstat(d.fd(), &s))
}

// ReadOnly tells whether the folder's file system takes no changes.
func (d *Folder) ReadOnly() bool {
	var s unix.Statfs_t
	return unix.Fstatfs(d.fd(), &s) == nil && s.Flags&unix.ST_RDONLY != 0
}

// Readlink gives the target of a symbolic link.
func (d *Folder) Readlink(name string) (string, error) {
	if err := check("readlink", name); err != nil {
		return "", err
	}
	p := make([]byte, unix.PathMax+1)
	n, err := unix.Readlinkat(d.fd(), name, p)
	if err != nil {
		return "", d.fail("readlink", name, err)
	}
	return string(p[:n]), nil
}

// Names lists the folder, sorted by bytes. With more than limit names the error wraps ErrMany.
func (d *Folder) Names(limit int) ([]string, error) {
	names, err := d.some(limit + 1)
	if err == nil && len(names) > limit {
		err = fmt.Errorf("%s: %w: more than %d", d.f.Name(), ErrMany, limit)
	}
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// some gives at most limit names of the folder.
func (d *Folder) some(limit int) ([]string, error) {
	again, err := d.Again() // with an offset of its own
	if err != nil {
		return nil, err
	}
	defer again.Close() // nothing was written
	names, err := again.f.Readdirnames(limit)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return names, err
}
