package publish_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
	"deltaup/mkimage"
)

func TestPublishInitrd(t *testing.T) {
	dir := t.TempDir()
	v1, v2 := publishtest.Trees()
	p, own := publishtest.Initrd(t, "1", v1)
	done := publishtest.Publish(t, dir, p)
	if len(done.Warnings) != 0 {
		t.Errorf("warnings %q", done.Warnings)
	}
	a := done.Release.Artifact(mirror.InitrdName)
	if a.Beside() == nil || a.Recipe == nil || a.Index == nil {
		t.Fatalf("published as %+v", a)
	}
	image, r := initrdOf(t, dir, done.Release)
	has := map[chunkstore.ID]*chunkstore.Content{}
	for c := range image.Contents() {
		has[c.ID] = c
	}
	for c := range r.Contents() {
		if same := has[c.ID]; same != nil && !slices.Equal(same.Chunks, c.Chunks) {
			t.Errorf("content %s: chunks %v, the image has %v", c.ID, c.Chunks, same.Chunks)
		}
	}
	var extra int64
	for _, c := range artifact.OwnChunks(r, image) {
		extra += c.Size
	}
	if want := int64(len(own) + len("#!/bin/sh\n1")); extra != want {
		t.Errorf("%d bytes beside the image's, want %d", extra, want)
	}
	p2, _ := publishtest.Initrd(t, "2", v2)
	p2.PatchFrom = 1
	wantInitrdPatch(t, publishtest.Publish(t, dir, p2), a)
	if r := publishtest.WantSound(t, dir); len(r.Unreferenced) != 0 {
		t.Errorf("unreferenced: %q", r.Unreferenced)
	}
	if again := publishtest.Publish(t, dir, p2); !again.Existed {
		t.Error("the same initrd is not known again")
	}
	wantMissingSeen(t, dir, p, mirror.RecipePath(a.Recipe.ID))
	wantMissingSeen(t, dir, p, mirror.IndexPath(a.Index.ID))
}

// initrdOf reads the recipes of a release's image and initrd.
func initrdOf(t testing.TB, dir string, release *mirror.Release) (*mkimage.Recipe, artifact.Recipe) {
	t.Helper()
	path := func(name string) string { return filepath.Join(dir, name) }
	image, err := mirror.ReadRecipe(t.Context(), folder.At(dir), release.Artifact(mirror.ImageName).Recipe)
	if err != nil {
		t.Fatal(err)
	}
	a := release.Artifact(mirror.InitrdName)
	stored, err := os.ReadFile(path(mirror.RecipePath(a.Recipe.ID)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.DecodeBeside(stored, image)
	if err != nil {
		t.Fatal(err)
	}
	return image, r
}

// wantMissingSeen removes one file of a copy of the mirror.
func wantMissingSeen(t *testing.T, dir string, p publish.Publication, name string) {
	t.Helper()
	broken := publishtest.Copy(t, dir)
	if err := os.Remove(filepath.Join(broken, name)); err != nil {
		t.Fatal(err)
	}
	if r := publishtest.Check(t, broken); len(r.Damaged) != 1 || r.Damaged[0].Name != name {
		t.Errorf("without %s: damage %v", name, r.Damaged)
	}
	if _, err := publish.Add(t.Context(), folder.At(broken), p); !errors.Is(err, mirror.ErrDamaged) {
		t.Errorf("without %s: published again: %v", name, err)
	}
}

// TestDecodeInitrdWithoutChunks decodes beside an image that came by a patch set.
func TestDecodeInitrdWithoutChunks(t *testing.T) {
	dir := t.TempDir()
	v1, _ := publishtest.Trees()
	p, _ := publishtest.Initrd(t, "1", v1)
	release := publishtest.Publish(t, dir, p).Release
	image, _ := initrdOf(t, dir, release)
	for c := range image.Contents() {
		c.Chunks = nil
	}
	a := release.Artifact(mirror.InitrdName)
	stored, err := os.ReadFile(filepath.Join(dir, mirror.RecipePath(a.Recipe.ID)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.DecodeBeside(stored, image)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(artifact.OwnChunks(r, image)); n == 0 {
		t.Error("no chunks of its own")
	}
	image.Entries = mkimage.PackEntries(image.Entries.At(0))
	if _, err := a.DecodeBeside(stored, image); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("beside another image: %v", err)
	}
}

func TestPublishInitrdAsItIs(t *testing.T) {
	dir := t.TempDir()
	v1, _ := publishtest.Trees()
	p := publishtest.Tree("1", publishtest.Image(t, v1))
	odd := append(cpiotest.Initrd(map[string][]byte{"init": []byte("x")}), "#BOOTCONFIG\n"...)
	p.Artifacts = []publish.File{{Name: mirror.InitrdName, Path: mirrortest.WriteFile(t, filepath.Join(t.TempDir(), "initrd"), odd)}}
	done := publishtest.Publish(t, dir, p)
	if a := done.Release.Artifact(mirror.InitrdName); a.Kind != mirror.KindRaw || a.ID != chunkstore.Sum(odd) {
		t.Errorf("published as %+v", a)
	}
	if len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], "as it is") {
		t.Errorf("warnings %q", done.Warnings)
	}
	wantRaw(t, dir, "1", mirror.InitrdName, bytes.Clone(odd))
	publishtest.WantSound(t, dir)
}

// wantInitrdPatch demands a small patch set that leads from the initrd old.
func wantInitrdPatch(t testing.TB, done *publish.Result, old *mirror.Artifact) {
	t.Helper()
	a := done.Release.Artifact(mirror.InitrdName)
	if len(a.Patches) != 1 || a.PatchFrom(old.ID) == nil || a.PatchFrom(a.ID) != nil || len(done.Warnings) > 0 {
		t.Fatalf("patch sets %+v, warnings %q", a.Patches, done.Warnings)
	}
	if p := a.Patches[0]; p.From != "1" || p.Set.Size > 1500 || p.Head.Size >= p.Set.Size {
		t.Errorf("patch set %+v", p)
	}
	i := slices.IndexFunc(done.Patches, func(s publish.PatchStats) bool { return s.Artifact == mirror.InitrdName })
	if i < 0 || done.Patches[i].Contents != 3 { // the recipe, init and own
		t.Errorf("told of %+v", done.Patches)
	}
}

// TestPublishInitrdPatchFailing damages what a patch set of an initrd leads from: there is none
// then, and a warning.
func TestPublishInitrdPatchFailing(t *testing.T) {
	whole := t.TempDir()
	v1, v2 := publishtest.Trees()
	p1, _ := publishtest.Initrd(t, "1", v1)
	a := publishtest.Publish(t, whole, p1).Release.Artifact(mirror.InitrdName)
	p2, _ := publishtest.Initrd(t, "2", v2)
	p2.PatchFrom = 1
	dir := publishtest.Copy(t, whole)
	name := mirror.RecipePath(a.Recipe.ID)
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	mirrortest.WriteFile(t, filepath.Join(dir, name), publishtest.Flip(b, len(b)/2))
	done := publishtest.Publish(t, dir, p2)
	if len(done.Release.Artifact(mirror.InitrdName).Patches) != 0 || len(done.Release.Patches) != 1 {
		t.Errorf("patch sets from a damaged initrd: %+v", done.Release)
	}
	if len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], "no patch set from the initrd of 1") {
		t.Errorf("warnings %q", done.Warnings)
	}
	for what, artifacts := range map[string][]publish.File{"the same initrd": p2.Artifacts, "none": nil} {
		dir := publishtest.Copy(t, whole)
		q := p2
		q.Artifacts = artifacts
		publishtest.Publish(t, dir, q)
		q = p2
		q.Version = "3"
		if done := publishtest.Publish(t, dir, q); len(done.Release.Artifact(mirror.InitrdName).Patches) != 0 || len(done.Warnings) != 0 {
			t.Errorf("after a release with %s: %+v, warnings %q", what, done.Release, done.Warnings)
		}
	}
}

// TestPublishInitrdCrash cuts the power at the writes of publishing an image with an initrd and
// patch sets of both.
func TestPublishInitrdCrash(t *testing.T) {
	v1, v2 := publishtest.Trees()
	p1, _ := publishtest.Initrd(t, "1", v1)
	base := t.TempDir()
	a := publishtest.Publish(t, base, p1).Release.Artifact(mirror.InitrdName)
	p2, _ := publishtest.Initrd(t, "2", v2)
	p2.PatchFrom = 1
	whole := publishtest.Copy(t, base)
	wantInitrdPatch(t, publishtest.Publish(t, whole, p2), a)
	testCrash(t, "cruel", base, p2, publishtest.Snapshot(t, whole), func(dir string) { wantRebuilt(t, dir, "1", p1.Image) })
}
