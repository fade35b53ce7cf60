package layers

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/mkimage/tree"
)

// WriteTar writes a tree as an archive of pax(1), with numbers for owners. The same tree gives the
// same bytes.
func WriteTar(ctx context.Context, w io.Writer, t tree.Tree) error {
	out := tar.NewWriter(w)
	entries := t.Entries()
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		h := header(&entries[i])
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("/%s: %w", entries[i].Path, err)
		}
		if h.Typeflag == tar.TypeReg {
			if err := copyContent(out, t, i); err != nil {
				return err
			}
		}
	}
	return out.Close()
}

var tarTypes = map[tree.Type]byte{
	tree.Directory: tar.TypeDir, tree.Regular: tar.TypeReg, tree.Symlink: tar.TypeSymlink,
	tree.BlockDevice: tar.TypeBlock, tree.CharDevice: tar.TypeChar, tree.FIFO: tar.TypeFifo,
}

func header(e *tree.Entry) *tar.Header {
	h := &tar.Header{
		Format: tar.FormatPAX, Typeflag: tarTypes[e.Type], Name: "./" + e.Path, Mode: int64(e.Mode),
		Uid: int(e.UID), Gid: int(e.GID), ModTime: time.Unix(int64(e.ModTime), 0), Linkname: e.Target,
		Devmajor: int64(e.Major), Devminor: int64(e.Minor), PAXRecords: map[string]string{},
	}
	for _, x := range e.Xattrs {
		h.PAXRecords["SCHILY.xattr."+x.Name] = string(x.Value)
	}
	switch {
	case e.Link != "":
		h.Typeflag, h.Linkname = tar.TypeLink, "./"+e.Link
	case e.Type == tree.Regular:
		h.Size = e.Size
	case e.Type == tree.Directory && e.Path != "":
		h.Name += "/"
	}
	return h
}

func copyContent(w io.Writer, t tree.Tree, i int) error {
	r, err := t.Open(i)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, r.Close())
}

// WriteFolder writes a tree into a folder that is not there yet, with owners and attributes, which
// mostly only root may. The folder has its name once it is whole. When WriteFolder fails, there is
// none.
func WriteFolder(ctx context.Context, dir string, t tree.Tree) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("%s: %w", dir, fs.ErrExist))
	}
	part, err := os.MkdirTemp(filepath.Dir(dir), "deltaup-*.tmp")
	if err != nil {
		return err
	}
	err = fillFolder(ctx, part, t)
	if err == nil {
		err = os.Rename(part, dir)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	return nil
}

func fillFolder(ctx context.Context, dir string, t tree.Tree) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	entries := t.Entries()
	for i := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeEntry(root, t, i); err != nil {
			return fmt.Errorf("/%s: %w", entries[i].Path, err)
		}
	}
	// times of folders last: what is put into them changes these
	for i := len(entries) - 1; i >= 0; i-- {
		e := &entries[i]
		at := time.Unix(int64(e.ModTime), 0)
		if e.Link != "" {
			continue
		}
		if e.Type == tree.Symlink {
			times := []unix.Timespec{unix.NsecToTimespec(at.UnixNano()), unix.NsecToTimespec(at.UnixNano())}
			name := filepath.Join(dir, e.Path)
			if err := unix.UtimesNanoAt(unix.AT_FDCWD, name, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			continue
		}
		if err := root.Chtimes(inRoot(e.Path), at, at); err != nil {
			return err
		}
	}
	return nil
}

// inRoot names a path for os.Root.
func inRoot(path string) string {
	if path == "" {
		return "."
	}
	return path
}

func writeEntry(root *os.Root, t tree.Tree, i int) error {
	e := &t.Entries()[i]
	name := inRoot(e.Path)
	if e.Link != "" {
		return root.Link(e.Link, name)
	}
	switch e.Type {
	case tree.Directory:
		if e.Path != "" {
			if err := root.Mkdir(name, 0o700); err != nil {
				return err
			}
		}
	case tree.Symlink:
		if err := root.Symlink(e.Target, name); err != nil {
			return err
		}
		return root.Lchown(name, int(e.UID), int(e.GID))
	case tree.Regular:
		f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		err = errors.Join(copyContent(f, t, i), setXattrs(f, e))
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: a file of type %d", ErrForbidden, e.Type)
	}
	if err := root.Lchown(name, int(e.UID), int(e.GID)); err != nil {
		return err
	}
	return root.Chmod(name, mode(e.Mode))
}

func setXattrs(f *os.File, e *tree.Entry) error {
	for _, x := range e.Xattrs {
		if err := unix.Fsetxattr(int(f.Fd()), x.Name, x.Value, 0); err != nil {
			return fmt.Errorf("%s: %w", x.Name, err)
		}
	}
	return nil
}

// mode gives permissions as the os package has them.
func mode(m uint16) os.FileMode {
	mode := os.FileMode(m & 0o777)
	for bit, flag := range map[uint16]os.FileMode{
		0o4000: os.ModeSetuid, 0o2000: os.ModeSetgid, 0o1000: os.ModeSticky,
	} {
		if m&bit != 0 {
			mode |= flag
		}
	}
	return mode
}
