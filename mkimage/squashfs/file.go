package squashfs

import (
	"fmt"
	"io"
	"sync"

	"deltaup/mkimage/tree"
)

// File is the content of a regular file. It implements io.ReaderAt and is safe for concurrent use.
// It keeps the last block, so that reading in order (through io.NewSectionReader) decompresses each
// block once. Calls wait for each other: to read one content in parallel, open it several times.
type File struct {
	m        *Image
	path     string
	size     int64
	fragment int // index of the fragment block with the tail; -1: none
	offset   int // offset of the tail in the fragment block's plain bytes

	mu    sync.Mutex
	list  *blockList
	index int64  // number of the block in plain
	plain []byte // the last block; empty at first
}

// File opens the content of a regular file. It needs no closing.
func (m *Image) File(n *Node) (*File, error) {
	if n.Type != tree.Regular {
		return nil, fmt.Errorf("open %s: no regular file", quote(n.Path))
	}
	f := &File{m: m, path: n.Path, size: n.Size, fragment: -1, list: m.blockList(n)}
	if index, offset, ok := m.Fragment(n); ok {
		f.fragment, f.offset = index, offset
	}
	return f, nil
}

// Size is the length of the content in bytes.
func (f *File) Size() int64 { return f.size }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s: negative offset %d", quote(f.path), off)
	}
	if off >= f.size {
		return 0, io.EOF
	}
	var end error
	if rest := f.size - off; int64(len(p)) > rest {
		p, end = p[:rest], io.EOF
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(p) {
		k, err := f.readBlock(p[n:], off+int64(n))
		n += k
		if err != nil {
			return n, fmt.Errorf("read %s at %d: %w", quote(f.path), off+int64(n), err)
		}
	}
	return n, end
}

// readBlock reads into p from one block or the tail. p is not empty and ends within the file.
func (f *File) readBlock(p []byte, off int64) (int, error) {
	bs := int64(f.m.info.BlockSize)
	i, within := off/bs, int(off%bs)
	if i >= f.list.total {
		return f.readTail(p, within)
	}
	if len(f.plain) != 0 && i == f.index {
		return copy(p, f.plain[within:]), nil
	}
	b, err := f.list.at(i)
	if err != nil {
		return 0, err
	}
	if b.Length == 0 {
		n := min(len(p), b.Size-within)
		clear(p[:n])
		return n, nil
	}
	if within == 0 && len(p) >= b.Size {
		return f.m.decompress(b, p[:b.Size])
	}
	f.plain, err = f.m.ReadBlock(b, f.plain[:0])
	if err != nil {
		return 0, err
	}
	f.index = i
	return copy(p, f.plain[within:]), nil
}

// readTail reads into p from the tail, from its byte within on.
func (f *File) readTail(p []byte, within int) (int, error) {
	plain, err := f.m.fragment(f.fragment)
	if err != nil {
		return 0, err
	}
	from, to := f.offset+within, f.offset+int(f.size%int64(f.m.info.BlockSize))
	if to > len(plain) {
		return 0, fmt.Errorf("%w: tail ends at %d of fragment block %d, which has %d bytes",
			ErrCorrupt, to, f.fragment, len(plain))
	}
	return copy(p, plain[from:to]), nil
}
