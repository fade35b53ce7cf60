package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// pageEvent is the kernel's tracepoint for a page, or a folio of 2^order pages, that enters the
// page cache. Its fields: include/trace/events/filemap.h.
const pageEvent = "events/filemap/mm_filemap_add_to_page_cache"

// maxPageFormat bounds the text that describes pageEvent, in bytes.
const maxPageFormat = 64 << 10

// page is what one event says: a range of bytes of a file.
type page struct {
	inode uint64
	byteRange
}

// pageFormat says where the tracepoint's fields lie. That differs between kernels, and between 32
// and 64 bits.
type pageFormat struct {
	id                  uint64
	inode, index, order pageField
	pageSize            int64
}

// pageField is an unsigned number of 1, 2, 4 or 8 bytes in a raw sample, or of 0 bytes when the
// kernel has no such field.
type pageField struct{ offset, size int }

// readPageFormat reads the format of the running kernel.
func readPageFormat() (pageFormat, error) {
	tracing, err := tracefs()
	if err != nil {
		return pageFormat{}, err
	}
	f, err := os.Open(filepath.Join(tracing, pageEvent, "format"))
	if err != nil {
		return pageFormat{}, notPermitted("open tracefs", err)
	}
	defer f.Close() // nothing was written
	text, err := io.ReadAll(io.LimitReader(f, maxPageFormat))
	if err != nil {
		return pageFormat{}, err
	}
	format, err := parsePageFormat(string(text), int64(os.Getpagesize()))
	if err != nil {
		return pageFormat{}, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return format, nil
}

// tracefs finds where the kernel's tracing file system is mounted.
func tracefs() (string, error) {
	for _, dir := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if _, err := os.Stat(filepath.Join(dir, pageEvent)); err == nil {
			return dir, nil
		}
	}
	return "", errors.New(
		"no tracefs with filemap events at /sys/kernel/tracing: mount it, or record without pages",
	)
}

// parsePageFormat parses a tracepoint's format file (Documentation/trace/events.rst):
//
//	ID: 600
//		field:unsigned long i_ino;	offset:16;	size:8;	signed:0;
func parsePageFormat(text string, pageSize int64) (pageFormat, error) {
	format := pageFormat{pageSize: pageSize}
	fields := make(map[string]pageField)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if id, ok := strings.CutPrefix(line, "ID: "); ok {
			// 0, which is refused below, if it is no number
			format.id, _ = strconv.ParseUint(id, 10, 31)
		}
		parts := strings.Split(line, ";")
		if !strings.HasPrefix(line, "field:") || len(parts) < 3 {
			continue
		}
		offset, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(parts[1]), "offset:"),
			10, 12)
		size, err2 := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(parts[2]), "size:"),
			10, 8)
		if err == nil && err2 == nil && size <= 8 && bits.OnesCount64(size) == 1 {
			fields[parts[0][strings.LastIndexByte(parts[0], ' ')+1:]] = pageField{
				int(offset),
				int(size),
			}
		}
	}
	// kernels before Linux 6.0 have no order: each event is one page
	format.inode, format.index, format.order = fields["i_ino"], fields["index"], fields["order"]
	if format.id == 0 || format.inode.size == 0 || format.index.size == 0 {
		return pageFormat{}, errors.New(
			"no id or no fields i_ino and index: the kernel's is another tracepoint",
		)
	}
	return format, nil
}

// value gives the number in a raw sample, or false when the sample is too short.
func (f pageField) value(raw []byte) (uint64, bool) {
	if f.size == 0 {
		return 0, true
	}
	if len(raw) < f.offset+f.size {
		return 0, false
	}
	switch raw = raw[f.offset:]; f.size {
	case 1:
		return uint64(raw[0]), true
	case 2:
		return uint64(binary.NativeEndian.Uint16(raw)), true
	case 4:
		return uint64(binary.NativeEndian.Uint32(raw)), true
	default:
		return binary.NativeEndian.Uint64(raw), true
	}
}

// maxTime is longer than any machine has been up, and fits a trace.
const maxTime = 1 << 59 * time.Nanosecond

var errSample = errors.New("no sample of a page")

// sample decodes a record of a ring: which page came into memory, and when by CLOCK_MONOTONIC. The
// page has no bytes when the record is of another kind. sample ignores records of lost events,
// which ring.lost counts.
func (f *pageFormat) sample(kind uint32, body []byte) (time.Duration, page, error) {
	switch kind {
	case unix.PERF_RECORD_SAMPLE:
	case unix.PERF_RECORD_THROTTLE:
		return 0, page{}, errSample // an unknown number of events is missing after it
	default:
		return 0, page{}, nil
	}
	// PERF_SAMPLE_TIME: u64; PERF_SAMPLE_RAW: u32 size, then so many bytes.
	if len(body) < 12 {
		return 0, page{}, errSample
	}
	at, size, raw := binary.NativeEndian.Uint64(
		body,
	), binary.NativeEndian.Uint32(
		body[8:],
	), body[12:]
	if uint64(size) > uint64(len(raw)) || at >= uint64(maxTime) {
		return 0, page{}, errSample
	}
	raw = raw[:size]
	inode, ok1 := f.inode.value(raw)
	index, ok2 := f.index.value(raw)
	order, ok3 := f.order.value(raw)
	if !ok1 || !ok2 || !ok3 || index >= uint64(maxOffset/f.pageSize) || order > 16 {
		return 0, page{}, errSample
	}
	length := f.pageSize << order
	return time.Duration(at), page{inode, byteRange{int64(index) * f.pageSize, length}}, nil
}
