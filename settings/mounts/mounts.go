// Package mounts shows settings and folders of data in a root file system that is about to be
// started: the part of a boot that the kernel does. Open comes first; Overlay then mounts what was
// laid for a place, and Folder binds a folder of data, which it makes when it is new.
//
// The image is trusted, the data partition is not: nothing in it is followed, and all that is made
// there is made through open folders. Everything stays below the root when the root's own upper
// layer is on the data partition, too.
package mounts

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Mounter mounts in a new root: it has the folders of a boot.
type Mounter struct {
	root  *os.File // the new root, to mount in
	image *os.File // the image, as it was made
	data  *os.File // the data partition
	run   string   // a folder in memory
}

// Open opens the folders of a boot: the new root, the image, the data partition. run is a folder in
// memory that stays, /run/deltaup. The paths are the caller's: links in them are followed.
func Open(root, image, data, run string) (*Mounter, error) {
	m := &Mounter{run: run}
	for _, d := range []struct {
		to   **os.File
		path string
	}{{&m.root, root}, {&m.image, image}, {&m.data, data}} {
		fd, err := unix.Open(d.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, errors.Join(&os.PathError{Op: "open", Path: d.path, Err: err}, m.Close())
		}
		*d.to = os.NewFile(uintptr(fd), d.path)
	}
	return m, nil
}

// Close closes the folders. What was mounted stays.
func (m *Mounter) Close() (err error) {
	for _, f := range []*os.File{m.root, m.image, m.data} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return err
}

// place opens the folder to mount on, which it makes when the root lacks it.
func (m *Mounter) place(name string) (*os.File, error) {
	f, err := inRoot(m.root, name)
	if !errors.Is(err, unix.ENOENT) {
		return f, err
	}
	root, err := os.OpenRoot(self(m.root))
	if err != nil {
		return nil, err
	}
	err = root.MkdirAll(strings.TrimPrefix(name, "/"), 0o755)
	if err = errors.Join(err, root.Close()); err != nil {
		return nil, err
	}
	return inRoot(m.root, name)
}

// inRoot opens a folder below root as a process would whose root that is: links are followed, also
// absolute ones, and none leads out.
func inRoot(root *os.File, name string) (*os.File, error) {
	how := unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	fd, err := unix.Openat2(int(root.Fd()), name, &how)
	if errors.Is(err, unix.ENOSYS) { // before Linux 5.6
		return plainFolder(root, name)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path.Join(root.Name(), name), Err: err}
	}
	return os.NewFile(uintptr(fd), path.Join(root.Name(), name)), nil
}

// plainFolder opens a folder below another, and follows no link on the way.
func plainFolder(root *os.File, name string) (*os.File, error) {
	at := root
	for _, part := range strings.Split(strings.Trim(path.Clean(name), "/"), "/") {
		next, err := folderAt(at, part)
		if at != root {
			err = errors.Join(err, at.Close())
		}
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

// folderAt opens the folder that an open folder has by this name. A link is none.
func folderAt(at *os.File, name string) (*os.File, error) {
	full := path.Join(at.Name(), name)
	const flags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	fd, err := unix.Openat(int(at.Fd()), name, flags, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: full, Err: err}
	}
	return os.NewFile(uintptr(fd), full), nil
}

// self is the one path that names an open file, whatever happens to its names.
func self(f *os.File) string { return fmt.Sprintf("/proc/self/fd/%d", f.Fd()) }
