package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// ErrNotMounted is wrapped when a path of a machine below another root lies on no file system of
// that machine's.
var ErrNotMounted = errors.New("the machine's file system is not known")

// FileSystem is the file system that a path lies on.
type FileSystem struct {
	Type   string // ext4, vfat, ...
	mount  string // where it is mounted, as this process sees it
	Device string // "MAJOR:MINOR"
	Inner  string // the path within the file system, with a slash in front

	// The rest is known of FAT, ext2, ext3 and ext4 alone.
	UUID     string   // as udev and GRUB spell it; "" when it is not known
	Layer    string   // what lies between it and the disk, such as LVM; "" for a plain partition
	Features []string // those of ext4 that other readers than Linux may not know, such as casefold
	Unknown  string   // what of these could not be found out, "" when all could
}

// FileSystem tells about the file system of path, which need not exist yet. It wraps ErrNotMounted
// when the path is of a machine that does not run, and lies on a file system of this one.
func (m Machine) FileSystem(path string) (*FileSystem, error) {
	full, err := m.Resolve(path)
	if err != nil {
		return nil, err
	}
	mount, full, err := m.mountOf(full)
	if err != nil {
		return nil, err
	}
	f := &FileSystem{
		Type:   mount.FSType,
		mount:  mount.Mountpoint,
		Device: fmt.Sprintf("%d:%d", mount.Major, mount.Minor),
		Inner: filepath.Join(mount.Root,
			strings.TrimPrefix(full, strings.TrimSuffix(mount.Mountpoint, "/"))),
	}
	m.kernel().lookAtDisk(f, mount)
	return f, nil
}

// mountOf finds the mount that a resolved path lies on. It gives the path as the mount table has
// it.
func (m Machine) mountOf(full string) (*mountinfo.Info, string, error) {
	real, existing, err := realPath(full)
	if err != nil {
		return nil, "", err
	}
	if m.described() {
		root, err := filepath.EvalSymlinks(m.Root)
		if err != nil {
			return nil, "", err
		}
		path := filepath.Join("/", strings.TrimPrefix(real, root))
		mount, err := m.mountByPath(path)
		return mount, path, err
	}
	list, err := Machine{}.mounts(nil)
	if err != nil {
		return nil, "", err
	}
	mount, err := mountByID(list, existing)
	if err != nil || m.Running() {
		return mount, real, err
	}
	root, err := filepath.EvalSymlinks(m.Root)
	if err == nil {
		err = foreign(list, mount, root, real)
	}
	return mount, real, err
}

// realPath follows the links in a resolved path, which the path of its root may have. It also gives
// the nearest parent that exists.
func realPath(full string) (real, existing string, err error) {
	rest := ""
	for existing = full; ; existing = filepath.Dir(existing) {
		real, err = filepath.EvalSymlinks(existing)
		if !errors.Is(err, fs.ErrNotExist) || existing == "/" {
			return filepath.Join(real, rest), real, err
		}
		rest = filepath.Join(filepath.Base(existing), rest)
	}
}

// mountByPath finds the mount of a path by the names in the mount table alone.
func (m Machine) mountByPath(path string) (*mountinfo.Info, error) {
	list, err := m.mounts(
		func(i *mountinfo.Info) (skip, stop bool) { return !within(path, i.Mountpoint), false },
	)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: not below any mount", path)
	}
	best := list[0]
	for _, i := range list[1:] {
		// of two on one place the later one hides the other
		if len(i.Mountpoint) >= len(best.Mountpoint) {
			best = i
		}
	}
	return best, nil
}

// mountByID asks the kernel which mount an existing path lies on: a mount may hide others that lie
// deeper.
func mountByID(list []*mountinfo.Info, path string) (*mountinfo.Info, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_NO_AUTOMOUNT, unix.STATX_MNT_ID, &st); err != nil {
		return nil, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	if st.Mask&unix.STATX_MNT_ID == 0 {
		return nil, fmt.Errorf("%s: this kernel does not tell mounts apart: Linux 5.8 does", path)
	}
	for _, i := range list {
		if uint64(i.ID) == st.Mnt_id {
			return i, nil
		}
	}
	return nil, fmt.Errorf(
		"%s: %w: it lies on a mount outside of this root folder; mount the file system on a folder inside",
		path,
		ErrNotMounted,
	)
}

// foreign refuses a mount of this machine, as opposed to one of the machine below root.
func foreign(list []*mountinfo.Info, mount *mountinfo.Info, root, path string) error {
	if !within(mount.Mountpoint, root) {
		return fmt.Errorf(
			"%s: %w: %s is a folder on what is mounted on %s here; mount the machine's own file system on %s, or below it",
			path,
			ErrNotMounted,
			root,
			mount.Mountpoint,
			root,
		)
	}
	if mount.Root == "/" {
		return nil
	}
	// A folder that was bound, or a subvolume. It is the machine's own when the whole file system
	// is mounted there, or nowhere; otherwise it may be any folder of this machine's, as where an
	// image is being made.
	var outside *mountinfo.Info
	for _, i := range list {
		if i.Major != mount.Major || i.Minor != mount.Minor || !within(mount.Root, i.Root) ||
			i.Root == mount.Root {
			continue
		}
		if within(i.Mountpoint, root) {
			return nil
		}
		outside = i
	}
	if outside == nil {
		return nil
	}
	return fmt.Errorf(
		"%s: %w: %s is the folder %s of what is mounted on %s here; mount the machine's own file system instead",
		path,
		ErrNotMounted,
		mount.Mountpoint,
		mount.Root,
		outside.Mountpoint,
	)
}

func within(path, mount string) bool {
	return mount == "/" || path == mount || strings.HasPrefix(path, mount+"/")
}
