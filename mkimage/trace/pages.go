package trace

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"deltaup/mkimage/squashfs"
)

// pageEvent is the kernel's filemap tracepoint that tells of a page, or a folio of 2^order pages, that
// entered memory. Its fields: include/trace/events/filemap.h.
const pageEvent = "events/filemap/mm_filemap_add_to_page_cache"

// pages records which pages of an image's files come into memory, through a tracefs
// instance of its own, so that other users of the kernel's tracing see nothing of it. All that it needs
// until the end is held open: switch_root takes the paths away from a process that stays behind.
type pages struct {
	instances *os.Root // tracefs's folder of them
	name      string   // of the instance
	dir       *os.Root // of the instance
	pipe      *os.File
	image     *os.File
	reader    errgroup.Group
	stop      chan struct{}    // closed: read what is left, without a pause
	files     map[uint64]*File // by inode number
	ranges    int              // of all files
	lost      int64
}

// startPages begins to record. image "" is the only squashfs that is mounted.
func startPages(image string) (*pages, error) {
	device, image, err := mountedImage(image)
	if err != nil {
		return nil, err
	}
	p := &pages{name: "deltaup-" + strconv.Itoa(os.Getpid()), files: make(map[uint64]*File), stop: make(chan struct{})}
	if err := p.open(image); err != nil {
		p.close()
		return nil, err
	}
	if err := p.enable(device); err != nil {
		p.close()
		return nil, err
	}
	p.reader.Go(p.read)
	return p, nil
}

// open opens the image and makes the instance.
func (p *pages) open(image string) error {
	tracing, err := tracefs()
	if err != nil {
		return err
	}
	if p.image, err = os.Open(image); err != nil {
		return err
	}
	if p.instances, err = os.OpenRoot(filepath.Join(tracing, "instances")); err != nil {
		return notPermitted("open tracefs", err)
	}
	if err := p.instances.Mkdir(p.name, 0o700); err != nil {
		return notPermitted("make a tracefs instance", err)
	}
	p.dir, err = p.instances.OpenRoot(p.name)
	return err
}

// tracefs finds where the kernel's tracing is mounted.
func tracefs() (string, error) {
	for _, dir := range []string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		if _, err := os.Stat(filepath.Join(dir, pageEvent)); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("no tracefs with filemap events at /sys/kernel/tracing: mount it, or record without pages")
}

// enable sets the instance up for one device.
func (p *pages) enable(device uint64) error {
	for _, setting := range []struct{ file, value string }{
		{"trace_clock", "boot"},
		{"buffer_size_kb", "2048"},
		{pageEvent + "/filter", fmt.Sprintf("s_dev == %d", device)},
		{pageEvent + "/enable", "1"},
	} {
		if err := p.set(setting.file, setting.value); err != nil {
			return err
		}
	}
	// Not blocking, so that a deadline can end the read.
	pipe, err := p.dir.OpenFile("trace_pipe", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("set up tracing: %w", err)
	}
	p.pipe = pipe
	return nil
}

// set writes one of the instance's settings.
func (p *pages) set(file, value string) error {
	f, err := p.dir.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("set up tracing: %w", err)
	}
	_, err = io.WriteString(f, value)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("set up tracing: %w", err)
	}
	return nil
}

// finish ends the recording and adds to t what it saw.
func (p *pages) finish(t *Trace) error {
	if err := p.set(pageEvent+"/enable", "0"); err != nil {
		return err
	}
	close(p.stop)
	// What is in the buffer is there at once; a moment suffices to read it.
	if err := p.pipe.SetReadDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
		return err
	}
	if err := p.reader.Wait(); err != nil {
		return err
	}
	return p.join(t)
}

// join finds the paths of inodes in the image and joins their pages to t's files.
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
	named := make(map[uint64]int) // inode -> index in read.Files
	err = m.Walk(func(n *squashfs.Node) error {
		f := p.files[uint64(n.Inode)]
		if f == nil || n.Type != squashfs.Regular || n.Path == "" {
			return nil
		}
		if i, ok := named[uint64(n.Inode)]; ok {
			if opened[n.Path] && !opened[read.Files[i].Path] {
				read.Files[i].Path = n.Path // of hard links, the one by which it was opened
			}
			return nil
		}
		named[uint64(n.Inode)] = len(read.Files)
		read.Files = append(read.Files, File{Path: n.Path, First: f.First, Ranges: clip(joinRanges(f.Ranges), n.Size)})
		return nil
	})
	if err != nil {
		return fmt.Errorf("image %s: %w", p.image.Name(), err)
	}
	*t = *Join(t, read)
	return nil
}

// close ends the recording, wherever it stands.
func (p *pages) close() {
	if p.pipe != nil && p.pipe.SetReadDeadline(time.Now()) == nil {
		p.reader.Wait() // its error, if any, was finish's
	}
	// Nothing can be done about what fails from here on. The instance can only be removed once its files are closed.
	p.pipe.Close()
	p.image.Close()
	if p.dir != nil {
		p.dir.Close()
	}
	if p.instances != nil {
		p.instances.Remove(p.name)
		p.instances.Close()
	}
}
