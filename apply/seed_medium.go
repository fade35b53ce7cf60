package apply

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"deltaup/internal/medium"
	"deltaup/mkimage/squashfs"
)

// errUnreadable means that a seed's medium gives next to nothing.
var errUnreadable = errors.New("too much of it cannot be read")

// unreadableMax is how many places of a seed may be unreadable: a disk takes its time over each.
const unreadableMax = 1024

// seedMedium is what a seed lies on. What cannot be read of it reads as zeros: whatever is taken of
// a seed is verified, and so that is lacking.
type seedMedium struct {
	*os.File
	salvage medium.Salvage
	lost    atomic.Int64 // places that could not be read, each time that it was tried
}

// openMedium opens a file or a block device.
func openMedium(path string) (*seedMedium, error) {
	f, size, err := squashfs.OpenMedium(path)
	if err != nil {
		return nil, err
	}
	m := &seedMedium{File: f}
	m.salvage = medium.Salvage{R: f, Size: size, Bad: func(int64, int64, error) { m.lost.Add(1) }}
	return m, nil
}

// ReadAt implements io.ReaderAt. It wraps errUnreadable when the medium is given up.
func (m *seedMedium) ReadAt(p []byte, off int64) (int, error) {
	if m.lost.Load() > unreadableMax {
		return 0, fmt.Errorf("%s: %w", m.Name(), errUnreadable)
	}
	return m.salvage.ReadAt(p, off)
}

func (m *seedMedium) size() int64 { return m.salvage.Size }

// section gives all of it.
func (m *seedMedium) section() *io.SectionReader { return io.NewSectionReader(m, 0, m.size()) }
