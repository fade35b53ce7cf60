package rootfs

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// mount tells a mounted file system: by its device, as other tools do, and by the number of the
// mount where the kernel tells it (since Linux 5.8), so that a folder mounted once more elsewhere
// counts too.
type mount struct {
	dev uint64
	id  uint64 // 0: unknown
}

// mountOf gives the mount that a folder lies in.
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

// ends reports whether a folder is where another file system is mounted.
func (m mount) ends(dir string, folder *inode) (bool, error) {
	if folder.dev != m.dev {
		return true, nil
	}
	id, err := mountID(dir)
	return m.id != 0 && id != m.id, err
}

// outputs are the files that are written while, or before, a folder is read.
type outputs struct {
	files   map[inode]bool
	folders map[inode]bool // that they lie in, with their temporary files
	left    tally
}

// findOutputs looks for what is there of the outputs already; a symbolic link in the place of one
// is replaced, so it counts itself. What cannot be looked at is not in the folder, or reading it
// tells.
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
