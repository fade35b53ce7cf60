package mounts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	maxDepth   = 128    // of folders in a folder of data, when it is made or removed
	maxRemoved = 20_000 // names that one boot removes
	cleanTime  = 2 * time.Second
	step       = 1 << 20 // bytes that are copied between two looks at the context
)

// copyFolder copies what is in the open folder from, and what it is itself, to the open folder to,
// which is empty. Extended attributes of overlayfs and times stay behind.
func copyFolder(ctx context.Context, to, from *os.File, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: %d folders in one another", from.Name(), maxDepth)
	}
	names, err := from.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := copyEntry(ctx, to, from, name, depth); err != nil {
			return fmt.Errorf("%s/%s: %w", from.Name(), name, err)
		}
	}
	return copyAttributes(to, from)
}

// copyEntry copies what the folder from has by a name. The image does not change, so what is seen
// at first is what is opened.
func copyEntry(ctx context.Context, to, from *os.File, name string, depth int) error {
	var s unix.Stat_t
	if err := unix.Fstatat(int(from.Fd()), name, &s, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		if err := unix.Mkdirat(int(to.Fd()), name, 0o700); err != nil {
			return err
		}
		return both(to, from, name, unix.O_RDONLY|unix.O_DIRECTORY, func(to, from *os.File) error {
			return copyFolder(ctx, to, from, depth+1)
		})
	case unix.S_IFREG:
		return both(to, from, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, func(to, from *os.File) error {
			for {
				n, err := io.CopyN(to, from, step)
				if err = errors.Join(context.Cause(ctx), err); n < step || err != nil {
					if errors.Is(err, io.EOF) {
						return copyAttributes(to, from)
					}
					return err
				}
			}
		})
	case unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(int(from.Fd()), name, target)
		if err != nil {
			return err
		}
		if err := unix.Symlinkat(string(target[:n]), int(to.Fd()), name); err != nil {
			return err
		}
	default:
		if err := unix.Mknodat(int(to.Fd()), name, s.Mode&^0o7777, int(s.Rdev)); err != nil {
			return err
		}
	}
	const link = unix.AT_SYMLINK_NOFOLLOW
	if err := unix.Fchownat(int(to.Fd()), name, int(s.Uid), int(s.Gid), link); err != nil {
		return err
	}
	if s.Mode&unix.S_IFMT == unix.S_IFLNK {
		return nil
	}
	return unix.Fchmodat(int(to.Fd()), name, s.Mode&0o7777, 0)
}

// both opens a name in two folders, the second for reading alone, and calls f.
func both(to, from *os.File, name string, flags int, f func(to, from *os.File) error) error {
	const never = unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	in, err := unix.Openat(int(from.Fd()), name, unix.O_RDONLY|never, 0)
	if err != nil {
		return err
	}
	source := os.NewFile(uintptr(in), from.Name()+"/"+name)
	defer source.Close() // only read
	out, err := unix.Openat(int(to.Fd()), name, flags|never, 0o600)
	if err != nil {
		return err
	}
	target := os.NewFile(uintptr(out), to.Name()+"/"+name)
	return errors.Join(f(target, source), target.Close())
}

// copyAttributes gives to the owner, the extended attributes and the mode of from. The mode comes
// last, and attributes after the owner, since a new owner takes away rights of programs.
func copyAttributes(to, from *os.File) error {
	var s unix.Stat_t
	if err := unix.Fstat(int(from.Fd()), &s); err != nil {
		return err
	}
	if err := to.Chown(int(s.Uid), int(s.Gid)); err != nil {
		return err
	}
	names := make([]byte, 64<<10) // the most that Linux permits
	n, err := unix.Flistxattr(int(from.Fd()), names)
	if err != nil && !errors.Is(err, unix.ENOTSUP) {
		return err
	}
	for name := range strings.SplitSeq(strings.Trim(string(names[:max(n, 0)]), "\x00"), "\x00") {
		if name == "" || strings.HasPrefix(name, "trusted.") {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Fgetxattr(int(from.Fd()), name, value)
		if err == nil {
			err = unix.Fsetxattr(int(to.Fd()), name, value[:n], 0)
		}
		// Memory in place of the data partition may know fewer attributes.
		if err != nil && !errors.Is(err, unix.ENOTSUP) {
			return fmt.Errorf("attribute %s: %w", name, err)
		}
	}
	return unix.Fchmod(int(to.Fd()), s.Mode&0o7777)
}

// remove removes what a folder has by a name, with all below it. left is how many more may be.
func remove(ctx context.Context, at *os.File, name string, left *int, depth int) error {
	if *left--; *left < 0 || depth > maxDepth || context.Cause(ctx) != nil {
		return fmt.Errorf("%s: more is left over than one boot removes", at.Name())
	}
	err := unix.Unlinkat(int(at.Fd()), name, 0)
	if !errors.Is(err, unix.EISDIR) {
		return err
	}
	folder, err := folderAt(at, name)
	if err != nil {
		return err
	}
	names, err := folder.Readdirnames(max(*left, 1))
	if errors.Is(err, io.EOF) {
		err = nil // it is empty
	}
	for _, below := range names {
		if err == nil {
			err = remove(ctx, folder, below, left, depth+1)
		}
	}
	if err = errors.Join(err, folder.Close()); err != nil {
		return err
	}
	return unix.Unlinkat(int(at.Fd()), name, unix.AT_REMOVEDIR)
}
