package settings

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"deltaup/internal/folder"
)

// folderTree is an image that is mounted, or a folder that is like one.
type folderTree struct {
	top  *folder.Folder
	root *os.Root
}

// maxImageNames bounds the names of a folder of an image. Nobody has more, and an image is trusted.
const maxImageNames = 1_000_000

func openFolderTree(name string) (*folderTree, error) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	top, err := folder.Open(name + "/.") // a link to the folder is followed
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &folderTree{top, root}, nil
}

func (t *folderTree) fs() fs.FS    { return t.root.FS() }
func (t *folderTree) close() error { return errors.Join(t.top.Close(), t.root.Close()) }

// parent opens the folder that a path is in. The caller closes it.
func (t *folderTree) parent(full string) (*folder.Folder, string, error) {
	d, name, err := descend(t.top, full[1:])
	if errors.Is(err, folder.ErrKind) { // a link, or a file
		err = &fs.PathError{Op: "open", Path: full, Err: fs.ErrNotExist}
	}
	return d, name, err
}

func (t *folderTree) find(full string) (*found, error) {
	d, name, err := t.parent(full)
	if err != nil {
		return nil, err
	}
	defer d.Close() // nothing was written
	return t.found(d, name, full)
}

func (t *folderTree) found(d *folder.Folder, name, full string) (*found, error) {
	s, err := d.Lstat(name)
	if err != nil {
		return nil, err
	}
	f := &found{Entry: entryOf(full, &s)}
	switch f.Kind {
	case "":
		f.other = true
	case Link:
		f.Target, err = d.Readlink(name)
	case Folder:
		var inner *folder.Folder
		if inner, err = d.Folder(name); err == nil {
			f.Xattrs, err = xattrs(inner.File())
			err = errors.Join(err, inner.Close())
		}
	case File:
		var r *os.File
		if r, err = d.Open(name); err == nil {
			f.Xattrs, err = xattrs(r)
			err = errors.Join(err, r.Close())
		}
		f.open = func() (io.ReadCloser, error) {
			d, name, err := t.parent(full)
			if err != nil {
				return nil, err
			}
			defer d.Close() // nothing was written
			return d.Open(name)
		}
	}
	return f, err
}

func (t *folderTree) walk(full string, want func(string) bool, fn func(*found) error) error {
	d, name, err := t.parent(full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.Close() // nothing was written
	return t.walkName(d, name, full, want, fn)
}

func (t *folderTree) walkName(d *folder.Folder, name, full string, want func(string) bool, fn func(*found) error) error {
	if !want(full) {
		return nil
	}
	f, err := t.found(d, name, full)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		if f.Kind == File { // the folder is open as long as fn runs
			f.open = func() (io.ReadCloser, error) { return d.Open(name) }
		}
		err = fn(f)
	}
	if err != nil || f.Kind != Folder {
		return err
	}
	inner, err := d.Folder(name)
	if err != nil {
		return err
	}
	defer inner.Close() // nothing was written
	names, err := inner.Names(maxImageNames)
	for _, name := range names {
		if err == nil {
			err = t.walkName(inner, name, path.Join(full, name), want, fn)
		}
	}
	return err
}

// entryOf is what stat tells of an entry. The kind of what can be none is "".
func entryOf(full string, s *unix.Stat_t) Entry {
	e := Entry{Path: full, Mode: s.Mode & 0o7777, UID: s.Uid, GID: s.Gid}
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		e.Kind, e.Size = File, s.Size
	case unix.S_IFDIR:
		e.Kind = Folder
	case unix.S_IFLNK:
		e.Kind, e.Mode = Link, 0
	}
	return e
}

// xattrs reads those attributes of an open file or folder that are kept. More than an entry may have
// is an error that wraps ErrTooMuch.
func xattrs(f *os.File) ([]Xattr, error) {
	fail := func(err error) error { return &fs.PathError{Op: "read attributes of", Path: f.Name(), Err: err} }
	n, err := unix.Flistxattr(int(f.Fd()), nil)
	if errors.Is(err, unix.ENOTSUP) || n == 0 && err == nil {
		return nil, nil
	}
	names := make([]byte, maxXattr)
	if err == nil {
		n, err = unix.Flistxattr(int(f.Fd()), names)
	}
	if err != nil {
		return nil, fail(err)
	}
	var all []Xattr
	size := 0
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names[:n]), "\x00"), "\x00") {
		if !validXattr(name) {
			continue
		}
		value := make([]byte, maxXattr)
		n, err := unix.Fgetxattr(int(f.Fd()), name, value)
		if errors.Is(err, unix.ENODATA) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, fail(err)
		}
		if size += len(name) + n; size > maxXattr {
			return nil, fail(ErrTooMuch)
		}
		all = append(all, Xattr{name, string(value[:n])})
	}
	sortBy(all, xattrName)
	return all, nil
}
