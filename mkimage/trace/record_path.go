package trace

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// path gives the path, below the root, of the file that fd has open. It asks for the root's own
// path each time, because switch_root moves the root.
func (w *watch) path(fd int, id inode) (string, bool) {
	file, err := w.readlink(fd)
	if err != nil {
		return "", false
	}
	root, err := w.readlink(int(w.root.Fd()))
	if err != nil {
		return "", false
	}
	root = strings.TrimSuffix(root, "/") + "/"
	path, below := strings.CutPrefix(file, root)
	if !below && root != "/" {
		// In a chroot, files that others read through mounts of their own have the chroot's path in
		// front.
		if _, rest, ok := strings.Cut(file, root); ok && w.is(rest, id) {
			return rest, checkPath(rest) == nil
		}
	}
	if !below || !w.is(path, id) {
		if found, ok := w.find(strings.TrimPrefix(file, "/"), id); ok {
			path, below = found, true
		}
	}
	// A file that another mount hides by now still has its name.
	return path, below && checkPath(path) == nil
}

// readlink gives the path of the file that fd has open.
func (w *watch) readlink(fd int) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(w.fds.Fd()), strconv.Itoa(fd), buf)
	return string(buf[:max(n, 0)]), err
}

// find looks for a file by the end of its path. Services see the root, and /usr or /etc in it,
// through mounts of their own. When such a mount is gone, paths begin at its mount point.
func (w *watch) find(rest string, id inode) (string, bool) {
	if w.is(rest, id) {
		return rest, true
	}
	if w.tops == nil {
		w.tops = w.folders()
	}
	for _, top := range w.tops {
		if path := top + "/" + rest; w.is(path, id) {
			return path, true
		}
	}
	return "", false
}

// is tells whether a path below the root leads to the file id.
func (w *watch) is(path string, id inode) bool {
	var st unix.Stat_t
	err := unix.Fstatat(int(w.root.Fd()), path, &st, 0)
	return err == nil && id == inode{uint64(st.Dev), st.Ino}
}

// folders lists the folders in the root. It leaves out what it cannot read.
func (w *watch) folders() []string {
	tops := []string{}
	fd, err := unix.Openat(int(w.root.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return tops
	}
	dir := os.NewFile(uintptr(fd), "root")
	defer dir.Close() // nothing was written
	entries, _ := dir.ReadDir(-1)
	for _, e := range entries {
		if e.IsDir() {
			tops = append(tops, e.Name())
		}
	}
	return tops
}
