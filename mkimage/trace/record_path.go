package trace

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// path gives the path below the root of what fd is open on. The root's own path is asked
// for anew, because switch_root moves it.
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
		// Seen from a chroot, what others read by mounts of their own lies below the path of the
		// chroot.
		if _, rest, ok := strings.Cut(file, root); ok && w.is(rest, id) {
			return rest, checkPath(rest) == nil
		}
	}
	if !below || !w.is(path, id) {
		if found, ok := w.find(strings.TrimPrefix(file, "/"), id); ok {
			path, below = found, true
		}
	}
	// What is hidden below another mount by now is still known by its name.
	return path, below && checkPath(path) == nil
}

// readlink gives the path of what fd is open on.
func (w *watch) readlink(fd int) (string, error) {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(int(w.fds.Fd()), strconv.Itoa(fd), buf)
	return string(buf[:max(n, 0)]), err
}

// find looks for a file by the rest of its path. Services see the root, and /usr or /etc in it, by
// mounts of their own, and when such a mount is gone, paths begin at it.
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

// is tells whether a path below the root leads to a file.
func (w *watch) is(path string, id inode) bool {
	var st unix.Stat_t
	err := unix.Fstatat(int(w.root.Fd()), path, &st, 0)
	return err == nil && id == inode{uint64(st.Dev), st.Ino}
}

// folders lists the folders of the root; what it cannot read is left out.
func (w *watch) folders() []string {
	tops := []string{}
	fd, err := unix.Openat(int(w.root.Fd()), ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return tops
	}
	dir := os.NewFile(uintptr(fd), "root")
	defer dir.Close() // only read
	entries, _ := dir.ReadDir(-1)
	for _, e := range entries {
		if e.IsDir() {
			tops = append(tops, e.Name())
		}
	}
	return tops
}
