package boottest

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/cpiotest"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// release is what one version consists of. Its kernel is the stub, and more.
type release struct {
	image, kernel, initrd []byte
	made                  chunkstore.ID // of the initrd as an update makes it: the same files, compressed anew
}

// whole tells whether a slot that begins with image has this release, with these files.
func (r *release) whole(image []byte, files bootFiles) bool {
	return bytes.Equal(image[:len(r.image)], r.image) && bytes.Equal(files.kernel, r.kernel) &&
		(bytes.Equal(files.initrd, r.initrd) || chunkstore.Sum(files.initrd) == r.made)
}

// bootFiles are what lies on BOOT for one slot.
type bootFiles struct{ kernel, initrd []byte }

// world is two versions and a mirror with both.
type world struct {
	old, new release
	mirror   string // folder
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := tempDir(t)
	w := &world{mirror: filepath.Join(dir, "mirror")}
	for version, r := range map[int]*release{1: &w.old, 2: &w.new} {
		r.kernel = slices.Concat(stubKernel(), noise(1, 200<<10), noise(byte(10+version), 100<<10))
		library := noise(byte(20+version), 300<<10)
		r.initrd = cpiotest.Initrd(map[string][]byte{"init": fmt.Append(nil, "init ", version), "lib/new.so": library})
		writeFile(t, filepath.Join(dir, fmt.Sprint(version), "usr/lib/same.so"), noise(2, 600<<10))
		writeFile(t, filepath.Join(dir, fmt.Sprint(version), "usr/lib/new.so"), library)
	}
	for version, r := range []*release{&w.old, &w.new} {
		version++
		file := func(kind string) string { return filepath.Join(dir, fmt.Sprint(kind, version)) }
		writeFile(t, file("kernel"), r.kernel)
		writeFile(t, file("initrd"), r.initrd)
		if err := makeImage(t.Context(), file(""), file("image")); err != nil {
			t.Fatal(err)
		}
		r.image = readFile(t, file("image"))
		p, err := mirror.Publish(t.Context(), w.mirror, mirror.Publication{
			Version: fmt.Sprint(version), Channel: "stable", Image: file("image"), PatchFrom: 1,
			Artifacts: []mirror.File{{Name: mirror.KernelName, Path: file("kernel")}, {Name: mirror.InitrdName, Path: file("initrd")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		r.made = p.Release.Artifact(mirror.InitrdName).ID
	}
	return w
}

func noise(seed byte, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(p) // never fails
	return p
}

// makeImage makes an image of folder, and its recipe beside it.
func makeImage(ctx context.Context, folder, image string) error {
	clamp := uint32(1_700_000_000)
	t, err := tree.FromFolder(ctx, folder, tree.Options{Owner: &tree.Owner{}, Clamp: &clamp})
	if err != nil {
		return err
	}
	defer t.Close()
	r, src, err := mkimage.NewRecipe(ctx, t, mkimage.Options{Level: "fastest"})
	if err != nil {
		return err
	}
	out, err := os.Create(image)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := mkimage.Build(ctx, r, src, out, mkimage.BuildOptions{}); err != nil {
		return err
	}
	var text bytes.Buffer
	if _, err := r.WriteTo(&text); err != nil {
		return err
	}
	return os.WriteFile(image+".recipe", text.Bytes(), 0o644)
}

// addFolder adds the files below a folder to files, under name.
func addFolder(t testing.TB, files map[string][]byte, folder, name string) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		if err == nil {
			files[filepath.Join(name, rel)] = readFile(t, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
