// Package madeblocks keeps on disk the stored blocks of a new image that this machine has made,
// while the rest of what the image needs is still on its way. [Open] lists what earlier runs left,
// [Store.Put] appends a block, and [Store.Get] gives one back. A run that is killed loses at most
// the block that it was appending.
//
// The file begins with the magic, the image's id, its block size and the name of its codec. Then
// comes the id of the boot of this machine in which all of it was written or read. Records follow,
// one for each block:
//
//	 4  stored length, little-endian; its highest bit says that the block is compressed
//	 4  number of the block in its stretch, little-endian
//	32  key of the stretch, see mkimage.KeyOf
//	 8  the first bytes of the BLAKE3-256 of the 40 bytes before and of the stored bytes
//	 …  stored bytes
//
// Open drops the file from the first record on that is not whole. Within a boot only the last one
// can be that: a kill cuts off the end, and the kernel has the rest. So Open reads the blocks
// themselves only after another boot, which may have followed a power cut, and otherwise no more
// than the last. Nothing else is proved: the hash of the image proves the blocks.
package madeblocks

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"deltaup/chunkstore"
)

const (
	magic      = "DUPMADE2"
	bootSize   = 16
	recordSize = 48
	sumSize    = 8
	compressed = 1 << 31
	// numberMax bounds the numbers of blocks, and so what Open keeps of a file of small records.
	numberMax = 1 << 26
)

// Image names the image that blocks are of.
type Image struct {
	ID        chunkstore.ID
	Codec     string
	BlockSize int
}

// Store is the made blocks of one image. Several goroutines may use it at once. Close it.
type Store struct {
	path  string
	image Image

	mu     sync.Mutex
	f      *os.File // nil: there is no file yet
	end    int64
	blocks map[key]place
	buffer []byte
}

// key names a block.
type key struct {
	stretch chunkstore.ID
	number  uint32
}

// place is where the stored bytes of a block lie.
type place struct {
	offset int64
	length uint32 // with compressed
}

// Open lists what the file at path has of an image: nothing when there is no file, or one of
// another image.
func Open(path string, image Image) (*Store, error) {
	s := &Store{path: path, image: image, blocks: map[key]place{}}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		s.f = f
		err = s.list()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("made blocks: %w", err), s.Close())
	}
	return s, nil
}

// header is how the file of an image begins, before the id of the boot.
func (i Image) header() []byte {
	b := append([]byte(magic), i.ID[:]...)
	b = binary.LittleEndian.AppendUint32(b, uint32(i.BlockSize))
	return append(append(b, byte(len(i.Codec))), i.Codec...)
}

// bootID gives the id of this boot; all zeros when nobody knows it. Tests boot more often.
var bootID = func() (id [bootSize]byte) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id") // see random(4)
	if err != nil {
		return id
	}
	text := strings.ReplaceAll(strings.TrimSpace(string(b)), "-", "")
	if n, err := hex.Decode(id[:], []byte(text[:min(len(text), 2*bootSize)])); err != nil ||
		n != bootSize {
		return [bootSize]byte{}
	}
	return id
}

// list lists the records and cuts off what does not follow them.
func (s *Store) list() error {
	want := s.image.header()
	got := make([]byte, len(want)+bootSize)
	if _, err := s.f.ReadAt(got, 0); err != nil && err != io.EOF {
		return err
	}
	if !bytes.Equal(got[:len(want)], want) {
		return s.f.Truncate(0)
	}
	info, err := s.f.Stat()
	if err != nil {
		return err
	}
	s.end = int64(len(got))
	if info.Size() < s.end {
		s.end = 0
		return s.f.Truncate(0)
	}
	boot := bootID()
	same := boot != [bootSize]byte{} && boot == [bootSize]byte(got[len(want):])
	for s.end < info.Size() {
		whole, err := s.record(info.Size(), same)
		if err != nil {
			return err
		}
		if !whole {
			break
		}
	}
	if err := s.f.Truncate(s.end); err != nil || same {
		return err
	}
	_, err = s.f.WriteAt(boot[:], int64(len(want)))
	return err
}

// record lists the record at the end of what is listed, in a file of so many bytes, and tells
// whether it is whole. It reads the head alone when more follows and all was written in this boot.
func (s *Store) record(size int64, sameBoot bool) (bool, error) {
	s.buffer = slices.Grow(s.buffer[:0], recordSize)[:recordSize]
	if whole, err := s.fill(s.buffer, s.end); !whole {
		return false, err
	}
	head := s.buffer
	p := place{offset: s.end + recordSize, length: binary.LittleEndian.Uint32(head)}
	k := key{chunkstore.ID(head[8:40]), binary.LittleEndian.Uint32(head[4:])}
	length := int(p.length &^ compressed)
	end := p.offset + int64(length)
	if length > s.image.BlockSize || k.number > numberMax || end > size {
		return false, nil
	}
	if !sameBoot || end == size {
		s.buffer = slices.Grow(s.buffer, length)[:recordSize+length]
		if whole, err := s.fill(s.buffer[recordSize:], p.offset); !whole {
			return false, err
		}
		if !bytes.Equal(s.buffer[recordSize-sumSize:recordSize], sum(s.buffer)) {
			return false, nil
		}
	}
	s.blocks[k] = p
	s.end = end
	return true, nil
}

// fill reads bytes of the file, and tells whether it has all of them.
func (s *Store) fill(b []byte, offset int64) (bool, error) {
	n, err := s.f.ReadAt(b, offset)
	if n == len(b) {
		return true, nil
	}
	if err == io.EOF {
		err = nil
	}
	return false, err
}

// sum is the checksum of a record.
func sum(record []byte) []byte {
	h := chunkstore.NewHasher()
	h.Write(record[:recordSize-sumSize])
	h.Write(record[recordSize:])
	id := h.ID()
	return id[:sumSize]
}

// Has tells whether the store has a block of a stretch.
func (s *Store) Has(stretch chunkstore.ID, number int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.blocks[key{stretch, uint32(number)}]
	return ok
}

// HasAll tells whether the store, which may be nil, has the first so many blocks of a stretch.
func (s *Store) HasAll(stretch chunkstore.ID, blocks int) bool {
	if s == nil || s.Empty() {
		return false
	}
	for n := range blocks {
		if !s.Has(stretch, n) {
			return false
		}
	}
	return true
}

// Of tells whether the store, which may be nil, is that of an image.
func (s *Store) Of(image Image) bool { return s != nil && s.image == image }

// Empty tells whether the store has no block.
func (s *Store) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.blocks) == 0
}

// RecordSize is how many bytes of the disk a block of so many stored bytes takes.
func RecordSize(stored int) int64 { return recordSize + int64(stored) }

// Put appends a block. After an error the store is as it was.
func (s *Store) Put(stretch chunkstore.ID, number int, stored []byte, isCompressed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.put(key{stretch, uint32(number)}, stored, isCompressed); err != nil {
		return fmt.Errorf("made blocks: %w", err)
	}
	return nil
}

func (s *Store) put(k key, stored []byte, isCompressed bool) (err error) {
	if s.f == nil {
		if s.f, err = os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
			return err
		}
	}
	if s.end == 0 {
		boot := bootID()
		header := append(s.image.header(), boot[:]...)
		if _, err := s.f.WriteAt(header, 0); err != nil {
			return errors.Join(err, s.f.Truncate(0))
		}
		s.end = int64(len(header))
	}
	length := uint32(len(stored))
	if isCompressed {
		length |= compressed
	}
	b := binary.LittleEndian.AppendUint32(s.buffer[:0], length)
	b = binary.LittleEndian.AppendUint32(b, k.number)
	b = append(b, k.stretch[:]...)
	b = append(append(b, make([]byte, sumSize)...), stored...)
	copy(b[recordSize-sumSize:], sum(b))
	s.buffer = b
	if _, err := s.f.WriteAt(b, s.end); err != nil {
		return errors.Join(err, s.f.Truncate(s.end))
	}
	s.blocks[k] = place{s.end + recordSize, length}
	s.end += int64(len(b))
	return nil
}

// Get gives a block's stored bytes in buffer's memory, and whether they are compressed. A hole has
// none. ok is false when the store lacks the block, or cannot read it.
func (s *Store) Get(stretch chunkstore.ID, number int, buffer []byte) (stored []byte,
	isCompressed, ok bool) {
	s.mu.Lock()
	p, ok := s.blocks[key{stretch, uint32(number)}]
	f := s.f
	s.mu.Unlock()
	if !ok {
		return nil, false, false
	}
	n := int(p.length &^ compressed)
	if cap(buffer) < n {
		buffer = make([]byte, n, s.image.BlockSize)
	}
	if _, err := f.ReadAt(buffer[:n], p.offset); err != nil {
		return nil, false, false
	}
	return buffer[:n], p.length&compressed != 0, true
}

// Close closes the file, which stays.
func (s *Store) Close() error {
	if s == nil || s.f == nil {
		return nil
	}
	return s.f.Close()
}
