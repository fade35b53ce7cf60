package slotboot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/internal/human"
)

// Capacity is the number of bytes that fit: the size of a device; for a file, what it occupies and
// what its file system has free for this user.
func (s *File) Capacity() (int64, error) {
	size, err := s.capacity()
	if err != nil {
		return 0, fmt.Errorf("slot %s: capacity: %w", s.path, err)
	}
	return size, nil
}

func (s *File) capacity() (int64, error) {
	if s.device {
		return deviceSize(s.f)
	}
	var occupied int64
	if s.f != nil {
		var st unix.Stat_t
		if err := unix.Fstat(int(s.f.Fd()), &st); err != nil {
			return 0, err
		}
		occupied = st.Blocks * 512 // st_blocks counts 512 bytes whatever the file system's block is
	}
	var sfs unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(s.path), &sfs); err != nil {
		return 0, err
	}
	return occupied + int64(sfs.Bavail)*int64(sfs.Bsize), nil
}

// Reserve claims the room for an image of size bytes, so that a full disk ends an update before its
// work. It wraps syscall.ENOSPC when the image does not fit. What the slot holds does not change.
// On a file system that cannot reserve, nothing is claimed.
func (s *File) Reserve(size int64) error {
	err := s.reserve(size)
	if err != nil {
		return fmt.Errorf("slot %s: reserve %s: %w", s.path, human.Size(size), err)
	}
	return nil
}

func (s *File) reserve(size int64) error {
	if s.device {
		has, err := deviceSize(s.f)
		if err == nil && has < size {
			err = unix.ENOSPC
		}
		return err
	}
	if s.f == nil {
		// O_EXCL: whoever made the file in the meantime keeps it.
		if err := s.open(0 /* a regular file */, os.O_CREATE|os.O_EXCL); err != nil {
			return err
		}
		if err := durable.SyncFolder(filepath.Dir(s.path)); err != nil {
			return err
		}
	}
	info, err := s.f.Stat()
	if err != nil || size == 0 {
		return err
	}
	err = unix.Fallocate(int(s.f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
	switch {
	case err == nil, errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		return nil
	case errors.Is(err, unix.ENOSPC):
		// ext4 keeps what it could get; give that back.
		return errors.Join(err, s.f.Truncate(info.Size()))
	}
	return err
}

// Begin makes the slot unbootable: when it returns, the first 4 KiB are zero on the medium, and a
// file is size bytes long. It reserves the room first; when there is too little, nothing changes.
func (s *File) Begin(size int64) error {
	if err := s.Reserve(size); err != nil {
		return err
	}
	if err := s.begin(size); err != nil {
		return fmt.Errorf("slot %s: clear superblock: %w", s.path, err)
	}
	return nil
}

func (s *File) begin(size int64) error {
	if _, err := s.f.WriteAt(make([]byte, min(headSize, size)), 0); err != nil {
		return err
	}
	if err := s.f.Sync(); err != nil {
		return err
	}
	if s.device {
		return nil
	}
	// Only now: a longer image cut off while it still had its superblock would mount.
	if err := s.f.Truncate(size); err != nil {
		return err
	}
	return s.f.Sync()
}

// Sync makes all writes durable.
func (s *File) Sync() error {
	if s.f == nil {
		return nil
	}
	return s.f.Sync()
}

// StartWriteback has the kernel begin to put n bytes from off on onto the medium, and does not wait
// for it. It is for speed alone: Sync tells of errors.
func (s *File) StartWriteback(off, n int64) {
	if s.f != nil {
		unix.SyncFileRange(int(s.f.Fd()), off, n, unix.SYNC_FILE_RANGE_WRITE)
	}
}

func deviceSize(f *os.File) (int64, error) {
	var size uint64
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), unix.BLKGETSIZE64,
		uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return 0, fmt.Errorf("BLKGETSIZE64: %w", errno)
	}
	return int64(size), nil
}

// behindLoop names the loop device that f is the backing file of, "" when there is none.
func behindLoop(f *os.File) (string, error) {
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return "", err
	}
	for _, file := range files {
		name, err := os.ReadFile(file)
		if err != nil {
			continue // detached in the meantime
		}
		other, err := os.Stat(strings.TrimSuffix(string(name), "\n"))
		if err == nil && os.SameFile(info, other) {
			return "/dev/" + strings.Split(file, "/")[3], nil
		}
	}
	return "", nil
}
