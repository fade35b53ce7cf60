package trace

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxPageRanges bounds the ranges of all files of one recording.
const maxPageRanges = 1 << 20

// How often the pipe is read. A reader that waits for it is woken for each page, which costs a boot a fifth of its processor
// time; in a pause the kernel's buffer fills by what a disk can bring, and that is a small part of it.
const (
	pipePause = 200 * time.Millisecond
	pipeFull  = 2048 // a read gives less when nothing is left, else about a page
)

// read takes lines until finish sets a deadline.
func (p *pages) read() error {
	in := bufio.NewScanner(pacedReader{p.pipe, p.stop})
	for in.Scan() {
		p.take(in.Text())
	}
	if err := in.Err(); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("read trace_pipe: %w", err)
	}
	return nil
}

// pacedReader pauses when it has read all that there was, until stop is closed.
type pacedReader struct {
	pipe *os.File
	stop <-chan struct{}
}

func (r pacedReader) Read(b []byte) (int, error) {
	n, err := r.pipe.Read(b)
	if err == nil && n < pipeFull {
		select {
		case <-time.After(pipePause):
		case <-r.stop:
		}
	}
	return n, err
}

// take notes the page that a line of trace_pipe tells of.
func (p *pages) take(line string) {
	head, event, ok := strings.Cut(line, ": mm_filemap_add_to_page_cache: ")
	if !ok {
		p.lost += lostEvents(line)
		return
	}
	at, err1 := strconv.ParseFloat(head[strings.LastIndexByte(head, ' ')+1:], 64)
	ino, err2 := strconv.ParseUint(value(event, " ino "), 16, 64)
	offset, err3 := strconv.ParseInt(value(event, " ofs="), 10, 64)
	order, err4 := strconv.ParseUint("0"+value(event, " order="), 10, 8) // older kernels have none
	if errors.Join(err1, err2, err3, err4) != nil || at < 0 || at > 1<<40 || offset < 0 || offset >= maxOffset || order > 16 {
		p.lost++
		return
	}
	f := p.files[ino]
	if f == nil {
		if len(p.files) == MaxFiles {
			p.lost++
			return
		}
		f = &File{First: time.Duration(at*1e6) * time.Microsecond}
		p.files[ino] = f
	}
	p.add(f, Range{offset, int64(os.Getpagesize()) << order})
}

// lostEvents is how many events the ring buffer had no room for, where a line tells of them.
func lostEvents(line string) int64 {
	_, after, ok := strings.Cut(line, "[LOST ")
	count, _, ok2 := strings.Cut(after, " EVENTS]")
	if !ok || !ok2 {
		return 0
	}
	n, _ := strconv.ParseInt(count, 10, 32) // too many count as 2^31
	return max(n, 0)
}

// value is what stands in text between a name and the next space; "" when the name is not there.
func value(text, name string) string {
	_, after, _ := strings.Cut(text, name)
	word, _, _ := strings.Cut(after, " ")
	return word
}

// add joins r to f's last range where it follows on it, as readahead has it.
func (p *pages) add(f *File, r Range) {
	if n := len(f.Ranges); n > 0 && f.Ranges[n-1].End() == r.Offset {
		f.Ranges[n-1].Length += r.Length
		return
	}
	if p.ranges == maxPageRanges {
		p.lost++
		return
	}
	p.ranges++
	f.Ranges = append(f.Ranges, r)
}

// clip cuts ranges at a file's end: squashfs reads ahead past it.
func clip(ranges []Range, size int64) []Range {
	kept := ranges[:0]
	for _, r := range ranges {
		if r.Length = min(r.Length, size-r.Offset); r.Length > 0 {
			kept = append(kept, r)
		}
	}
	return kept[:min(len(kept), maxRanges)]
}
