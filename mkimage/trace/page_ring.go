package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes of the rings, in bytes. An event takes 64 bytes. The kernel wakes the reader when a quarter
// is full, which is 16 MiB in pages of 4 KiB. A boot fills a quarter a few times, and squashfs
// takes a tenth of a second to fill the rest.
const (
	maxRing  = 1 << 20
	minRing  = 64 << 10
	maxRings = 16 << 20 // all rings together, unless minRing for each is more
)

// ringSize is the size of each ring of a number of rings.
func ringSize(rings int) int {
	most := max(maxRings/max(rings, 1), minRing)
	return min(1<<(bits.Len(uint(most))-1), maxRing)
}

// ring is the ring buffer of perf events of one processor's tracepoint, in memory that the kernel
// writes and one reader reads, see perf_event_open(2). Unlike the tracing files, it has no text to
// parse, and the kernel removes it when the recorder is killed.
type ring struct {
	file *os.File
	fd   int // file's descriptor
	mem  []byte
	meta *unix.PerfEventMmapPage // the first page of mem
	data []byte                  // the rest, a power of two
	told int64                   // lost events, by the records of losses

	counts bool // the kernel counts lost events itself, as it does from Linux 6.0 on
}

// openRing makes the ring of a tracepoint's events on one processor that pass a filter. The caller
// enables it.
func openRing(event uint64, cpu, size int, filter string) (_ *ring, err error) {
	attr := unix.PerfEventAttr{
		Type:        unix.PERF_TYPE_TRACEPOINT,
		Size:        uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Config:      event,
		Sample:      1, // every event
		Sample_type: unix.PERF_SAMPLE_TIME | unix.PERF_SAMPLE_RAW,
		Read_format: unix.PERF_FORMAT_LOST,
		Bits:        unix.PerfBitDisabled | unix.PerfBitWatermark | unix.PerfBitUseClockID,
		Wakeup:      uint32(size / 4),
		Clockid:     unix.CLOCK_MONOTONIC, // a tracepoint refuses CLOCK_BOOTTIME
	}
	fd, err := unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if errors.Is(err, unix.EINVAL) {
		attr.Read_format = 0
		fd, err = unix.PerfEventOpen(&attr, -1, cpu, -1, unix.PERF_FLAG_FD_CLOEXEC)
	}
	if err != nil {
		return nil, notPermitted("perf_event_open", err)
	}
	r := &ring{fd: fd, counts: attr.Read_format != 0}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if err := ioctlString(fd, unix.PERF_EVENT_IOC_SET_FILTER, filter); err != nil {
		return nil, os.NewSyscallError("set the tracepoint's filter", err)
	}
	r.mem, err = unix.Mmap(fd, 0, os.Getpagesize()+size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_SHARED)
	if err != nil {
		return nil, notPermitted("map a ring of events", err)
	}
	r.meta, r.data = (*unix.PerfEventMmapPage)(unsafe.Pointer(&r.mem[0])), r.mem[os.Getpagesize():]
	// Give the file to Go's poller only now: without a ring the poller reports it as hung up.
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	r.file = os.NewFile(uintptr(fd), "perf event")
	return r, nil
}

// ioctlString is an ioctl whose argument is a string.
func ioctlString(fd int, request uint, s string) error {
	arg, err := unix.BytePtrFromString(s)
	if err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request),
		uintptr(unsafe.Pointer(arg)))
	runtime.KeepAlive(arg)
	if errno != 0 {
		return errno
	}
	return nil
}

// enable starts or stops the kernel's writing into the ring.
func (r *ring) enable(on bool) error {
	request := uint(unix.PERF_EVENT_IOC_DISABLE)
	if on {
		request = unix.PERF_EVENT_IOC_ENABLE
	}
	return os.NewSyscallError("enable the tracepoint", unix.IoctlSetInt(r.fd, request, 0))
}

// read calls drain whenever a quarter of the ring is full, until stop.
func (r *ring) read(drain func(*ring) error) error {
	conn, err := r.file.SyscallConn()
	if err != nil {
		return err
	}
	var drained error
	err = conn.Read(func(uintptr) bool {
		drained = drain(r)
		return drained != nil
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return errors.Join(drained, err)
}

// stop ends read, and every later call of it.
func (r *ring) stop() error { return r.file.SetReadDeadline(time.Now()) }

// drain calls take with each record in the ring: its kind and the bytes behind its header, which
// are valid during the call.
func (r *ring) drain(take func(kind uint32, body []byte)) error {
	head := atomic.LoadUint64(&r.meta.Data_head)
	tail := r.meta.Data_tail // only this reader writes it
	err := records(r.data, tail, head, func(kind uint32, body []byte) {
		if kind == unix.PERF_RECORD_LOST && len(body) >= 16 {
			r.told += int64(binary.NativeEndian.Uint64(body[8:]) & (1<<32 - 1))
		}
		take(kind, body)
	})
	atomic.StoreUint64(&r.meta.Data_tail, head)
	return err
}

// records calls take with each record from tail to head, in a ring whose size is a power of two. A
// record begins with struct perf_event_header: u32 type, u16 misc, u16 size of the whole record, a
// multiple of 8.
func records(ring []byte, tail, head uint64, take func(kind uint32, body []byte)) error {
	const header = 8
	if head-tail > uint64(len(ring)) {
		return fmt.Errorf("ring of events: %d bytes in %d", head-tail, len(ring))
	}
	var wrapped []byte
	for tail != head {
		at := int(tail & uint64(len(ring)-1))
		if head-tail < header || len(ring)-at < header {
			return errors.New("ring of events: a record is cut off")
		}
		kind := binary.NativeEndian.Uint32(ring[at:])
		size := int(binary.NativeEndian.Uint16(ring[at+6:]))
		if size < header || size%8 != 0 || uint64(size) > head-tail {
			return fmt.Errorf("ring of events: a record of %d bytes", size)
		}
		record := ring[at:min(at+size, len(ring))]
		if missing := size - len(record); missing > 0 {
			wrapped = append(append(wrapped[:0], record...), ring[:missing]...)
			record = wrapped
		}
		take(kind, record[header:])
		tail += uint64(size)
	}
	return nil
}

// lost is how many events the ring had no room for. A kernel that does not count them writes a
// record of them before the next event that has room, so that events lost at the very end are
// missing.
func (r *ring) lost() (int64, error) {
	if !r.counts {
		return r.told, nil
	}
	var values [2]uint64 // with PERF_FORMAT_LOST: the number of events, the number of lost events
	buf := make([]byte, unsafe.Sizeof(values))
	n, err := unix.Read(r.fd, buf)
	if err != nil || n < len(buf) {
		return 0, errors.Join(errors.New("read a perf event's counters"), err)
	}
	return int64(binary.NativeEndian.Uint64(buf[8:])), nil
}

func (r *ring) close() error {
	var err error
	if r.mem != nil {
		err = unix.Munmap(r.mem)
	}
	if r.file != nil {
		return errors.Join(err, r.file.Close())
	}
	return errors.Join(err, unix.Close(r.fd))
}

// onlineCPUs gives the numbers of the processors that are online, from a list such as 0-3,8.
func onlineCPUs() ([]int, error) {
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return nil, err
	}
	return parseCPUs(strings.TrimSpace(string(text)))
}

// maxCPUs is more processors than any kernel supports.
const maxCPUs = 1 << 14

func parseCPUs(list string) ([]int, error) {
	var cpus []int
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil || a > b || b >= maxCPUs || len(cpus) > maxCPUs {
			return nil, fmt.Errorf("%q is no list of processors", list)
		}
		for cpu := a; cpu <= b; cpu++ {
			cpus = append(cpus, int(cpu))
		}
	}
	return cpus, nil
}
