package apply_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"deltaup/internal/test/mirrortest"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
)

// world is two releases of a small system on a mirror. It is made once and never changed.
type world struct {
	dir    string // a folder for everything
	mirror string
	tree   string    // folder that the first image was made of
	image  [2]string // of versions 1 and 2
	kernel [2]string
}

var (
	makeWorld  sync.Once
	theWorld   world
	worldError error
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	// Everything here is synced again and again; on a busy disk nothing else would take time.
	if dir, err := os.MkdirTemp("/dev/shm", "deltaup-apply"); err == nil {
		defer os.RemoveAll(dir)
		os.Setenv("TMPDIR", dir)
	}
	defer func() {
		os.RemoveAll(theWorld.dir)
		for _, w := range patchedWorlds.made {
			os.RemoveAll(w.dir)
		}
	}()
	return m.Run()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	makeWorld.Do(func() { worldError = theWorld.make() })
	if worldError != nil {
		t.Fatal(worldError)
	}
	return &theWorld
}

func (w *world) make() (err error) {
	if w.dir, err = os.MkdirTemp("", "deltaup-apply"); err != nil {
		return err
	}
	w.mirror = filepath.Join(w.dir, "mirror")
	w.tree = filepath.Join(w.dir, "tree1")
	for i := range w.image {
		w.kernel[i] = filepath.Join(w.dir, fmt.Sprintf("vmlinuz-%d", i+1))
		if err := os.WriteFile(w.kernel[i], kernel(i), 0o644); err != nil {
			return err
		}
		w.image[i], err = w.release(i+1, system(i+1), publish.Publication{
			Compatible: "board-a", PackSize: 512 << 10, Artifacts: []publish.File{{Name: "kernel", Path: w.kernel[i]}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// release makes an image of files and publishes it as p says. It gives the image's path.
func (w *world) release(version int, files map[string][]byte, p publish.Publication) (image string, err error) {
	root := filepath.Join(w.dir, fmt.Sprintf("tree%d", version))
	if err := mirrortest.WriteFiles(root, files); err != nil {
		return "", err
	}
	p.Image = filepath.Join(w.dir, fmt.Sprintf("v%d.squashfs", version))
	if err := makeImage(root, p.Image); err != nil {
		return "", err
	}
	p.Version, p.Channel = fmt.Sprint(version), "stable"
	got, err := publish.Add(context.Background(), folder.At(w.mirror), p)
	if err == nil && len(got.Warnings) > 0 {
		err = errors.New(got.Warnings[0])
	}
	return p.Image, err
}

// system is the files of a version: large ones that change in places, small ones that are much
// alike.
func system(version int) map[string][]byte {
	files := map[string][]byte{}
	for i := range 6 {
		content := noise(uint64(i), 400<<10+i<<10)
		if version == 2 && i < 3 {
			copy(content[100<<10:], noise(uint64(100+i), 20<<10)) // changed in place
		}
		files[fmt.Sprintf("usr/lib/lib%d.so", i)] = content
	}
	for i := range 300 {
		text := strings.Repeat(fmt.Sprintf("option %d of the service is documented here\n", i), 60)
		if version == 2 && i%10 == 0 {
			text += "and changed in version 2\n"
		}
		files[fmt.Sprintf("etc/service%d.conf", i)] = []byte(text)
	}
	files["var/lib/sparse"] = make([]byte, 1<<20)
	files["usr/bin/new"] = noise(uint64(200+version), 700<<10)
	return files
}

func kernel(i int) []byte {
	k := noise(300, 900<<10)
	copy(k[500<<10:], noise(uint64(301+i), 30<<10))
	return k
}

// noise does not compress, so that fetched bytes are easy to reckon with.
func noise(seed uint64, n int) []byte { return mirrortest.Noise(seed, n) }

func makeImage(folder, image string) error {
	return mirrortest.Image(context.Background(), folder, image, "better")
}

// patchedWorlds are worlds whose mirrors have patch sets. They are made once.
var patchedWorlds struct {
	sync.Mutex
	made map[string]*world
}

// patchedWorld publishes so many releases of growing, each with sets from so many before it.
func patchedWorld(t testing.TB, releases, from int) *world {
	t.Helper()
	return worldOf(t, fmt.Sprintf("growing %d %d", releases, from), growing, releases, from)
}

// worldOf publishes so many releases, each with sets from so many before it. Its images are the
// first and the last.
func worldOf(t testing.TB, name string, files func(version int) map[string][]byte, releases, from int) *world {
	t.Helper()
	patchedWorlds.Lock()
	defer patchedWorlds.Unlock()
	if w := patchedWorlds.made[name]; w != nil {
		return w
	}
	dir, err := os.MkdirTemp("", "deltaup-patched")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{dir: dir, mirror: filepath.Join(dir, "mirror")}
	for version := 1; version <= releases; version++ {
		image, err := w.release(version, files(version), publish.Publication{PatchFrom: from, PackSize: 128 << 10})
		if err != nil {
			t.Fatal(err)
		}
		w.image[min(version-1, 1)] = image
	}
	if patchedWorlds.made == nil {
		patchedWorlds.made = map[string]*world{}
	}
	patchedWorlds.made[name] = w
	return w
}

// growing is a system whose every version changes something: in large files, in small ones, by
// moving and by adding.
func growing(version int) map[string][]byte {
	files := map[string][]byte{}
	for i := range 4 {
		content := noise(uint64(i), 300<<10+i<<10)
		for v := 2; v <= version; v++ {
			if i == v%2 {
				copy(content[100<<10+v*3000:], noise(uint64(50+v), 500)) // changed in place
			}
		}
		files[fmt.Sprintf("usr/lib/lib%d.so", i)] = content
	}
	for i := range 60 {
		text := strings.Repeat(fmt.Sprintf("option %d of the service is documented here\n", i), 60)
		for v := 2; v <= version; v++ {
			if i%10 == v%10 {
				text += fmt.Sprintf("and changed in version %d\n", v)
			}
		}
		files[fmt.Sprintf("etc/service%d.conf", i)] = []byte(text)
	}
	files[fmt.Sprintf("usr/lib/libmoved.so.%d", version)] = noise(99, 200<<10)
	files[fmt.Sprintf("usr/share/new%d", version)] = noise(uint64(60+version), 9<<10)
	return files
}
