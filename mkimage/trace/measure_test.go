package trace

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// makeImage makes an image of files of random bytes with mksquashfs, in the order of their names,
// with blocks of 4 KiB. Unless fragments is set, tails have blocks of their own.
func makeImage(t *testing.T, sizes map[string]int, fragments bool) string {
	t.Helper()
	mksquashfs := needTool(t, "mksquashfs")
	dir := t.TempDir()
	random := rand.NewChaCha8([32]byte{})
	for name, size := range sizes {
		data := make([]byte, size)
		random.Read(data)
		file := filepath.Join(dir, "tree", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(dir, "image")
	args := []string{filepath.Join(dir, "tree"), image, "-quiet", "-no-progress", "-b", "4096", "-processors", "1"}
	if !fragments {
		args = append(args, "-no-fragments")
	}
	if out, err := exec.Command(mksquashfs, args...).CombinedOutput(); err != nil {
		t.Fatalf("mksquashfs: %v: %s", err, out)
	}
	return image
}

func measure(t *testing.T, tr *Trace, path string) (Scatter, error) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return Measure(tr, bytes.NewReader(data), int64(len(data)))
}

func TestMeasure(t *testing.T) {
	image := makeImage(t, map[string]int{"a": 8192, "b": 12288, "c": 4096, "d/e": 4096}, false)
	for name, c := range map[string]struct {
		trace *Trace
		want  Scatter
	}{
		"nothing":      {paths(), Scatter{}},
		"in order":     {paths("a", "b"), Scatter{Files: 2, Bytes: 20480, Blocks: 5, Ranges: 1, Seeks: 1, Span: 20480}},
		"backwards":    {paths("b", "a"), Scatter{Files: 2, Bytes: 20480, Blocks: 5, Ranges: 1, Seeks: 2, Span: 20480}},
		"with a gap":   {paths("a", "c"), Scatter{Files: 2, Bytes: 12288, Blocks: 3, Ranges: 2, Seeks: 2, Span: 24576}},
		"not there":    {paths("a", "x", "d"), Scatter{Files: 1, Missing: 2, Bytes: 8192, Blocks: 2, Ranges: 1, Seeks: 1, Span: 8192}},
		"one page":     {&Trace{Files: []File{{Path: "b", ranges: []byteRange{{4096, 1}}}}}, Scatter{Files: 1, Bytes: 4096, Blocks: 1, Ranges: 1, Seeks: 1, Span: 4096}},
		"two of three": {&Trace{Files: []File{{Path: "b", ranges: []byteRange{{0, 1}, {8192, 4096}}}}}, Scatter{Files: 1, Bytes: 8192, Blocks: 2, Ranges: 2, Seeks: 2, Span: 12288}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Data = 28672
			c.want.Tables = 2 // owners and inodes
			if len(c.trace.Files) > 0 {
				c.want.Tables++ // listings
			}
			got, err := measure(t, c.trace, image)
			if err != nil || got != c.want {
				t.Errorf("got %+v, error %v, want %+v", got, err, c.want)
			}
		})
	}
}

// TestMeasureFragments demands that a block that small files share counts once.
func TestMeasureFragments(t *testing.T) {
	image := makeImage(t, map[string]int{"a": 1000, "b": 1000, "c": 1000}, true)
	got, err := measure(t, paths("c", "a"), image)
	if err != nil || got.Files != 2 || got.Blocks != 1 || got.Seeks != 1 || got.Bytes < 3000 {
		t.Errorf("got %+v, error %v", got, err)
	}
}
