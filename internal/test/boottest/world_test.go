package boottest

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/mirrortest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
)

// release has the files of one version. Its kernel begins with the stub.
type release struct {
	image, kernel, initrd []byte
	// id of the initrd that an update makes: the same files, compressed anew
	made chunkstore.ID
}

// whole tells whether a slot with these files, whose bytes begin with image, has this release.
func (r *release) whole(image []byte, files bootFiles) bool {
	return bytes.Equal(image[:len(r.image)], r.image) && bytes.Equal(files.kernel, r.kernel) &&
		(bytes.Equal(files.initrd, r.initrd) || chunkstore.Sum(files.initrd) == r.made)
}

// bootFiles are the files of one slot on BOOT.
type bootFiles struct{ kernel, initrd []byte }

// world has two versions and a mirror with both.
type world struct {
	old, new release
	mirror   string // folder
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := tempDir(t)
	w := &world{mirror: filepath.Join(dir, "mirror")}
	for version, r := range map[int]*release{1: &w.old, 2: &w.new} {
		r.kernel = slices.Concat(stubKernel(), mirrortest.Noise(1, 200<<10), mirrortest.Noise(uint64(10+version), 100<<10))
		library := mirrortest.Noise(uint64(20+version), 300<<10)
		r.initrd = cpiotest.Initrd(map[string][]byte{"init": fmt.Append(nil, "init ", version), "lib/new.so": library})
		writeFile(t, filepath.Join(dir, fmt.Sprint(version), "usr/lib/same.so"), mirrortest.Noise(2, 600<<10))
		writeFile(t, filepath.Join(dir, fmt.Sprint(version), "usr/lib/new.so"), library)
	}
	for version, r := range []*release{&w.old, &w.new} {
		version++
		file := func(kind string) string { return filepath.Join(dir, fmt.Sprint(kind, version)) }
		writeFile(t, file("kernel"), r.kernel)
		writeFile(t, file("initrd"), r.initrd)
		if err := mirrortest.Image(t.Context(), file(""), file("image"), "fastest"); err != nil {
			t.Fatal(err)
		}
		r.image = readFile(t, file("image"))
		p, err := publish.Add(t.Context(), folder.At(w.mirror), publish.Publication{
			Version: fmt.Sprint(version), Channel: "stable", Image: file("image"), PatchFrom: 1,
			Artifacts: []publish.File{{Name: mirror.KernelName, Path: file("kernel")}, {Name: mirror.InitrdName, Path: file("initrd")}},
		})
		if err != nil {
			t.Fatal(err)
		}
		r.made = p.Release.Artifact(mirror.InitrdName).ID
	}
	return w
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
