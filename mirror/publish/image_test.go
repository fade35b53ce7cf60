package publish_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/internal/verify"
	"deltaup/mirror/publish"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
)

// wantRebuilt rebuilds a version's image from what lies on the mirror, as a target would.
func wantRebuilt(t testing.TB, dir, version, image string) {
	t.Helper()
	r, err := verify.Release(t.Context(), folder.At(dir), version)
	if err != nil {
		t.Fatal(err)
	}
	a := r.Artifact(mirror.ImageName)
	stored, err := os.ReadFile(filepath.Join(dir, mirror.RecipePath(a.Recipe.ID)))
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
	folder, err := chunkstore.OpenFolder(filepath.Join(dir, mirror.PacksDir), t.TempDir())
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
	for _, path := range []string{out.Name(), filepath.Join(dir, mirror.ImagePath(a.ID))} {
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
	t1, t2 := publishtest.Trees()
	image1, image2 := publishtest.Image(t, t1), publishtest.Image(t, t2)
	first := publishtest.Publish(t, dir, publishtest.Tree("1", image1))
	if first.NewChunks != first.Chunks || first.Chunks == 0 {
		t.Errorf("the first release: %+v", first)
	}
	p := publishtest.Tree("2", image2)
	p.Artifacts = []publish.File{{Name: mirror.KernelName, Path: mirrortest.WriteFile(t, filepath.Join(t.TempDir(), "k"), mirrortest.Noise(14, 50<<10))}}
	second := publishtest.Publish(t, dir, p)
	if second.NewChunks == 0 || second.NewChunks > 12 {
		t.Errorf("the second release has %d new chunks of %d", second.NewChunks, second.Chunks)
	}
	wantRebuilt(t, dir, "1", image1)
	wantRebuilt(t, dir, "2", image2)
	if r := publishtest.WantSound(t, dir); len(r.Unreferenced) != 0 {
		t.Errorf("unreferenced: %q", r.Unreferenced)
	}
}

func TestPublishImageCrash(t *testing.T) {
	t1, t2 := publishtest.Trees()
	image1, image2 := publishtest.Image(t, t1), publishtest.Image(t, t2)
	base := t.TempDir()
	publishtest.Publish(t, base, publishtest.Tree("1", image1))
	whole := publishtest.Copy(t, base)
	p := publishtest.Tree("2", image2)
	publishtest.Publish(t, whole, p)
	testCrash(t, "cruel", base, p, publishtest.Snapshot(t, whole), func(dir string) { wantRebuilt(t, dir, "1", image1) })
}

// TestPublishWrongImage publishes images that their recipes do not build.
func TestPublishWrongImage(t *testing.T) {
	t1, t2 := publishtest.Trees()
	image := publishtest.Image(t, t1)
	whole, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := os.ReadFile(image + publish.RecipeSuffix)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(publishtest.Image(t, t2) + publish.RecipeSuffix)
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
		"another recipe":     {whole, other, []error{publish.ErrMismatch}},
		"damaged recipe":     {whole, recipe[:len(recipe)/2], []error{chunkstore.ErrCorrupt}},
		"empty recipe":       {whole, nil, []error{chunkstore.ErrCorrupt}},
		"later recipe":       {whole, bytes.Replace(recipe, []byte(" 1\n"), []byte(" 9\n"), 1), []error{chunkstore.ErrVersion}},
		"flip in the data":   {flipped(200 << 10), recipe, []error{publish.ErrMismatch, squashfs.ErrCorrupt, chunkstore.ErrCorrupt}},
		"flip in the middle": {flipped(len(whole) / 2), recipe, []error{publish.ErrMismatch, squashfs.ErrCorrupt}},
		"flip at the end":    {flipped(len(whole) - 1), recipe, []error{publish.ErrMismatch, squashfs.ErrCorrupt}},
		"cut":                {whole[:len(whole)-5000], recipe, []error{squashfs.ErrCorrupt}},
		"longer":             {append(bytes.Clone(whole), make([]byte, 4096)...), recipe, []error{publish.ErrMismatch, squashfs.ErrCorrupt}},
		"no image":           {[]byte("none"), recipe, []error{squashfs.ErrCorrupt}},
	} {
		t.Run(what, func(t *testing.T) {
			path := mirrortest.WriteFile(t, filepath.Join(t.TempDir(), "image"), c.image)
			mirrortest.WriteFile(t, path+publish.RecipeSuffix, c.recipe)
			dir := filepath.Join(t.TempDir(), "mirror")
			_, err := publish.Add(t.Context(), folder.At(dir), publishtest.Tree("1", path))
			found := false
			for _, is := range c.is {
				found = found || errors.Is(err, is)
			}
			if !found || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v", err)
			}
			if files := publishtest.Snapshot(t, filepath.Dir(dir)); len(files) != 0 {
				t.Errorf("leaves %q", publishtest.Names(files))
			}
		})
	}
}

func TestPublishImageAgain(t *testing.T) {
	dir := t.TempDir()
	t1, t2 := publishtest.Trees()
	image := publishtest.Image(t, t1)
	publishtest.Publish(t, dir, publishtest.Tree("1", image))
	before := publishtest.Snapshot(t, dir)
	if done := publishtest.Publish(t, dir, publishtest.Tree("1", image)); !done.Existed || done.Moved {
		t.Errorf("again: %+v", done)
	}
	if _, err := publish.Add(t.Context(), folder.At(dir), publishtest.Tree("1", publishtest.Image(t, t2))); !errors.Is(err, publish.ErrExists) {
		t.Errorf("another image: %v", err)
	}
	if after := publishtest.Snapshot(t, dir); !reflect.DeepEqual(after, before) {
		t.Errorf("the mirror changed: %q", publishtest.Names(after))
	}
	// A release is not pointed to again while files of it are missing.
	for name := range before {
		if strings.HasPrefix(name, mirror.ChannelsDir) || strings.HasPrefix(name, mirror.ReleasesDir) {
			continue
		}
		broken := publishtest.Copy(t, dir)
		if err := os.Remove(filepath.Join(broken, name)); err != nil {
			t.Fatal(err)
		}
		if _, err := publish.Add(t.Context(), folder.At(broken), publishtest.Tree("1", image)); !errors.Is(err, mirror.ErrDamaged) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		// The way out that doc/mirror.md gives: without its release file the release is stored
		// anew.
		if err := os.Remove(filepath.Join(broken, mirror.ReleasePath("1"))); err != nil {
			t.Fatal(err)
		}
		publishtest.Publish(t, broken, publishtest.Tree("1", image))
		publishtest.WantSound(t, broken)
		wantRebuilt(t, broken, "1", image)
	}
}

// TestPublishDamagedAgain publishes a version whose image on the mirror has the right size and
// other bytes.
func TestPublishDamagedAgain(t *testing.T) {
	dir := t.TempDir()
	v1, _ := publishtest.Trees()
	p := publishtest.Tree("1", publishtest.Image(t, v1))
	r := publishtest.Publish(t, dir, p).Release
	name := filepath.Join(dir, mirror.ImagePath(r.Artifact(mirror.ImageName).ID))
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	mirrortest.WriteFile(t, name, publishtest.Flip(good, len(good)/2))
	if _, err := publish.Add(t.Context(), folder.At(dir), p); !errors.Is(err, mirror.ErrDamaged) {
		t.Errorf("published again: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, mirror.ReleasePath("1"))); err != nil {
		t.Fatal(err)
	}
	publishtest.Publish(t, dir, p)
	publishtest.WantSound(t, dir)
}
