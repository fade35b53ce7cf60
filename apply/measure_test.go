package apply

import (
	"os"
	"path/filepath"
	"testing"

	"deltaup/delta"
)

// TestGuessCPU measures on images, not on other seeds; what was told stays.
func TestGuessCPU(t *testing.T) {
	images, err := filepath.Glob("../mkimage/squashfs/testdata/*.squashfs")
	if err != nil || len(images) < 6 {
		t.Fatalf("%v, %v", images, err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, image := range images {
		var m machine
		seeds := []string{other, image}
		if cpu := m.guess(seeds, nil, 0); cpu.Decode <= 0 || cpu.Patch <= 0 || cpu.Patch >= cpu.Decode || cpu.Compress != 0 {
			t.Errorf("%s, which is not of ours: %+v", image, cpu)
		}
		if cpu := m.guess(seeds, nil, 9); cpu.Decode != 9 {
			t.Errorf("%+v, where 9 was read earlier", cpu)
		}
		m.cpu = delta.CPU{Decode: 7, Patch: 5, Compress: 3}
		if cpu := m.guess(seeds, nil, 0); cpu != m.cpu {
			t.Errorf("%+v was told, %+v is taken", m.cpu, cpu)
		}
	}
	var m machine
	if cpu := m.guess([]string{other, filepath.Join(t.TempDir(), "none")}, nil, 0); cpu != (delta.CPU{}) {
		t.Errorf("nothing to measure on: %+v", cpu)
	}
}
