package trace

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"deltaup/internal/test/treetest"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
)

// orderedImage builds an image with three files of random bytes, of which order leads, and gives
// where its parts end.
func orderedImage(t *testing.T, order []string) (file *os.File, hot, tables, used int64) {
	t.Helper()
	dir := t.TempDir()
	random := rand.NewChaCha8([32]byte{})
	for name, size := range map[string]int{"a": 3 << 20, "b": 2 << 20, "c": 1 << 20} {
		data := make([]byte, size)
		random.Read(data)
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files := treetest.Open(t, dir)
	r, source, err := mkimage.NewRecipe(t.Context(), files, mkimage.Options{Level: "fastest", Order: order})
	if err != nil {
		t.Fatal(err)
	}
	file, err = os.Create(filepath.Join(t.TempDir(), "image"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	stats, err := mkimage.Build(t.Context(), r, source, file, mkimage.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	m, err := squashfs.Open(file, stats.Size)
	if err != nil {
		t.Fatal(err)
	}
	trailer, _, err := mkimage.ReadTrailer(m)
	if err != nil {
		t.Fatal(err)
	}
	return file, trailer.HotEnd, m.Info().Tables, m.Info().BytesUsed
}

func TestPrefetch(t *testing.T) {
	file, hot, tables, used := orderedImage(t, []string{"c", "a"})
	if hot < 4<<20 || hot > 4<<20+4096 {
		t.Fatalf("what leads the image ends at %d", hot)
	}
	whole := used - tables/4096*4096
	for name, c := range map[string]struct{ limit, want int64 }{
		"all":                {1 << 40, whole + hot},
		"some of the data":   {whole + 1<<20, whole + 1<<20},
		"some of the tables": {100, 100},
		"no memory":          {0, 0},
	} {
		if n, err := Prefetch(t.Context(), file, c.limit); err != nil || n != c.want {
			t.Errorf("%s: read %d bytes, want %d, error %v", name, n, c.want, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Prefetch(ctx, file, 1<<40); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestPrefetchNoOrder demands that Prefetch reads no data of an image without an order, and nothing
// of a file that is no image.
func TestPrefetchNoOrder(t *testing.T) {
	file, _, tables, used := orderedImage(t, nil)
	if n, err := Prefetch(t.Context(), file, 1<<40); err != nil || n != used-tables/4096*4096 {
		t.Errorf("read %d bytes, error %v", n, err)
	}
	if err := file.Truncate(50); err != nil {
		t.Fatal(err)
	}
	if n, err := Prefetch(t.Context(), file, 1<<40); n != 0 || !errors.Is(err, squashfs.ErrCorrupt) {
		t.Errorf("read %d bytes of no image, error %v", n, err)
	}
}
