package madeblocks

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"deltaup/chunkstore"
)

var image = Image{ID: chunkstore.Sum([]byte("image")), Codec: "zstd-better.1", BlockSize: 4096}

// block is the stored bytes of a block, which differ for all.
func block(stretch chunkstore.ID, number int) []byte {
	return bytes.Repeat([]byte{stretch[0], byte(number), 7}, 20+number)
}

func stretch(i int) chunkstore.ID { return chunkstore.Sum([]byte(fmt.Sprint(i))) }

// booted has the machine boot: n names the boot, and is 0 when nobody knows it.
func booted(t testing.TB, n byte) {
	t.Helper()
	real := bootID
	bootID = func() [bootSize]byte { return [bootSize]byte{n} }
	t.Cleanup(func() { bootID = real })
}

// filled makes a store of 3 stretches with 4 blocks each.
func filled(t testing.TB, path string) {
	t.Helper()
	s, err := Open(path, image)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		for n := range 4 {
			stored := block(stretch(i), n)
			if n == 2 { // a hole
				stored = nil
			}
			if err := s.Put(stretch(i), n, stored, n == 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// count checks the blocks that a store has and counts them.
func count(t testing.TB, s *Store) (n int) {
	t.Helper()
	var buffer []byte
	for i := range 3 {
		for number := range 4 {
			stored, compressed, ok := s.Get(stretch(i), number, buffer)
			if ok != s.Has(stretch(i), number) {
				t.Errorf("block %d of stretch %d: Has says %v", number, i, !ok)
			}
			if !ok {
				continue
			}
			n++
			want := block(stretch(i), number)
			if number == 2 {
				want = nil
			}
			if !bytes.Equal(stored, want) || compressed != (number == 1) {
				t.Errorf("block %d of stretch %d is another one", number, i)
			}
			buffer = stored[:0]
		}
	}
	return n
}

func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made")
	s, err := Open(path, image)
	if err != nil || !s.Empty() || count(t, s) != 0 {
		t.Fatalf("no file: %v", err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("a store without a block has a file")
	}
	filled(t, path)
	if s, err = Open(path, image); err != nil || s.Empty() || count(t, s) != 12 {
		t.Errorf("%d blocks of 12 (%v)", count(t, s), err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(image.header()) + bootSize)
	for i := range 3 {
		for _, n := range []int{0, 1, 3} {
			size += RecordSize(len(block(stretch(i), n)))
		}
		size += RecordSize(0)
	}
	if info.Size() != size {
		t.Errorf("%d bytes on disk, want %d", info.Size(), size)
	}
	for name, other := range map[string]Image{
		"image":      {chunkstore.Sum(nil), image.Codec, image.BlockSize},
		"codec":      {image.ID, "zstd-best.1", image.BlockSize},
		"block size": {image.ID, image.Codec, 8192},
	} {
		filled(t, path)
		s, err := Open(path, other)
		if err != nil || !s.Empty() {
			t.Errorf("another %s: %v", name, err)
		}
		if err := s.Put(stretch(0), 0, block(stretch(0), 0), false); err != nil || count(t, s) != 1 {
			t.Errorf("another %s: %v", name, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCutOff cuts the file at every byte, as a kill may, or a power cut: every block before the cut
// is there, and the store goes on behind them.
func TestCutOff(t *testing.T) {
	booted(t, 1)
	t.Run("in this boot", testCutOff)
	t.Run("before this boot", func(t *testing.T) {
		boots := byte(0)
		bootID = func() [bootSize]byte { boots++; return [bootSize]byte{1, boots} }
		testCutOff(t)
	})
	t.Run("at any time", func(t *testing.T) {
		booted(t, 0)
		testCutOff(t)
	})
}

func testCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made")
	filled(t, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for size := range whole {
		if err := os.WriteFile(path, whole[:size], 0o644); err != nil {
			t.Fatal(err)
		}
		want, end := 0, len(image.header())+bootSize
		for end < size {
			end += recordSize + int(binary.LittleEndian.Uint32(whole[end:])&^compressed)
			if end <= size {
				want++
			}
		}
		s, err := Open(path, image)
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, s); n != want {
			t.Fatalf("cut at %d: %d blocks, want %d", size, n, want)
		}
		if err := s.Put(stretch(2), 3, block(stretch(2), 3), false); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(path, image); err != nil || count(t, s) != want+1 {
			t.Fatalf("cut at %d, and then added to: %d blocks, want %d (%v)", size, count(t, s), want+1, err)
		}
		s.Close()
	}
}

// TestFlipped flips every byte that an earlier boot has written: the blocks from that one on are
// gone, none is a wrong one.
func TestFlipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made")
	booted(t, 1)
	filled(t, path)
	booted(t, 2)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x10
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, image)
		if err != nil {
			t.Fatal(err)
		}
		at := len(image.header())
		if n := count(t, s); (n == 12) != (i >= at && i < at+bootSize) { // any other boot is another
			t.Fatalf("byte %d is flipped, and there are %d blocks", i, n)
		}
		s.Close()
	}
}

// TestBoot demands that the blocks that one boot has written, or read, are not read again in it, and
// that they are in the next one, or where nobody knows the boot.
func TestBoot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "made")
	open := func(boot byte, want int) {
		t.Helper()
		booted(t, boot)
		s, err := Open(path, image)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if len(s.blocks) != want {
			t.Errorf("boot %d: %d blocks, want %d", boot, len(s.blocks), want)
		}
	}
	// flip changes a byte that is stored of the block which comes after so many.
	flip := func(blocks int) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := len(image.header()) + bootSize
		for range blocks {
			at += recordSize + int(binary.LittleEndian.Uint32(b[at:])&^compressed)
		}
		b[at+recordSize] ^= 1
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	booted(t, 1)
	filled(t, path)
	flip(4)
	open(1, 12)
	open(2, 4)
	open(2, 4)
	flip(1)
	open(2, 4) // the boot that has read them
	flip(3)    // the last one, at which a kill may have come
	open(2, 3)
	flip(0)
	flip(0)
	open(0, 1) // nobody knows the boot
	flip(0)
	open(0, 0)
}

// BenchmarkOpen lists what a pull of a large image left when it was cut off: 256 MB, in this boot
// and after another one.
func BenchmarkOpen(b *testing.B) {
	large := Image{ID: image.ID, Codec: image.Codec, BlockSize: 128 << 10}
	path := filepath.Join(b.TempDir(), "made")
	booted(b, 1)
	s, err := Open(path, large)
	if err != nil {
		b.Fatal(err)
	}
	stored := make([]byte, 64_000)
	for i := range 4000 {
		if err := s.Put(stretch(i), 0, stored, true); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for name, boot := range map[string]byte{"same boot": 1, "other boot": 0} {
		b.Run(name, func(b *testing.B) {
			booted(b, boot)
			for b.Loop() {
				s, err := Open(path, large)
				if err != nil || len(s.blocks) != 4000 {
					b.Fatalf("%d blocks (%v)", len(s.blocks), err)
				}
				s.Close()
			}
		})
	}
}

// FuzzStore opens any file: it gives blocks of at most a block's size, and takes more of them.
func FuzzStore(f *testing.F) {
	path := filepath.Join(f.TempDir(), "made")
	booted(f, 1)
	filled(f, path)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		booted(t, byte(len(b)%2)) // whether the boot of the seeds is this one
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		s, err := Open(path, image)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for k := range s.blocks {
			stored, _, ok := s.Get(k.stretch, int(k.number), nil)
			if !ok || len(stored) > image.BlockSize {
				t.Fatalf("a block of %d bytes (%v)", len(stored), ok)
			}
		}
		if err := s.Put(stretch(9), 1, []byte{1, 2, 3}, false); err != nil {
			t.Fatal(err)
		}
		if stored, _, ok := s.Get(stretch(9), 1, nil); !ok || !bytes.Equal(stored, []byte{1, 2, 3}) {
			t.Fatal("a block that was put is another one")
		}
	})
}
