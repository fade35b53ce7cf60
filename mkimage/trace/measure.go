package trace

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// Scatter says how the files of a trace lie in an image, and so what a disk has to do to serve a
// boot.
type Scatter struct {
	Files   int   `json:"files"`   // files of the trace that the image has, with data
	Missing int   `json:"missing"` // files of the trace that the image lacks
	Bytes   int64 `json:"bytes"`   // stored bytes of the blocks that are read, each counted once
	Blocks  int   `json:"blocks"`  // data and fragment blocks
	// runs of adjacent blocks among them: the requests of a perfect sweep over the disk
	Ranges int `json:"ranges"`
	// blocks that do not follow the block before, in the order of the trace
	Seeks  int   `json:"seeks"`
	Span   int64 `json:"span"`   // bytes from the first of the blocks to the end of the last
	Data   int64 `json:"data"`   // stored bytes of all files of the image
	Tables int   `json:"tables"` // metadata blocks read to open the image and find the files
}

// extent is a run of stored bytes of an image.
type extent struct{ offset, end int64 }

// Measure opens the image in r, which has size bytes, and finds the blocks that t's files need. Of
// a file with Ranges it counts only the blocks that these touch.
func Measure(t *Trace, r io.ReaderAt, size int64) (Scatter, error) {
	tables := &tableReader{ReaderAt: r, blocks: make(map[int64]bool)}
	m, err := squashfs.Open(tables, size)
	if err != nil {
		return Scatter{}, err
	}
	s := Scatter{}
	visited := make(map[int64]bool)
	var blocks []extent
	for i := range t.Files {
		f := &t.Files[i]
		n, err := m.Lookup(f.Path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && n.Type != tree.Regular {
			s.Missing++
			continue
		}
		if err != nil {
			return Scatter{}, fmt.Errorf("measure /%s: %w", f.Path, err)
		}
		stored, err := storedBlocks(m, n, f.ranges)
		if err != nil {
			return Scatter{}, fmt.Errorf("measure /%s: %w", f.Path, err)
		}
		if len(stored) > 0 {
			s.Files++
		}
		for _, b := range stored {
			if visited[b.offset] {
				continue // read already, by another name
			}
			visited[b.offset] = true
			if len(blocks) == 0 || blocks[len(blocks)-1].end != b.offset {
				s.Seeks++
			}
			blocks = append(blocks, b)
		}
	}
	s.Tables = tables.behind(m.Info().Tables)
	s.count(blocks)
	s.Data, err = dataBytes(m)
	return s, err
}

// tableReader notes the offsets of reads.
type tableReader struct {
	io.ReaderAt
	blocks map[int64]bool
}

// locationSize is the size of reads from a table's list of blocks, which is itself no block.
const locationSize = 8

func (r *tableReader) ReadAt(p []byte, off int64) (int, error) {
	if len(p) > locationSize {
		r.blocks[off] = true
	}
	return r.ReaderAt.ReadAt(p, off)
}

// behind counts the noted offsets at or behind an offset.
func (r *tableReader) behind(offset int64) (n int) {
	for at := range r.blocks {
		if at >= offset {
			n++
		}
	}
	return n
}

// count fills in the figures of the blocks, which it sorts.
func (s *Scatter) count(blocks []extent) {
	slices.SortFunc(blocks, func(a, b extent) int { return cmp.Compare(a.offset, b.offset) })
	s.Blocks = len(blocks)
	for i, b := range blocks {
		s.Bytes += b.end - b.offset
		if i == 0 || blocks[i-1].end != b.offset {
			s.Ranges++
		}
	}
	if s.Blocks > 0 {
		s.Span = blocks[len(blocks)-1].end - blocks[0].offset
	}
}

// storedBlocks gives the blocks of n that the ranges touch, or all when there are no ranges.
func storedBlocks(m *squashfs.Image, n *squashfs.Node, ranges []byteRange) ([]extent, error) {
	var stored []extent
	var at int64
	for b, err := range m.Blocks(n) {
		if err != nil {
			return nil, err
		}
		if b.Length > 0 && touches(ranges, at, at+int64(b.Size)) {
			stored = append(stored, extent{b.Offset, b.Offset + int64(b.Length)})
		}
		at += int64(b.Size)
	}
	if index, _, ok := m.Fragment(n); ok && touches(ranges, at, n.StatSize()) {
		b, err := m.FragmentBlock(index)
		if err != nil {
			return nil, err
		}
		stored = append(stored, extent{b.Offset, b.Offset + int64(b.Length)})
	}
	return stored, nil
}

// touches tells whether a range has one of the bytes from offset to end. Without ranges it is true.
func touches(ranges []byteRange, offset, end int64) bool {
	if len(ranges) == 0 {
		return true
	}
	i, _ := slices.BinarySearchFunc(ranges, offset, func(r byteRange, offset int64) int {
		if r.end() <= offset {
			return -1
		}
		return 1
	})
	return i < len(ranges) && ranges[i].offset < end
}

// dataBytes sums the stored bytes of all files. It counts each block once.
func dataBytes(m *squashfs.Image) (int64, error) {
	visited := make(map[int64]bool)
	var sum int64
	err := m.Walk(func(n *squashfs.Node) error {
		if n.Type != tree.Regular {
			return nil
		}
		stored, err := storedBlocks(m, n, nil)
		for _, b := range stored {
			if !visited[b.offset] {
				visited[b.offset] = true
				sum += b.end - b.offset
			}
		}
		return err
	})
	return sum, err
}
