package chunkstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"
)

func TestPackWriterRefuses(t *testing.T) {
	plain := []byte("some bytes")
	c, frame := chunkOf(plain), EncodeFrame(nil, plain)
	w := newPackWriter(io.Discard)
	if _, err := w.add(c, frame); err != nil {
		t.Fatal(err)
	}
	if _, err := w.add(c, frame); err == nil {
		t.Error("a chunk twice is taken")
	}
	other := Chunk{ID: ID{1}, Size: c.Size}
	for name, test := range map[string]struct {
		c     Chunk
		frame []byte
	}{
		"hole":      {Chunk{Size: 10}, frame},
		"no frame":  {other, nil},
		"long":      {other, make([]byte, c.Size+2)},
		"too large": {Chunk{ID: ID{1}, Size: ChunkMax + 1}, frame},
	} {
		if _, err := w.add(test.c, test.frame); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want ErrCorrupt", name, err)
		}
	}
	if _, _, err := w.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.add(other, frame); err == nil {
		t.Error("a chunk is taken after Close")
	}
	if _, _, err := newPackWriter(io.Discard).close(); err == nil {
		t.Error("an empty pack is written")
	}
}

func TestPackWriterFails(t *testing.T) {
	errFull := errors.New("disk full")
	plain := text(5000)
	frame := EncodeFrame(nil, plain)
	for room := 0; room < packSizeMin+len(frame)-frameMin; room += 7 {
		w := newPackWriter(&limitedWriter{left: room, err: errFull})
		_, addErr := w.add(chunkOf(plain), frame)
		if _, _, err := w.close(); err != errFull {
			t.Fatalf("with room for %d bytes: Add %v, Close %v; want %v", room, addErr, err, errFull)
		}
	}
}

// limitedWriter takes left bytes, then fails.
type limitedWriter struct {
	left int
	err  error
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	n := min(w.left, len(p))
	w.left -= n
	if n < len(p) {
		return n, w.err
	}
	return n, nil
}

// TestPackTruncated cuts the golden pack at every length. It tells the reader the size after the
// cut and the size before.
func TestPackTruncated(t *testing.T) {
	b := golden(t, goldenPack, nil)
	for n := range b {
		for _, size := range []int{n, len(b)} {
			if _, err := ReadPackTable(bytes.NewReader(b[:n]), int64(size)); !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%d of %d bytes: %v, want ErrCorrupt", n, size, err)
			}
		}
	}
}

func TestReadPackTableError(t *testing.T) {
	if _, err := ReadPackTable(failingReaderAt{}, 1000); !errors.Is(err, io.ErrClosedPipe) || errors.Is(err, ErrCorrupt) {
		t.Errorf("%v: a read error is not damage", err)
	}
}

type failingReaderAt struct{}

func (failingReaderAt) ReadAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func FuzzReadPackTable(f *testing.F) {
	f.Add(golden(f, goldenPack, nil))
	for _, d := range packDamages {
		f.Add(d.wreck(golden(f, goldenPack, nil)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		// No random change gives the table the right checksum, so make it right.
		if n := len(b) - packTrailerSize; n > 0 {
			count := int(binary.LittleEndian.Uint32(b[n:]))
			if n-count*packEntrySize >= packHeaderSize {
				b = retable(func([]byte) {})(bytes.Clone(b))
			}
		}
		entries, err := ReadPackTable(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
				t.Fatalf("an error that is neither ErrCorrupt nor ErrVersion: %v", err)
			}
			return
		}
		if again := repack(t, b, entries); !bytes.Equal(again, b) {
			t.Fatal("what was read is written as other bytes")
		}
	})
}

func BenchmarkPackWriter(b *testing.B) {
	plain := randomBytes(1, 32<<10)
	frame := EncodeFrame(nil, plain)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	w := newPackWriter(io.Discard)
	for i := 0; b.Loop(); i++ {
		if w.len() == 1000 {
			if _, _, err := w.close(); err != nil {
				b.Fatal(err)
			}
			w = newPackWriter(io.Discard)
		}
		c := Chunk{ID: ID{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24), 1}, Size: int64(len(plain))}
		if _, err := w.add(c, frame); err != nil {
			b.Fatal(err)
		}
	}
}
