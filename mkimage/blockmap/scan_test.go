package blockmap_test

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"deltaup/internal/test/mirrortest"
	"deltaup/mkimage/blockmap"
	"deltaup/mkimage/squashfs"
)

// badSector is a medium with one byte that cannot be read.
type badSector struct {
	io.ReaderAt
	at int64
}

func (b badSector) ReadAt(p []byte, off int64) (int, error) {
	if off <= b.at && b.at < off+int64(len(p)) {
		return 0, syscall.EIO
	}
	return b.ReaderAt.ReadAt(p, off)
}

// TestScan demands that only the piece that cannot be read is left out.
func TestScan(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "image")
	if err := mirrortest.WriteFiles(filepath.Join(dir, "tree"), map[string][]byte{"a": mirrortest.Noise(1, 700<<10)}); err != nil {
		t.Fatal(err)
	}
	if err := mirrortest.Image(context.Background(), filepath.Join(dir, "tree"), path, "fastest"); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := squashfs.Open(f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	want, err := blockmap.Make(t.Context(), m, f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	medium := badSector{f, 300 << 10}
	if _, err := blockmap.Make(t.Context(), m, medium, info.Size()); err == nil {
		t.Error("Make takes a medium that cannot be read")
	}
	got, bad, err := blockmap.Scan(t.Context(), m, medium, info.Size())
	if err != nil || bad != 1 || got.Len() != want.Len() {
		t.Fatalf("%d bad, error %v", bad, err)
	}
	for i := range want.Len() {
		x, y := got.Piece(i), want.Piece(i)
		if lost := y.Offset <= medium.at && medium.at < y.Offset+int64(y.Length); lost {
			y.Key = 0
		}
		if x != y {
			t.Errorf("piece %+v, want %+v", x, y)
		}
	}
}
