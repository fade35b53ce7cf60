package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ErrPermission is wrapped when this process may not watch: it takes CAP_SYS_ADMIN.
var ErrPermission = errors.New("recording takes root's rights (CAP_SYS_ADMIN)")

// RecordOptions says what to record. The zero value records the mount at / until the context ends.
type RecordOptions struct {
	Root    string // a mount point; what is opened of its file system is recorded, as paths below it; "": "/"
	Pages   bool   // also record which bytes come into memory, see doc/trace.md
	Image   string // with Pages: the squashfs image below Root, a block device or a file; "": the only one that is mounted
	Started func() // called once watching has begun, so that no later access is missed; may be nil
}

// Record watches until ctx ends, and then gives what was read: each regular file with the
// time of its first open, exec or read. Files that are no longer there are left out.
//
// The files are learnt from fanotify with a mark on the file system, since services have mounts of
// their own of it, each only once: a file that was seen is marked to be ignored. What the kernel's
// queue cannot hold is counted in Lost. Memory is bounded by MaxFiles and 2^20 ranges. Errors wrap
// ErrPermission.
func Record(ctx context.Context, o RecordOptions) (*Trace, error) {
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

// watch takes fanotify's events of one file system.
type watch struct {
	events *os.File
	fd     int // of events
	root   *os.File
	// /proc/self/fd, held because switch_root takes /proc away from a process that stays behind
	fds *os.File
	// flags that mark a file to be ignored; 0: the kernel cannot without keeping it in memory
	ignore uint
	seen   map[inode]bool
	tops   []string // folders of the root, once they are needed
	trace  Trace
}

// inode names a file while it is open.
type inode struct{ dev, ino uint64 }

// Flags of fanotify that golang.org/x/sys has no names for or that need several.
const (
	watched    = unix.FAN_OPEN | unix.FAN_OPEN_EXEC | unix.FAN_ACCESS
	ignoreSeen = unix.FAN_MARK_ADD | unix.FAN_MARK_IGNORED_MASK | unix.FAN_MARK_IGNORED_SURV_MODIFY | unix.FAN_MARK_EVICTABLE
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
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, watched, unix.AT_FDCWD, root); err != nil {
		w.close()
		return nil, notPermitted("fanotify_mark", err)
	}
	return w, nil
}

// notPermitted gives err with the call's name, as ErrPermission where that is what it means.
func notPermitted(call string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%s: %w", call, ErrPermission)
	}
	return os.NewSyscallError(call, err)
}

func (w *watch) close() {
	w.events.Close() // nothing is written through any
	w.root.Close()
	w.fds.Close()
}

// run takes events until ctx ends, and then those that are queued.
func (w *watch) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { w.events.SetReadDeadline(time.Now()) })
	defer stop()
	buf := make([]byte, 256<<10)
	for {
		n, err := w.events.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// The deadline may hide events that wait: the file itself has the last word.
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

// take handles a buffer of events. Layout: fanotify(7), struct fanotify_event_metadata.
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
				version,
				length,
			)
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

// see notes the file that fd is open on, the first time.
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
	if len(w.trace.Files) == MaxFiles {
		w.trace.Lost++
		return
	}
	w.seen[id] = true
	w.trace.Files = append(w.trace.Files, File{Path: path, First: now})
}

// ignoreFile spares further events of a file that was seen.
func (w *watch) ignoreFile(fd int) {
	if w.ignore == 0 {
		return
	}
	// Without FAN_MARK_EVICTABLE (before Linux 5.19) a mark would keep every file's inode in
	// memory.
	if err := unix.FanotifyMark(w.fd, w.ignore, watched, fd, ""); errors.Is(err, unix.EINVAL) {
		w.ignore = 0
	}
}

// sinceBoot is the time since the kernel started, which all processes agree on.
func sinceBoot() time.Duration { return clock(unix.CLOCK_BOOTTIME).Truncate(time.Microsecond) }

// suspended is how long of it the machine has slept, which CLOCK_MONOTONIC leaves out.
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
