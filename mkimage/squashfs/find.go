package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
)

// ErrNoFile is wrapped when a path leads to neither a regular file nor a block device: opening a
// FIFO would wait for a writer.
var ErrNoFile = errors.New("neither a file nor a block device")

// Find opens the image in r wherever it begins: at the start; in a partition of an MBR or a GPT; or
// behind something else, as mksquashfs -offset and AppImages have it. Of several it takes the
// first. What begins like an archive is not searched.
//
// An image that is not at the start is looked for at every byte of the first searchBytes, and then
// at every MiB. The errors are those of [Open] at the start of r.
func Find(r io.ReaderAt, size int64) (*Image, error) {
	m, err := Open(r, size)
	if err == nil || !errors.Is(err, ErrCorrupt) {
		return m, err
	}
	head := make([]byte, min(headBytes, max(size, 0)))
	if n, readErr := r.ReadAt(head, 0); readErr != nil && readErr != io.EOF {
		return nil, readErr
	} else if head = head[:n]; begins(head) {
		return nil, err
	}
	s := &search{r: r, size: size, left: maxCandidates}
	for _, find := range []func() (*Image, error){s.partitions, s.start, s.steps} {
		if m, findErr := find(); m != nil || findErr != nil {
			return m, findErr
		}
	}
	return nil, err
}

// OpenFile opens the image in a file or on a block device, found as [Find] does.
func OpenFile(path string) (*ImageFile, error) {
	f, size, err := OpenMedium(path)
	if err != nil {
		return nil, err
	}
	m, err := Find(f, size)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &ImageFile{Image: m, f: f}, nil
}

// OpenMedium opens a file or a block device for reading, and gives its size. Anything else is
// ErrNoFile, without waiting.
func OpenMedium(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	if mode := info.Mode(); !mode.IsRegular() && mode.Type() != os.ModeDevice {
		return nil, 0, fmt.Errorf("%s: %w", path, ErrNoFile)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	size, err := f.Seek(0, io.SeekEnd) // Stat has no size for a block device
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// ImageFile is an image with the file that it is in.
type ImageFile struct {
	*Image
	f *os.File
}

// Close closes the file.
func (f *ImageFile) Close() error { return f.f.Close() }

const (
	searchBytes = 16 << 20 // of a file, at every byte of which an image may begin
	stepBytes   = 1 << 20  // behind them one may begin where partitions do
	maxSteps    = 1 << 16
	// images that are looked into: who writes magic numbers all over gets no further
	maxCandidates = 64
	headBytes     = 512
)

// search looks for an image that does not begin where the file does.
type search struct {
	r    io.ReaderAt
	size int64
	left int // candidates
}

// at opens the image that begins at off, if one does. Only errors of reading are returned.
func (s *search) at(off int64) (*Image, error) {
	if off <= 0 || off > s.size-superblockSize || s.left == 0 {
		return nil, nil
	}
	var magic [4]byte
	if _, err := s.r.ReadAt(magic[:], off); err != nil {
		return nil, unlessEOF(err)
	}
	if string(magic[:]) != magicBytes {
		return nil, nil
	}
	s.left--
	m, err := Open(io.NewSectionReader(s.r, off, s.size-off), s.size-off)
	if err != nil {
		return nil, nil // it only looks like one, or is of no use: the next may be
	}
	m.start = off
	return m, nil
}

// start looks at every byte of the file's first part.
func (s *search) start() (*Image, error) {
	const window = 1 << 20
	buf := make([]byte, min(window+len(magicBytes)-1, int(min(s.size, searchBytes))))
	for off := int64(0); off < min(s.size, searchBytes); off += window {
		n, err := s.r.ReadAt(buf, off)
		if err != nil && err != io.EOF {
			return nil, err
		}
		for b, at := buf[:n], off; ; {
			i := bytes.Index(b, []byte(magicBytes))
			if i < 0 {
				break
			}
			if m, err := s.at(at + int64(i)); m != nil || err != nil {
				return m, err
			}
			b, at = b[i+1:], at+int64(i)+1
		}
	}
	return nil, nil
}

// steps looks at every MiB of the rest.
func (s *search) steps() (*Image, error) {
	for i := range int64(maxSteps) {
		off := searchBytes + i*stepBytes
		if off >= s.size {
			break
		}
		if m, err := s.at(off); m != nil || err != nil {
			return m, err
		}
	}
	return nil, nil
}

func unlessEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

const magicBytes = "hsqs" // superMagic as it lies on disk

// begins tells whether a file is what its first bytes say, so that an image further in is but a
// part of it: an image, or an archive.
func begins(head []byte) bool {
	for _, magic := range []string{
		magicBytes, "sqsh",
		// cpio
		"07070",
		// gzip
		"\x1f\x8b",
		// zstd, xz, bzip2, lz4, lzma
		"\x28\xb5\x2f\xfd", "\xfd7zXZ\x00", "BZh", "\x02\x21\x4c\x18", "\x04\x22\x4d\x18", "\x5d\x00\x00",
		"!<arch>\n", "PK\x03\x04",
	} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return len(head) >= 262 && string(head[257:262]) == "ustar"
}
