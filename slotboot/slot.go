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

// ErrKind is wrapped when no image can be written to what lies at a slot's path.
var ErrKind = errors.New("is neither a file nor a block device")

// headSize is what Begin clears: the superblock and whatever a kernel probes for beside it.
const headSize = 4 << 10

// Options says how to open a slot.
type Options struct {
	ReadOnly bool // only look: nothing is created, locked or refused for being in use
	Device   bool // no file is made when nothing is there: a device is missing
}

// Slot is a file or a block device that one image is written to. A file that does
// not exist is made by the first Reserve or Begin. Its methods are not for concurrent
// use, reads, writes and StartWriteback excepted.
type Slot struct {
	path     string
	readOnly bool
	device   bool
	f        *os.File       // nil while the file does not exist
	medium   *medium.Reader // of f
}

// Open opens the slot at path, following symbolic links such as those in
// /dev/disk. Unless o.ReadOnly it is locked for this process; ErrBusy is wrapped when it
// is mounted, behind a loop device, or locked by another.
func Open(path string, o Options) (*Slot, error) {
	s := &Slot{path: path, readOnly: o.ReadOnly}
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

// canMake refuses a path where nothing is, and no file can be made.
func (s *Slot) canMake() error {
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

// IsDevice tells a device from a file by its path: it need not be there.
func IsDevice(path string) bool {
	path = filepath.Clean(path)
	return strings.HasPrefix(path, "/dev/") && !strings.HasPrefix(path, "/dev/shm/")
}

// open opens the slot, whose kind mode tells.
func (s *Slot) open(mode fs.FileMode, flags int) error {
	s.device = mode&fs.ModeDevice != 0 && mode&fs.ModeCharDevice == 0
	if !s.device && !mode.IsRegular() {
		return ErrKind
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
func (s *Slot) claim(f *os.File) error {
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
func (s *Slot) Name() string { return s.path }

// Close releases the slot.
func (s *Slot) Close() error {
	if s.f == nil {
		return nil
	}
	return errors.Join(s.medium.Close(), s.f.Close())
}

// ReadAt reads what the slot holds; a file that does not exist holds nothing.
func (s *Slot) ReadAt(p []byte, off int64) (int, error) {
	if s.f == nil {
		return 0, io.EOF
	}
	return s.f.ReadAt(p, off)
}

// WriteAt writes to the slot, after Begin.
func (s *Slot) WriteAt(p []byte, off int64) (int, error) {
	if s.f == nil {
		return 0, fmt.Errorf("slot %s: %w", s.path, fs.ErrNotExist)
	}
	return s.f.WriteAt(p, off)
}

// ReadMedium reads like ReadAt, from the medium, whatever is in memory. It is quick with a
// [medium.Buffer] and an aligned offset.
func (s *Slot) ReadMedium(p []byte, off int64) (int, error) {
	if s.f == nil {
		return 0, io.EOF
	}
	return s.medium.ReadAt(p, off)
}
