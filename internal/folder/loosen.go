package folder

import "golang.org/x/sys/unix"

// Flags of files (chattr +i, +a) that keep even root from removing them, and names in folders.
const flagsHolding = 0x10 | 0x20

// loosened does what needs that a name can be removed. Where flags of the name, or of the folder,
// forbid that, it takes them away first: somebody has set them through an overlay, which hands them
// down.
func (d *Folder) loosened(name string, do func() error) error {
	err := do()
	if err != unix.EPERM {
		return err
	}
	loosen(d.fd())
	var s unix.Stat_t
	if unix.Fstatat(d.fd(), name, &s, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return err
	}
	if kind := s.Mode & unix.S_IFMT; kind == unix.S_IFREG || kind == unix.S_IFDIR {
		const flags = unix.O_RDONLY | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC
		if fd, err := openRetry(d.fd(), name, flags, 0); err == nil {
			loosen(fd)
			unix.Close(fd) // nothing was written
		}
	}
	return do()
}

// loosen takes the flags away that hold an open file, if it has them.
func loosen(fd int) {
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	if err == nil && flags&flagsHolding != 0 {
		_ = unix.IoctlSetPointerInt(fd, unix.FS_IOC_SETFLAGS, int(flags&^flagsHolding)) // removing tells
	}
}
