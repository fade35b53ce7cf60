package mirror

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/cpiotest"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// initrdPublication publishes an image with an initrd of two of its files and two more.
func initrdPublication(t testing.TB, version string, files map[string][]byte) (p Publication, own []byte) {
	t.Helper()
	own = noise(40, 70<<10)
	p = imagePublication(version, makeImage(t, files))
	p.Artifacts = []File{{InitrdName, writeFile(t, filepath.Join(t.TempDir(), "initrd"), cpiotest.Initrd(map[string][]byte{
		"init": []byte("#!/bin/sh\n" + version), "bin/big": files["bin/big"], "etc/small": files["etc/small"], "own": own,
	}))}}
	return p, own
}

func TestPublishInitrd(t *testing.T) {
	dir := t.TempDir()
	v1, v2 := trees()
	p, own := initrdPublication(t, "1", v1)
	done := mustPublish(t, dir, p)
	if len(done.Warnings) != 0 {
		t.Errorf("warnings %q", done.Warnings)
	}
	a := done.Release.Artifact(InitrdName)
	if a.Kind != KindInitrd || a.Recipe == nil || a.Index == nil {
		t.Fatalf("published as %+v", a)
	}
	image, r := initrdOf(t, dir, done.Release)
	for c := range r.Contents() {
		if same := contentsOf(image)[c.ID]; same != nil && !slices.Equal(same.Chunks, c.Chunks) {
			t.Errorf("content %s: chunks %v, the image has %v", c.ID, c.Chunks, same.Chunks)
		}
	}
	var extra int64
	for _, c := range InitrdChunks(r, image) {
		extra += c.Size
	}
	if want := int64(len(own) + len("#!/bin/sh\n1")); extra != want {
		t.Errorf("%d bytes beside the image's, want %d", extra, want)
	}
	p2, _ := initrdPublication(t, "2", v2)
	mustPublish(t, dir, p2)
	if r := wantSound(t, dir); len(r.Unreferenced) != 0 {
		t.Errorf("unreferenced: %q", r.Unreferenced)
	}
	if again := mustPublish(t, dir, p2); !again.Existed {
		t.Error("the same initrd is not known again")
	}
	wantMissingSeen(t, dir, p, RecipePath(a.Recipe.ID))
	wantMissingSeen(t, dir, p, IndexPath(a.Index.ID))
}

// initrdOf reads the recipes of a release's image and initrd.
func initrdOf(t testing.TB, dir string, release *Release) (*mkimage.Recipe, *initrd.Recipe) {
	t.Helper()
	path := func(name string) string { return filepath.Join(dir, name) }
	image, err := readStored(path, release.Artifact(ImageName).Recipe)
	if err != nil {
		t.Fatal(err)
	}
	o := release.Artifact(InitrdName).Recipe
	stored, err := os.ReadFile(path(RecipePath(o.ID)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.DecodeInitrd(stored, image)
	if err != nil {
		t.Fatal(err)
	}
	return image, r
}

// wantMissingSeen removes one file of a copy of the mirror.
func wantMissingSeen(t *testing.T, dir string, p Publication, name string) {
	t.Helper()
	broken := copyMirror(t, dir)
	if err := os.Remove(filepath.Join(broken, name)); err != nil {
		t.Fatal(err)
	}
	if r := mustCheck(t, broken); len(r.Damaged) != 1 || r.Damaged[0].Name != name {
		t.Errorf("without %s: damage %v", name, r.Damaged)
	}
	if _, err := Publish(t.Context(), broken, p); !errors.Is(err, ErrDamaged) {
		t.Errorf("without %s: published again: %v", name, err)
	}
}

// TestDecodeInitrdWithoutChunks decodes beside an image that came by a patch set.
func TestDecodeInitrdWithoutChunks(t *testing.T) {
	dir := t.TempDir()
	v1, _ := trees()
	p, _ := initrdPublication(t, "1", v1)
	release := mustPublish(t, dir, p).Release
	image, _ := initrdOf(t, dir, release)
	for c := range image.Contents() {
		c.Chunks = nil
	}
	o := release.Artifact(InitrdName).Recipe
	stored, err := os.ReadFile(filepath.Join(dir, RecipePath(o.ID)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.DecodeInitrd(stored, image)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(InitrdChunks(r, image)); n == 0 {
		t.Error("no chunks of its own")
	}
	image.Entries = image.Entries[:1]
	if _, err := o.DecodeInitrd(stored, image); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("beside another image: %v", err)
	}
}

func TestPublishInitrdAsItIs(t *testing.T) {
	dir := t.TempDir()
	v1, _ := trees()
	p := imagePublication("1", makeImage(t, v1))
	odd := append(cpiotest.Initrd(map[string][]byte{"init": []byte("x")}), "#BOOTCONFIG\n"...)
	p.Artifacts = []File{{InitrdName, writeFile(t, filepath.Join(t.TempDir(), "initrd"), odd)}}
	done := mustPublish(t, dir, p)
	if a := done.Release.Artifact(InitrdName); a.Kind != KindRaw || a.ID != chunkstore.Sum(odd) {
		t.Errorf("published as %+v", a)
	}
	if len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], "as it is") {
		t.Errorf("warnings %q", done.Warnings)
	}
	wantRaw(t, dir, "1", InitrdName, bytes.Clone(odd))
	wantSound(t, dir)
}
