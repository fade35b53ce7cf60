package device_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/kerneltest"
	"deltaup/internal/test/mirrortest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	// Everything here is synced again and again; on a busy disk nothing else would take time.
	if dir, err := os.MkdirTemp("/dev/shm", "deltaup-device"); err == nil {
		defer os.RemoveAll(dir)
		os.Setenv("TMPDIR", dir)
	}
	defer func() { os.RemoveAll(theWorld.dir) }()
	return m.Run()
}

// releases is how many there are: versions 1 to 4.
const releases = 4

// world is the releases, published on a mirror of their own each with all before it: mirror[i] has
// i+1 as the newest.
type world struct {
	dir    string
	mirror [releases]string
	image  [releases]string
	kernel [releases]string
	initrd [releases]string
	made   [releases]chunkstore.ID // the initrd as a target makes it anew
}

var (
	makeWorld  sync.Once
	theWorld   world
	worldError error
)

func newWorld(t testing.TB) *world {
	t.Helper()
	makeWorld.Do(func() { worldError = theWorld.make() })
	if worldError != nil {
		t.Fatal(worldError)
	}
	return &theWorld
}

func (w *world) make() (err error) {
	if w.dir, err = os.MkdirTemp("", "deltaup-device"); err != nil {
		return err
	}
	for i := range releases {
		if err := w.release(i); err != nil {
			return err
		}
		w.mirror[i] = filepath.Join(w.dir, fmt.Sprintf("mirror%d", i+1))
		for j := range i + 1 {
			p, err := publish.Add(context.Background(), folder.At(w.mirror[i]), publish.Publication{
				Version: fmt.Sprint(j + 1), Channel: "stable", Compatible: "board-a", Image: w.image[j], PatchFrom: 1,
				Artifacts: []publish.File{{Name: mirror.KernelName, Path: w.kernel[j]}, {Name: mirror.InitrdName, Path: w.initrd[j]}},
			})
			if err != nil {
				return err
			}
			if a := p.Release.Artifact(mirror.KernelName); a.Kind == mirror.KindRaw {
				return fmt.Errorf("the kernel is %s", a.Kind)
			}
			w.made[j] = p.Release.Artifact(mirror.InitrdName).ID
		}
	}
	return nil
}

// release makes the files of version i+1.
func (w *world) release(i int) error {
	file := func(kind string) string { return filepath.Join(w.dir, fmt.Sprintf("%s%d", kind, i+1)) }
	w.image[i], w.kernel[i], w.initrd[i] = file("image"), file("kernel"), file("initrd")
	files := map[string][]byte{
		"etc/version":     fmt.Append(nil, i+1),
		"usr/lib/same.so": mirrortest.Noise(1, 60<<10),
		"usr/lib/new.so":  mirrortest.Noise(uint64(10+i), 40<<10),
	}
	if err := mirrortest.WriteFiles(file("tree"), files); err != nil {
		return err
	}
	// the same in releases 1 and 3, and in 2 and 4
	kernel := kerneltest.BzImage(byte(i%2), append(mirrortest.Noise(2, 30<<10), mirrortest.Noise(uint64(20+i%2), 10<<10)...))
	if err := os.WriteFile(w.kernel[i], kernel, 0o644); err != nil {
		return err
	}
	initrd := cpiotest.Initrd(map[string][]byte{"init": fmt.Append(nil, "init ", i+1), "lib/new.so": files["usr/lib/new.so"]})
	if err := os.WriteFile(w.initrd[i], initrd, 0o644); err != nil {
		return err
	}
	return mirrortest.Image(context.Background(), file("tree"), w.image[i], "fastest")
}
