package diff

import (
	"fmt"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/internal/test/kerneltest"
	"deltaup/mkimage"
)

// TestCompareStep: a kernel in the image costs the step that the set has.
func TestCompareStep(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var sides [2]release
	var size int64
	for i := range sides {
		frame, err := os.ReadFile(fmt.Sprintf("../patchset/testdata/kernel-%d.zst", i+1))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := d.DecodeAll(frame, nil)
		if err != nil {
			t.Fatal(err)
		}
		kernel := kerneltest.Packed(byte(i), frame, len(plain))
		size = int64(len(kernel))
		path := fmt.Sprintf("usr/lib/modules/6.12.%d/vmlinuz", i)
		sides[i] = newRelease(t, mkimage.Options{}, file{path: path, data: kernel})
	}
	r := compare(t, sides[0], sides[1], Options{})
	if len(r.Files) != 1 || r.Files[0].Transform != "vmlinuz" || r.Files[0].Cost > size/2 {
		t.Errorf("files %+v", r.Files)
	}
}
