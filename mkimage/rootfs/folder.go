package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/mkimage/tree"
)

// FromFolder reads the tree below the folder dir, with other file systems that are mounted in it
// unless Options.OneFileSystem is set. The root has the attributes of dir. A file that cannot be
// read is an error, unless Options.Filter leaves it out.
//
// A tar archive of dir gives the same tree, except for hard links of devices, pipes and sockets,
// which neither GNU tar nor bsdtar records, and for sockets, which no archive holds.
//
// A process that is not root cannot see "trusted." attributes, and its files have its own owner,
// which Options.Owner can replace.
func FromFolder(ctx context.Context, dir string, o Options) (tree.Tree, error) {
	c, err := newCollection(o)
	if err != nil {
		return nil, err
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("read folder: %w", err)
	}
	sub, err := followInFolder(root, c.options.Subdir)
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", dir, err)
	}
	root = filepath.Join(root, sub)
	w := &walker{
		collection: c,
		root:       root,
		inodes:     make(map[inode]uint32),
		xattrs:     newXattrReader(),
		outputs:    findOutputs(o.Outputs),
	}
	if o.OneFileSystem {
		if w.mount, err = mountOf(root); err != nil {
			return nil, fmt.Errorf("read folder %s: %w", dir, err)
		}
	}
	if err := w.visit(ctx, "", verdict{}); err != nil {
		return nil, fmt.Errorf("read folder %s: %w", dir, err)
	}
	c.notes = w.outputs.left.warn(c.notes, "names left out of what is written here")
	t, err := c.finish(dir)
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", dir, err)
	}
	t.open = func(e *tree.Entry, _ int64) (io.ReadCloser, error) {
		return openRegular(filepath.Join(root, e.Path), e.Size)
	}
	return t, nil
}

// inode identifies a file with several names.
type inode struct{ dev, ino uint64 }

func inodeOf(st *unix.Stat_t) inode { return inode{uint64(st.Dev), st.Ino} }

type walker struct {
	*collection
	root    string
	inodes  map[inode]uint32
	xattrs  *xattrReader
	outputs *outputs
	mount   mount // the only mount to read, with Options.OneFileSystem
}

// visit adds the entry path, on which the filter's verdict is v, and everything below it.
func (w *walker) visit(ctx context.Context, path string, v verdict) error {
	full := w.root
	if path != "" {
		full += "/" + path
	}
	folder, err := w.lstat(full, path)
	if err != nil || folder == nil {
		return err
	}
	if w.options.OneFileSystem && path != "" {
		if other, err := w.mount.ends(full, folder); err != nil || other {
			return err
		}
	}
	written := w.outputs.folders[*folder]
	if err := ctx.Err(); err != nil {
		return err
	}
	names, err := readNames(full)
	if err != nil {
		return err
	}
	for _, name := range names {
		if path != "" {
			name = path + "/" + name
		}
		if written && durable.IsTemp(filepath.Base(name)) {
			w.outputs.left.add(1, name)
			continue
		}
		nv := w.filter.judge(v, name)
		if !nv.keep() && !w.filter.reaches(name) {
			continue
		}
		if err := w.visit(ctx, name, nv); err != nil {
			return err
		}
	}
	return nil
}

// lstat adds the entry path for the file at full. For a folder it returns the inode.
func (w *walker) lstat(full, path string) (folder *inode, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(full, &st); err != nil {
		return nil, &os.PathError{Op: "lstat", Path: full, Err: err}
	}
	id := inodeOf(&st)
	if w.outputs.files[id] {
		w.outputs.left.add(1, path)
		return nil, nil
	}
	e := tree.Entry{
		Path: path,
		Attr: tree.Attr{Mode: uint16(st.Mode & 0o7777), UID: st.Uid, GID: st.Gid},
	}
	var d data
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		e.Type, folder = tree.Directory, &id
	case unix.S_IFREG:
		e.Type, e.Size = tree.Regular, st.Size
	case unix.S_IFLNK:
		e.Type = tree.Symlink
		if e.Target, err = os.Readlink(full); err != nil {
			return nil, err
		}
	case unix.S_IFBLK:
		e.Type, e.Major, e.Minor = tree.BlockDevice, unix.Major(st.Rdev), unix.Minor(st.Rdev)
	case unix.S_IFCHR:
		e.Type, e.Major, e.Minor = tree.CharDevice, unix.Major(st.Rdev), unix.Minor(st.Rdev)
	case unix.S_IFIFO:
		e.Type = tree.FIFO
	case unix.S_IFSOCK:
		e.Type = tree.Socket
	default:
		return nil, fmt.Errorf("%w: %q is of an unknown type (mode %o)", ErrMalformed, full,
			st.Mode)
	}
	set, err := w.xattrs.read(full)
	if err != nil {
		return nil, err
	}
	if err := w.setXattrs(&e, &d, set); err != nil {
		return nil, err
	}
	w.setTime(&e, &d, int64(st.Mtim.Sec)) // 32 bits on 386 and arm
	if folder == nil && st.Nlink > 1 {
		d.group = w.group(id)
	}
	return folder, w.add(e, d)
}

// group gives the number of a file with several names.
func (w *walker) group(id inode) uint32 {
	g, known := w.inodes[id]
	if !known {
		g = uint32(len(w.inodes) + 1)
		w.inodes[id] = g
	}
	return g
}

// readNames lists the names in a folder in byte order.
func readNames(dir string) ([]string, error) {
	f, err := openQuietly(dir, unix.O_DIRECTORY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	return names, nil
}

// openRegular opens a file that was regular and of this size when it was looked at.
func openRegular(path string, size int64) (*os.File, error) {
	f, err := openQuietly(path, unix.O_NONBLOCK) // should it be a FIFO now
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != size) {
		err = fmt.Errorf(
			"changed since the folder was looked through: %v of %d bytes, was a regular file of %d",
			info.Mode(), info.Size(), size)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// openQuietly opens for reading, follows no symbolic link and, where that is permitted (to the
// owner and to root), leaves the access time alone.
func openQuietly(path string, flags int) (*os.File, error) {
	flags |= unix.O_RDONLY | unix.O_NOFOLLOW
	f, err := os.OpenFile(path, flags|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) {
		f, err = os.OpenFile(path, flags, 0)
	}
	return f, err
}
