// Package slotboot opens the places that images are written to. A [File] is the file or the block
// device of a slot: it is opened for one process alone, cannot be booted from before its first
// write until its superblock is written, and is read back past the page cache.
package slotboot

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"deltaup/internal/medium"
)

// ErrBusy is wrapped when a slot is mounted, in use by a loop device, or open in another deltaup.
var ErrBusy = errors.New("slot is in use")

// errKind is what lies at a slot's path and cannot hold an image.
var errKind = errors.New("is neither a file nor a block device")

// headSize is what Begin clears: the superblock and whatever a kernel probes for beside it.
const headSize = 4 << 10

// Options says how to open a slot.
type Options struct {
	ReadOnly bool // only look: make and lock nothing, and refuse nothing for being in use
	Device   bool // the path is a device's: make no file when nothing is there
}

// File is the file or the block device of a slot. One image is written to it. A file that does not
// exist is made by the first Reserve or Begin. Reads, writes and StartWriteback may run at the same
// time; the other methods may not.
type File struct {
	path     string
	readOnly bool
	device   bool
	f        *os.File       // nil while the file does not exist
	medium   *medium.Reader // of f
}

// Open opens the slot at path, behind symbolic links such as those in /dev/disk. Unless o.ReadOnly
// it locks the slot for this process, and wraps ErrBusy when the slot is mounted, behind a loop
// device, or locked by another.
func Open(path string, o Options) (*File, error) {
	s := &File{path: path, readOnly: o.ReadOnly}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !o.Device {
			err = s.canMake()
		}
		if err != nil {
			return nil, fmt.Errorf("slot %s: %w", path, err)
		}
		return s, nil
	}
	if err == nil {
		err = s.open(info.Mode(), 0)
	}
	if err != nil {
		return nil, fmt.Errorf("slot %s: %w", path, err)
	}
	return s, nil
}

// canMake refuses a path where no file can be made.
func (s *File) canMake() error {
	if to, err := os.Readlink(s.path); err == nil {
		return fmt.Errorf("is a link to %s, where nothing is: %w", to, fs.ErrNotExist)
	}
	dir := filepath.Dir(s.path)
	parent, err := os.Stat(dir)
	if err == nil && !parent.IsDir() {
		err = &fs.PathError{Op: "open", Path: dir, Err: unix.ENOTDIR}
	}
	if err != nil {
		return err
	}
	if s.readOnly {
		return nil
	}
	if err := unix.Access(dir, unix.W_OK); err != nil {
		return fmt.Errorf("no file can be made in %s: %w", dir, err)
	}
	return nil
}

// IsDevice tells a device from a file by its path alone.
func IsDevice(path string) bool {
	path = filepath.Clean(path)
	return strings.HasPrefix(path, "/dev/") && !strings.HasPrefix(path, "/dev/shm/")
}

// open opens the slot, whose kind mode tells.
func (s *File) open(mode fs.FileMode, flags int) error {
	s.device = mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0
	if !s.device && !mode.IsRegular() {
		return errKind
	}
	if s.readOnly {
		flags |= os.O_RDONLY
	} else {
		flags |= os.O_RDWR
		if s.device {
			// the kernel then refuses a device that is mounted or otherwise claimed
			flags |= os.O_EXCL
		}
	}
	f, err := os.OpenFile(s.path, flags, 0o644)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("%w: mounted, or claimed by another device", ErrBusy)
	}
	if errors.Is(err, unix.EROFS) || s.device && errors.Is(err, unix.EACCES) && os.Geteuid() == 0 {
		return fmt.Errorf("is read-only: %w", err)
	}
	if err != nil {
		return err
	}
	if !s.readOnly {
		if err := s.claim(f); err != nil {
			f.Close()
			return err
		}
	}
	s.f, s.medium = f, medium.NewReader(f)
	return nil
}

// claim locks f for this process and looks for other users of a file.
func (s *File) claim(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("%w: another deltaup writes to it", ErrBusy)
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if s.device {
		return nil
	}
	device, err := behindLoop(f)
	if err != nil {
		return err
	}
	if device != "" {
		return fmt.Errorf("%w: it is behind %s", ErrBusy, device)
	}
	return nil
}

// Name is the path that the slot was opened by.
func (s *File) Name() string { return s.path }

// Close releases the slot.
func (s *File) Close() error {
	if s.f == nil {
		return nil
	}
	return errors.Join(s.medium.Close(), s.f.Close())
}

// ReadAt reads what the slot holds; a file that does not exist holds nothing.
func (s *File) ReadAt(p []byte, off int64) (int, error) {
	if s.f == nil {
		return 0, io.EOF
	}
	return s.f.ReadAt(p, off)
}

// WriteAt writes to the slot, after Begin.
func (s *File) WriteAt(p []byte, off int64) (int, error) {
	if s.f == nil {
		return 0, fmt.Errorf("slot %s: %w", s.path, fs.ErrNotExist)
	}
	return s.f.WriteAt(p, off)
}

// ReadMedium is ReadAt past the page cache: it reads what the medium holds. It is quick with a
// [medium.Buffer] and an aligned offset.
func (s *File) ReadMedium(p []byte, off int64) (int, error) {
	if s.f == nil {
		return 0, io.EOF
	}
	return s.medium.ReadAt(p, off)
}
