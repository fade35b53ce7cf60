package mirror

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/squashfs"
)

// makeImage makes a squashfs image, with its recipe beside it, of a folder with these files.
func makeImage(t testing.TB, files map[string][]byte) (path string) {
	t.Helper()
	root := t.TempDir()
	for name, b := range files {
		writeFile(t, filepath.Join(root, name), b)
	}
	clamp := uint32(1_000_000_000)
	tr, err := rootfs.FromFolder(t.Context(), root, rootfs.Options{Owner: &rootfs.Owner{}, Clamp: &clamp})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	r, src, err := mkimage.NewRecipe(t.Context(), tr, mkimage.Options{Level: "fastest"})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "image.squashfs")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mkimage.Build(t.Context(), r, src, f, mkimage.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	var recipe bytes.Buffer
	if _, err := r.WriteTo(&recipe); err != nil {
		t.Fatal(err)
	}
	writeFile(t, path+RecipeSuffix, recipe.Bytes())
	return path
}

// trees are two versions of a small tree: with holes, fragments, a file that changes in
// its middle and one that does not.
func trees() (v1, v2 map[string][]byte) {
	big := noise(10, 500<<10)
	v1 = map[string][]byte{
		"bin/big":    big,
		"bin/same":   noise(11, 300<<10),
		"etc/small":  []byte("one\n"),
		"etc/empty":  nil,
		"var/sparse": append(make([]byte, 2<<20), noise(12, 10<<10)...),
		"var/zeroes": make([]byte, 1<<20),
	}
	v2 = map[string][]byte{}
	for name, b := range v1 {
		v2[name] = b
	}
	v2["bin/big"] = append(append(bytes.Clone(big[:200<<10]), noise(13, 5000)...), big[200<<10:]...)
	v2["etc/small"] = []byte("two\n")
	return v1, v2
}

func imagePublication(version, image string) Publication {
	return Publication{Version: version, Channel: "stable", Image: image, PackSize: testPackSize}
}

// wantRebuilt rebuilds a version's image from what lies on the mirror, as a target would.
func wantRebuilt(t testing.TB, dir, version, image string) {
	t.Helper()
	r, err := readRelease(filepath.Join(dir, ReleasePath(version)))
	if err != nil {
		t.Fatal(err)
	}
	a := r.Artifact(ImageName)
	stored, err := os.ReadFile(filepath.Join(dir, RecipePath(a.Recipe.ID)))
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := a.Recipe.Decode(stored)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	if id := chunkstore.Sum(want); id != a.ID || a.Size != int64(len(want)) {
		t.Errorf("version %s names another image", version)
	}
	folder, err := chunkstore.OpenFolder(filepath.Join(dir, packsDir), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "rebuilt"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := mkimage.Build(t.Context(), recipe, chunkSource{folder}, out, mkimage.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{out.Name(), filepath.Join(dir, ImagePath(a.ID))} {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("version %s: %s is not the published image", version, path)
		}
	}
}

func TestPublishImage(t *testing.T) {
	dir := t.TempDir()
	t1, t2 := trees()
	image1, image2 := makeImage(t, t1), makeImage(t, t2)
	first := mustPublish(t, dir, imagePublication("1", image1))
	if first.NewChunks != first.Chunks || first.Chunks == 0 {
		t.Errorf("the first release: %+v", first)
	}
	p := imagePublication("2", image2)
	p.Artifacts = []File{{KernelName, writeFile(t, filepath.Join(t.TempDir(), "k"), noise(14, 50<<10))}}
	second := mustPublish(t, dir, p)
	if second.NewChunks == 0 || second.NewChunks > 12 {
		t.Errorf("the second release has %d new chunks of %d", second.NewChunks, second.Chunks)
	}
	wantRebuilt(t, dir, "1", image1)
	wantRebuilt(t, dir, "2", image2)
	if r := wantSound(t, dir); len(r.Unreferenced) != 0 {
		t.Errorf("unreferenced: %q", r.Unreferenced)
	}
}

func TestPublishImageCrash(t *testing.T) {
	t1, t2 := trees()
	image1, image2 := makeImage(t, t1), makeImage(t, t2)
	base := t.TempDir()
	mustPublish(t, base, imagePublication("1", image1))
	whole := copyMirror(t, base)
	p := imagePublication("2", image2)
	mustPublish(t, whole, p)
	testCrash(t, "cruel", base, p, snapshot(t, whole), func(dir string) { wantRebuilt(t, dir, "1", image1) })
}

// TestPublishWrongImage publishes images that their recipes do not build.
func TestPublishWrongImage(t *testing.T) {
	t1, t2 := trees()
	image := makeImage(t, t1)
	whole, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := os.ReadFile(image + RecipeSuffix)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(makeImage(t, t2) + RecipeSuffix)
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(i int) []byte {
		b := bytes.Clone(whole)
		b[i] ^= 1
		return b
	}
	for what, c := range map[string]struct {
		image, recipe []byte
		is            []error // one of them
	}{
		"another recipe":     {whole, other, []error{ErrMismatch}},
		"damaged recipe":     {whole, recipe[:len(recipe)/2], []error{chunkstore.ErrCorrupt}},
		"empty recipe":       {whole, nil, []error{chunkstore.ErrCorrupt}},
		"later recipe":       {whole, bytes.Replace(recipe, []byte(" 1\n"), []byte(" 9\n"), 1), []error{chunkstore.ErrVersion}},
		"flip in the data":   {flipped(200 << 10), recipe, []error{ErrMismatch, squashfs.ErrCorrupt, chunkstore.ErrCorrupt}},
		"flip in the middle": {flipped(len(whole) / 2), recipe, []error{ErrMismatch, squashfs.ErrCorrupt}},
		"flip at the end":    {flipped(len(whole) - 1), recipe, []error{ErrMismatch, squashfs.ErrCorrupt}},
		"cut":                {whole[:len(whole)-5000], recipe, []error{squashfs.ErrCorrupt}},
		"longer":             {append(bytes.Clone(whole), make([]byte, 4096)...), recipe, []error{ErrMismatch, squashfs.ErrCorrupt}},
		"no image":           {[]byte("none"), recipe, []error{squashfs.ErrCorrupt}},
	} {
		t.Run(what, func(t *testing.T) {
			path := writeFile(t, filepath.Join(t.TempDir(), "image"), c.image)
			writeFile(t, path+RecipeSuffix, c.recipe)
			dir := filepath.Join(t.TempDir(), "mirror")
			_, err := Publish(t.Context(), dir, imagePublication("1", path))
			found := false
			for _, is := range c.is {
				found = found || errors.Is(err, is)
			}
			if !found || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v", err)
			}
			if files := snapshot(t, filepath.Dir(dir)); len(files) != 0 {
				t.Errorf("leaves %q", names(files))
			}
		})
	}
}

func TestPublishImageAgain(t *testing.T) {
	dir := t.TempDir()
	t1, t2 := trees()
	image := makeImage(t, t1)
	mustPublish(t, dir, imagePublication("1", image))
	before := snapshot(t, dir)
	if done := mustPublish(t, dir, imagePublication("1", image)); !done.Existed || done.Moved {
		t.Errorf("again: %+v", done)
	}
	if _, err := Publish(t.Context(), dir, imagePublication("1", makeImage(t, t2))); !errors.Is(err, ErrExists) {
		t.Errorf("another image: %v", err)
	}
	if after := snapshot(t, dir); !reflect.DeepEqual(after, before) {
		t.Errorf("the mirror changed: %q", names(after))
	}
	// A release is not pointed to again while files of it are missing.
	for name := range before {
		if strings.HasPrefix(name, channelsDir) || strings.HasPrefix(name, releasesDir) {
			continue
		}
		broken := copyMirror(t, dir)
		if err := os.Remove(filepath.Join(broken, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := Publish(t.Context(), broken, imagePublication("1", image)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		// The way out that doc/mirror.md gives: without its release file the release is stored
		// anew.
		if err := os.Remove(filepath.Join(broken, ReleasePath("1"))); err != nil {
			t.Fatal(err)
		}
		mustPublish(t, broken, imagePublication("1", image))
		wantSound(t, broken)
		wantRebuilt(t, broken, "1", image)
	}
}

// TestPublishDamagedAgain publishes a version whose image on the mirror has the right size and
// other bytes.
func TestPublishDamagedAgain(t *testing.T) {
	dir := t.TempDir()
	v1, _ := trees()
	p := imagePublication("1", makeImage(t, v1))
	r := mustPublish(t, dir, p).Release
	name := filepath.Join(dir, ImagePath(r.Artifact(ImageName).ID))
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, name, flip(good, len(good)/2))
	if _, err := Publish(t.Context(), dir, p); !errors.Is(err, ErrDamaged) {
		t.Errorf("published again: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, ReleasePath("1"))); err != nil {
		t.Fatal(err)
	}
	mustPublish(t, dir, p)
	wantSound(t, dir)
}
