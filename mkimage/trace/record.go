package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// errPermission is wrapped when this process may not record, which takes CAP_SYS_ADMIN.
var errPermission = errors.New("recording takes root's rights (CAP_SYS_ADMIN)")

// RecordOptions says what to record. The zero value records the mount at / until the context ends.
type RecordOptions struct {
	// a mount point; what is opened of its file system is recorded, as paths below it; "": "/"
	Root  string
	Pages bool // also record which ranges of files come into memory, see doc/trace.md
	// with Pages: the squashfs image below Root, a block device or a file; "": the only mounted one
	Image   string
	Started func() // called once every later access is recorded; may be nil
}

// recordReads records until ctx ends. It then gives each regular file that was read, with the time
// of its first open, exec or read. It leaves out files that are no longer there.
//
// recordReads learns of files from fanotify. It marks the file system, not a mount, since services
// have mounts of their own. It marks each file that it has seen as ignored. Lost counts what does
// not fit the kernel's queue. maxFiles and maxPageRanges bound the memory. Errors wrap
// errPermission, or are those of system calls.
func recordReads(ctx context.Context, o RecordOptions) (*Trace, error) {
	if o.Root == "" {
		o.Root = "/"
	}
	w, err := newWatch(o.Root)
	if err != nil {
		return nil, fmt.Errorf("record %s: %w", o.Root, err)
	}
	defer w.close()
	var p *pages
	if o.Pages {
		if p, err = startPages(o.Image); err != nil {
			return nil, fmt.Errorf("record pages: %w", err)
		}
		defer p.close()
	}
	if o.Started != nil {
		o.Started()
	}
	if err := w.run(ctx); err != nil {
		return nil, fmt.Errorf("record %s: %w", o.Root, err)
	}
	if p == nil {
		return &w.trace, nil
	}
	if err := p.finish(&w.trace); err != nil {
		return nil, fmt.Errorf("record pages: %w", err)
	}
	return &w.trace, nil
}

// watch reads fanotify's events of one file system.
type watch struct {
	events *os.File
	fd     int // events' descriptor
	root   *os.File
	// /proc/self/fd, held open because switch_root takes /proc away from a process that stays
	// behind
	fds *os.File
	// flags that mark a file as ignored; 0: the kernel would keep every such file in memory
	ignore uint
	seen   map[inode]bool
	tops   []string // folders in the root, listed when first needed
	trace  Trace
}

// inode identifies a file while it is open.
type inode struct{ dev, ino uint64 }

// Flags of fanotify: combinations, and those that golang.org/x/sys does not name.
const (
	watched    = unix.FAN_OPEN | unix.FAN_OPEN_EXEC | unix.FAN_ACCESS
	ignoreSeen = unix.FAN_MARK_ADD | unix.FAN_MARK_IGNORED_MASK |
		unix.FAN_MARK_IGNORED_SURV_MODIFY | unix.FAN_MARK_EVICTABLE
)

func newWatch(root string) (*watch, error) {
	dir, err := os.OpenFile(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	fds, err := os.OpenFile("/proc/self/fd", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK,
		unix.O_RDONLY|unix.O_LARGEFILE|unix.O_CLOEXEC|unix.O_NOATIME)
	if err != nil {
		return nil, errors.Join(notPermitted("fanotify_init", err), dir.Close(), fds.Close())
	}
	w := &watch{
		events: os.NewFile(uintptr(fd), "fanotify"),
		fd:     fd,
		root:   dir,
		fds:    fds,
		ignore: ignoreSeen,
		seen:   make(map[inode]bool),
	}
	const all = unix.FAN_MARK_ADD | unix.FAN_MARK_FILESYSTEM
	if err := unix.FanotifyMark(fd, all, watched, unix.AT_FDCWD, root); err != nil {
		w.close()
		return nil, notPermitted("fanotify_mark", err)
	}
	// Settings are an overlay of their own above the image's /etc. Where there are none this is the
	// same file system once more, or nothing.
	_ = unix.FanotifyMark(fd, all, watched, unix.AT_FDCWD, filepath.Join(root, "etc"))
	return w, nil
}

// notPermitted gives err with the call's name, wrapped in errPermission if it means that.
func notPermitted(call string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%s: %w", call, errPermission)
	}
	return os.NewSyscallError(call, err)
}

func (w *watch) close() {
	w.events.Close() // nothing was written to any
	w.root.Close()
	w.fds.Close()
}

// run handles events until ctx ends, and then those that are still queued.
func (w *watch) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { w.events.SetReadDeadline(time.Now()) })
	defer stop()
	buf := make([]byte, 256<<10)
	for {
		n, err := w.events.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// The deadline may hide queued events, so ask the file itself.
			n, err = unix.Read(w.fd, buf)
			if errors.Is(err, unix.EAGAIN) {
				return nil
			}
		}
		if err != nil {
			return fmt.Errorf("read fanotify events: %w", err)
		}
		if err := w.take(buf[:n], sinceBoot()); err != nil {
			return err
		}
	}
}

// take handles a buffer of events, each a struct fanotify_event_metadata, see fanotify(7).
func (w *watch) take(buf []byte, now time.Duration) error {
	const size = int(unsafe.Sizeof(unix.FanotifyEventMetadata{}))
	for len(buf) >= size {
		length := int(binary.NativeEndian.Uint32(buf))
		version := buf[4]
		mask := binary.NativeEndian.Uint64(buf[8:])
		fd := int32(binary.NativeEndian.Uint32(buf[16:]))
		pid := int32(binary.NativeEndian.Uint32(buf[20:]))
		if version != unix.FANOTIFY_METADATA_VERSION || length < size || length > len(buf) {
			return fmt.Errorf(
				"fanotify event of version %d and %d bytes: the kernel's is another interface",
				version, length)
		}
		buf = buf[length:]
		if mask&unix.FAN_Q_OVERFLOW != 0 {
			w.trace.Lost++
		}
		if fd < 0 {
			continue
		}
		if int(pid) != os.Getpid() {
			w.see(int(fd), now)
		}
		if err := unix.Close(int(fd)); err != nil {
			return fmt.Errorf("close an event's file: %w", err)
		}
	}
	return nil
}

// see notes the file that fd has open, unless it is noted already.
func (w *watch) see(fd int, now time.Duration) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return
	}
	w.ignoreFile(fd)
	id := inode{uint64(st.Dev), st.Ino}
	if st.Nlink == 0 || w.seen[id] {
		return
	}
	path, ok := w.path(fd, id)
	if !ok {
		return
	}
	if len(w.trace.Files) == maxFiles {
		w.trace.Lost++
		return
	}
	w.seen[id] = true
	w.trace.Files = append(w.trace.Files, File{Path: path, First: now})
}

// ignoreFile asks the kernel for no further events of a file that was seen.
func (w *watch) ignoreFile(fd int) {
	if w.ignore == 0 {
		return
	}
	// Without FAN_MARK_EVICTABLE, as before Linux 5.19, each mark would keep a file's inode in
	// memory.
	if err := unix.FanotifyMark(w.fd, w.ignore, watched, fd, ""); errors.Is(err, unix.EINVAL) {
		w.ignore = 0
	}
}

// sinceBoot is the time since the kernel started, by a clock that all processes share.
func sinceBoot() time.Duration { return clock(unix.CLOCK_BOOTTIME).Truncate(time.Microsecond) }

// suspended is for how long of that time the machine has slept, which CLOCK_MONOTONIC leaves out.
func suspended() time.Duration {
	return (clock(unix.CLOCK_BOOTTIME) - clock(unix.CLOCK_MONOTONIC)).Round(time.Millisecond)
}

func clock(id int32) time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		return 0 // never on Linux
	}
	return time.Duration(ts.Nano())
}
