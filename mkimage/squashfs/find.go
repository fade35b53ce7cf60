package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"deltaup/internal/disk"
)

// ErrNoFile is wrapped when a path leads to neither a regular file nor a block device. Opening a
// FIFO would wait for a writer.
var ErrNoFile = errors.New("neither a file nor a block device")

// ErrSeveral is wrapped when there are several images and the caller wants the only one.
var ErrSeveral = errors.New("more than one squashfs image is in it")

// Find opens the image in r, which has size bytes. The image may begin at the start of r, in a
// partition of an MBR or a GPT, or behind something else, as with mksquashfs -offset and in
// AppImages. Of several images Find opens the first; [FindAll] opens all. Find does not search an
// archive.
//
// Find looks for an image at every byte of the first searchBytes, and then at every MiB. When it
// finds none, its error is that of [Open] at the start of r.
func Find(r io.ReaderAt, size int64) (*Image, error) {
	found, err := find(r, size, 1)
	if err != nil {
		return nil, err
	}
	return found[0], nil
}

// FindAll opens every image in r, at least one. When partitions hold images, images outside of
// partitions do not count. An image inside another image is a part of that and does not count.
func FindAll(r io.ReaderAt, size int64) ([]*Image, error) { return find(r, size, maxCandidates) }

// FindOnly opens the only image that FindAll finds. For several images the error wraps ErrSeveral
// and names their places.
func FindOnly(r io.ReaderAt, size int64) (*Image, error) {
	found, err := FindAll(r, size)
	if err != nil {
		return nil, err
	}
	if len(found) > 1 {
		return nil, fmt.Errorf("%w: %s", ErrSeveral, Places(found))
	}
	return found[0], nil
}

// Places lists, for a message, where images begin.
func Places(images []*Image) string {
	places := make([]disk.Place, len(images))
	for i, m := range images {
		places[i] = m.place
	}
	return disk.Places(places)
}

func find(r io.ReaderAt, size int64, want int) ([]*Image, error) {
	m, err := Open(r, size)
	if err == nil {
		return []*Image{m}, nil
	}
	if !errors.Is(err, ErrCorrupt) {
		return nil, err
	}
	head := make([]byte, min(headBytes, max(size, 0)))
	if n, readErr := r.ReadAt(head, 0); readErr != nil && readErr != io.EOF {
		return nil, readErr
	} else if head = head[:n]; begins(head) {
		return nil, err
	}
	s := &search{r: r, size: size, want: want, left: maxCandidates}
	for _, look := range []func() error{s.partitions, s.start, s.steps} {
		if lookErr := look(); lookErr != nil {
			return nil, lookErr
		}
		if s.done() {
			break
		}
	}
	if len(s.found) == 0 {
		return nil, err
	}
	return s.found, nil
}

// OpenFile opens the image in a file or on a block device, found as [Find] does.
func OpenFile(path string) (*ImageFile, error) { return openFound(path, Find) }

// OpenOnly opens the only image in a file or on a block device, found as [FindOnly] does.
func OpenOnly(path string) (*ImageFile, error) { return openFound(path, FindOnly) }

func openFound(path string, find func(io.ReaderAt, int64) (*Image, error)) (*ImageFile, error) {
	f, size, err := OpenMedium(path)
	if err != nil {
		return nil, err
	}
	m, err := find(f, size)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &ImageFile{Image: m, f: f}, nil
}

// OpenMedium opens a file or a block device for reading, and gives its size in bytes. For anything
// else the error wraps ErrNoFile, without waiting.
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
	size, err := f.Seek(0, io.SeekEnd) // Stat does not tell the size of a block device
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// ImageFile is an image with the open file that holds it.
type ImageFile struct {
	*Image
	f *os.File
}

// Close closes the file.
func (f *ImageFile) Close() error { return f.f.Close() }

const (
	searchBytes = 16 << 20 // the first bytes of a file, at each of which an image may begin
	stepBytes   = 1 << 20  // behind these an image may begin at each multiple, like partitions
	maxSteps    = 1 << 16
	// the most images that search opens, so that magic numbers everywhere cannot slow it down
	maxCandidates = 64
	headBytes     = 512
)

// search looks for images that do not begin at the start of a file.
type search struct {
	r     io.ReaderAt
	size  int64
	want  int // images that are still wanted
	left  int // candidates that may still be opened
	found []*Image
	// when partitions hold images, search looks nowhere else
	inPartitions bool
}

func (s *search) done() bool {
	return len(s.found) >= s.want || s.left == 0 || s.inPartitions
}

// end is where the last found image ends. An image that begins before that is a part of it.
func (s *search) end() int64 {
	if len(s.found) == 0 {
		return 0
	}
	m := s.found[len(s.found)-1]
	return m.place.Offset + m.used
}

// at opens the image that begins at a place, if there is one. It returns only errors of reading.
func (s *search) at(p disk.Place) error {
	if p.Offset <= 0 || p.Offset > s.size-superblockSize || s.left == 0 {
		return nil
	}
	var magic [4]byte
	if _, err := s.r.ReadAt(magic[:], p.Offset); err != nil {
		return unlessEOF(err)
	}
	if string(magic[:]) != magicBytes {
		return nil
	}
	s.left--
	room := s.size - p.Offset
	m, err := Open(io.NewSectionReader(s.r, p.Offset, room), room)
	if err != nil {
		return nil // it only looks like an image, or is of no use; look further
	}
	m.place = p
	s.found = append(s.found, m)
	return nil
}

// partitions looks for images at the starts of partitions.
func (s *search) partitions() error {
	_, places, err := disk.Partitions(s.r, s.size)
	for _, p := range places {
		if err == nil && !s.done() {
			err = s.at(p)
		}
	}
	s.inPartitions = len(s.found) > 0
	return err
}

// start looks for images at every one of the first searchBytes.
func (s *search) start() error {
	const window = 1 << 20
	buf := make([]byte, min(window+len(magicBytes)-1, int(min(s.size, searchBytes))))
	for off := int64(0); off < min(s.size, searchBytes) && !s.done(); off += window {
		n, err := s.r.ReadAt(buf, off)
		if err != nil && err != io.EOF {
			return err
		}
		for b, at := buf[:n], off; !s.done(); {
			i := bytes.Index(b, []byte(magicBytes))
			if i < 0 {
				break
			}
			if at += int64(i); at >= s.end() {
				if err := s.at(disk.Place{Offset: at}); err != nil {
					return err
				}
			}
			b, at = b[i+1:], at+1
		}
	}
	return nil
}

// steps looks for images at every stepBytes of the rest.
func (s *search) steps() error {
	for i := range int64(maxSteps) {
		off := searchBytes + i*stepBytes
		if off >= s.size || s.done() {
			break
		}
		if off < s.end() {
			continue
		}
		if err := s.at(disk.Place{Offset: off}); err != nil {
			return err
		}
	}
	return nil
}

func unlessEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

const magicBytes = "hsqs" // superMagic in the order of bytes on disk

// begins tells whether head is the beginning of an image or an archive, in which an image further
// in is only a part.
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
