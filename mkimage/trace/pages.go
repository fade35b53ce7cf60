package trace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// maxPageRanges bounds the number of ranges in one recording.
const maxPageRanges = 1 << 20

// pages records which pages of an image's files come into memory. A tracepoint of the kernel writes
// them into a ring for each processor, see ring. pages holds open everything that it needs until
// the end, because switch_root takes paths away from a process that stays behind.
type pages struct {
	image   *os.File
	format  pageFormat
	rings   []*ring
	readers errgroup.Group // one for each ring

	mu    sync.Mutex       // guards the fields below
	files map[uint64]*File // by inode number
	// inode of the page before, whose file is last: pages mostly come in runs
	inode  uint64
	last   *File
	ranges int // number of ranges of all files
	lost   int64
}

// startPages begins to record. image is as for mountedImage.
func startPages(image string) (*pages, error) {
	device, image, err := mountedImage(image)
	if err != nil {
		return nil, err
	}
	p := &pages{files: make(map[uint64]*File)}
	if err := p.open(device, image); err != nil {
		return nil, errors.Join(err, p.close())
	}
	for _, r := range p.rings {
		p.readers.Go(func() error { return r.read(p.drain) })
	}
	return p, nil
}

// open opens the image and a ring for each processor, and begins to fill them.
func (p *pages) open(device uint64, image string) (err error) {
	if p.format, err = readPageFormat(); err != nil {
		return err
	}
	if p.image, err = os.Open(image); err != nil {
		return err
	}
	cpus, err := onlineCPUs()
	if err != nil {
		return err
	}
	for _, cpu := range cpus {
		r, err := openRing(p.format.id, cpu, ringSize(len(cpus)),
			fmt.Sprintf("s_dev == %d", device))
		if err != nil {
			return err
		}
		p.rings = append(p.rings, r)
	}
	for _, r := range p.rings {
		if err := r.enable(true); err != nil {
			return err
		}
	}
	return nil
}

// drain records what is in a ring.
func (p *pages) drain(r *ring) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	slept := suspended()
	return r.drain(func(kind uint32, body []byte) { p.record(kind, body, slept) })
}

// record records one record of a ring. slept is the time of suspensions, which the ring's clock
// leaves out.
func (p *pages) record(kind uint32, body []byte, slept time.Duration) {
	at, page, err := p.format.sample(kind, body)
	switch {
	case err != nil:
		p.lost++
	case page.length > 0:
		p.page((at + slept).Truncate(time.Microsecond), page)
	}
}

// page notes a page that came into memory at a time since the kernel started.
func (p *pages) page(at time.Duration, page page) {
	if p.last == nil || p.inode != page.inode {
		f := p.files[page.inode]
		if f == nil {
			if len(p.files) == maxFiles {
				p.lost++
				return
			}
			f = &File{First: at}
			p.files[page.inode] = f
		}
		p.inode, p.last = page.inode, f
	}
	p.last.First = min(p.last.First, at) // another processor's ring may have been read first
	p.add(p.last, page.byteRange)
}

// add appends r to f, or joins it to f's last range if it follows that, as with readahead.
func (p *pages) add(f *File, r byteRange) {
	if n := len(f.ranges); n > 0 && f.ranges[n-1].end() == r.offset {
		f.ranges[n-1].length += r.length
		return
	}
	if p.ranges == maxPageRanges {
		p.lost++
		return
	}
	p.ranges++
	f.ranges = append(f.ranges, r)
}

// finish ends the recording and adds what it saw to t.
func (p *pages) finish(t *Trace) error {
	for _, r := range p.rings {
		if err := errors.Join(r.enable(false), r.stop()); err != nil {
			return err
		}
	}
	if err := p.readers.Wait(); err != nil {
		return err
	}
	for _, r := range p.rings {
		if err := p.drain(r); err != nil {
			return err
		}
		lost, err := r.lost()
		if err != nil {
			return err
		}
		p.lost += lost
	}
	return p.join(t)
}

// join finds the paths of the inodes in the image and adds their ranges to t's files.
func (p *pages) join(t *Trace) error {
	size, err := p.image.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	m, err := squashfs.Open(p.image, size)
	if err != nil {
		return fmt.Errorf("image %s: %w", p.image.Name(), err)
	}
	opened := make(map[string]bool)
	for _, f := range t.Files {
		opened[f.Path] = true
	}
	read := &Trace{Lost: p.lost}
	named := make(map[uint64]int) // index in read.Files, by inode
	err = m.Walk(func(n *squashfs.Node) error {
		f := p.files[uint64(n.Inode)]
		if f == nil || n.Type != tree.Regular || n.Path == "" {
			return nil
		}
		if i, ok := named[uint64(n.Inode)]; ok {
			if opened[n.Path] && !opened[read.Files[i].Path] {
				read.Files[i].Path = n.Path // of hard links the one by which the file was opened
			}
			return nil
		}
		named[uint64(n.Inode)] = len(read.Files)
		read.Files = append(read.Files,
			File{Path: n.Path, First: f.First, ranges: clip(joinRanges(f.ranges), n.Size)})
		return nil
	})
	if err != nil {
		return fmt.Errorf("image %s: %w", p.image.Name(), err)
	}
	*t = *join(t, read)
	return nil
}

// clip cuts ranges at a file's end, since squashfs reads ahead past it.
func clip(ranges []byteRange, size int64) []byteRange {
	kept := ranges[:0]
	for _, r := range ranges {
		if r.length = min(r.length, size-r.offset); r.length > 0 {
			kept = append(kept, r)
		}
	}
	return kept[:min(len(kept), maxRanges)]
}

// close ends the recording and frees what it holds, also in the middle of it.
func (p *pages) close() error {
	var errs []error
	for _, r := range p.rings {
		errs = append(errs, r.stop())
	}
	p.readers.Wait() // finish has returned its error
	for _, r := range p.rings {
		errs = append(errs, r.close())
	}
	if p.image != nil {
		p.image.Close() // nothing was written
	}
	return errors.Join(errs...)
}
