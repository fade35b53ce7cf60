package device

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"deltaup/chunkstore"
	"deltaup/internal/plainfile"
)

// The file of an image's sums, by which a scrub tells where the image is damaged; the format is in
// doc/scrub.md.
const (
	sumsMagic   = "DUSUMS\r\n"
	sumsVersion = 1
	sumsHead    = 8 + 4 + 4 + 8
	sumBlock    = 64 << 10             // bytes of the image that one sum is of
	maxSums     = (1 << 40) / sumBlock // of an image of 1 TiB
)

// sums are the first eight bytes of the hash of each block of an image. They find damage. Only the
// hash of all of the image proves that it is right.
type sums struct {
	size int64 // of the image
	keys []uint64
}

// summer makes sums of the bytes that are written to it.
type summer struct {
	sums
	block *chunkstore.Hasher
	in    int // bytes of the block at hand
}

func newSummer() *summer { return &summer{block: chunkstore.NewHasher()} }

// Write takes the next bytes. It never fails.
func (s *summer) Write(p []byte) (int, error) {
	all := len(p)
	for len(p) > 0 {
		n := min(len(p), sumBlock-s.in)
		s.block.Write(p[:n])
		p, s.in, s.size = p[n:], s.in+n, s.size+int64(n)
		if s.in == sumBlock {
			s.end()
		}
	}
	return all, nil
}

func (s *summer) end() {
	id := s.block.ID()
	s.keys = append(s.keys, binary.LittleEndian.Uint64(id[:]))
	s.block.Reset()
	s.in = 0
}

// done gives the sums of all that was written.
func (s *summer) done() *sums {
	if s.in > 0 {
		s.end()
	}
	return &s.sums
}

// seen takes the next bytes of an image, at off. At 0 it begins anew.
func (s *summer) seen(p []byte, off int64) {
	if off == 0 {
		*s = *newSummer()
	}
	s.Write(p)
}

func (s *sums) marshal() []byte {
	b := append(make([]byte, 0, sumsHead+8*len(s.keys)+len(chunkstore.ID{})), sumsMagic...)
	b = binary.LittleEndian.AppendUint32(b, sumsVersion)
	b = binary.LittleEndian.AppendUint32(b, sumBlock)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.size))
	for _, k := range s.keys {
		b = binary.LittleEndian.AppendUint64(b, k)
	}
	id := chunkstore.Sum(b)
	return append(b, id[:]...)
}

// parseSums decodes the sums of an image of size bytes. It wraps chunkstore.ErrVersion for a later
// format, and chunkstore.ErrCorrupt for anything else that it cannot read.
func parseSums(b []byte, size int64) (*sums, error) {
	count := (size + sumBlock - 1) / sumBlock
	if len(b) < sumsHead || string(b[:8]) != sumsMagic {
		return nil, fmt.Errorf("sums: %w", chunkstore.ErrCorrupt)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != sumsVersion {
		return nil, fmt.Errorf("sums: %w: version %d, this program knows %d", chunkstore.ErrVersion,
			v, sumsVersion)
	}
	end := len(b) - len(chunkstore.ID{})
	if int64(len(b)) != sumsLength(count) || binary.LittleEndian.Uint32(b[12:]) != sumBlock ||
		binary.LittleEndian.Uint64(b[16:]) != uint64(size) {
		return nil, fmt.Errorf("sums: %w: not those of an image of %d bytes", chunkstore.ErrCorrupt,
			size)
	}
	if id := chunkstore.Sum(b[:end]); string(id[:]) != string(b[end:]) {
		return nil, fmt.Errorf("sums: %w: they are damaged themselves", chunkstore.ErrCorrupt)
	}
	s := &sums{size: size, keys: make([]uint64, count)}
	for i := range s.keys {
		s.keys[i] = binary.LittleEndian.Uint64(b[sumsHead+8*i:])
	}
	return s, nil
}

// sumsLength is the length of a file of so many sums.
func sumsLength(count int64) int64 { return sumsHead + 8*count + int64(len(chunkstore.ID{})) }

func (d *Device) sumsFolder() string { return filepath.Join(d.state(), "sums") }

func (d *Device) sumsPath(image chunkstore.ID) string {
	return filepath.Join(d.sumsFolder(), image.String())
}

// readSums gives the sums that are kept of an image. After any error there are none.
func (d *Device) readSums(image chunkstore.ID, size int64) (*sums, error) {
	f, err := plainfile.Open(d.sumsPath(image))
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	count := (size + sumBlock - 1) / sumBlock
	if size < 0 || count > maxSums {
		return nil, chunkstore.ErrCorrupt
	}
	b, err := io.ReadAll(io.LimitReader(f, sumsLength(count)+1))
	if err != nil {
		return nil, err
	}
	return parseSums(b, size)
}

// keepSums keeps the sums of an image, and drops those of images that no slot holds any more.
func (d *Device) keepSums(image chunkstore.ID, s *sums) error {
	if int64(len(s.keys)) > maxSums {
		return nil
	}
	unlock, err := d.lockState()
	if err != nil {
		return err
	}
	defer unlock()
	if err := d.replace(d.sumsPath(image), s.marshal()); err != nil {
		return err
	}
	return d.pruneSums()
}

func (d *Device) pruneSums() error {
	r, err := d.records()
	if err != nil {
		return err
	}
	held := map[string]bool{}
	for _, s := range d.Config.Slots {
		held[r.slot(s.Name).Image.String()] = true
	}
	entries, err := os.ReadDir(d.sumsFolder())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, parseErr := chunkstore.ParseID(e.Name()); parseErr != nil || held[e.Name()] {
			continue
		}
		removed := os.Remove(filepath.Join(d.sumsFolder(), e.Name()))
		if !errors.Is(removed, fs.ErrNotExist) {
			err = errors.Join(err, removed)
		}
	}
	return err
}
