package rootfs

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mount identifies a mounted file system by its device, as other tools do, and, where the kernel
// tells it (since Linux 5.8), by the number of the mount. With that number a folder that is also
// mounted elsewhere counts as another mount.
type mount struct {
	dev uint64
	id  uint64 // 0: unknown
}

// mountOf gives the mount in which a folder lies.
func mountOf(dir string) (mount, error) {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return mount{}, &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	id, err := mountID(dir)
	return mount{dev: uint64(st.Dev), id: id}, err
}

func mountID(dir string) (uint64, error) {
	var stx unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, dir, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT,
		unix.STATX_MNT_ID, &stx)
	if errors.Is(err, unix.ENOSYS) || err == nil && stx.Mask&unix.STATX_MNT_ID == 0 {
		return 0, nil
	}
	if err != nil {
		return 0, &os.PathError{Op: "statx", Path: dir, Err: err}
	}
	return stx.Mnt_id, nil
}

// ends reports whether another file system is mounted at a folder.
func (m mount) ends(dir string, folder *inode) (bool, error) {
	if folder.dev != m.dev {
		return true, nil
	}
	id, err := mountID(dir)
	return m.id != 0 && id != m.id, err
}

// outputs are files that the caller writes before or while it reads a folder.
type outputs struct {
	files   map[inode]bool
	folders map[inode]bool // folders of the outputs and of their temporary files
	left    tally
}

// findOutputs finds those outputs that exist already. A symbolic link in the place of one counts
// itself, since the caller will replace it. It ignores outputs that it cannot examine: either they
// do not lie in the folder that is read, or reading that gives the error.
func findOutputs(paths []string) *outputs {
	o := &outputs{files: make(map[inode]bool), folders: make(map[inode]bool)}
	for _, path := range paths {
		var st unix.Stat_t
		if unix.Lstat(path, &st) == nil && st.Mode&unix.S_IFMT != unix.S_IFDIR {
			o.files[inodeOf(&st)] = true
		}
		if unix.Stat(filepath.Dir(path), &st) == nil {
			o.folders[inodeOf(&st)] = true
		}
	}
	return o
}
