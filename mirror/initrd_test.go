package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/cpiotest"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// initrdPublication publishes an image with an initrd of two of its files and two more, which are a
// little different in each version.
func initrdPublication(t testing.TB, version string, files map[string][]byte) (p Publication, own []byte) {
	t.Helper()
	own = noise(40, 70<<10)
	copy(own[30<<10:], version)
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
	p2.PatchFrom = 1
	wantInitrdPatch(t, mustPublish(t, dir, p2), a)
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

// wantInitrdPatch demands a small patch set that leads from the initrd old.
func wantInitrdPatch(t testing.TB, done *Published, old *Artifact) {
	t.Helper()
	a := done.Release.Artifact(InitrdName)
	if len(a.Patches) != 1 || a.PatchFrom(old.ID) == nil || a.PatchFrom(a.ID) != nil || len(done.Warnings) > 0 {
		t.Fatalf("patch sets %+v, warnings %q", a.Patches, done.Warnings)
	}
	if p := a.Patches[0]; p.From != "1" || p.Set.Size > 1500 || p.Head.Size >= p.Set.Size {
		t.Errorf("patch set %+v", p)
	}
	i := slices.IndexFunc(done.Patches, func(s PatchStats) bool { return s.Artifact == InitrdName })
	if i < 0 || done.Patches[i].Contents != 3 { // the recipe, init and own
		t.Errorf("told of %+v", done.Patches)
	}
}

// TestPublishInitrdPatchFailing damages what a patch set of an initrd leads from: there is none
// then, and a warning.
func TestPublishInitrdPatchFailing(t *testing.T) {
	whole := t.TempDir()
	v1, v2 := trees()
	p1, _ := initrdPublication(t, "1", v1)
	a := mustPublish(t, whole, p1).Release.Artifact(InitrdName)
	p2, _ := initrdPublication(t, "2", v2)
	p2.PatchFrom = 1
	dir := copyMirror(t, whole)
	name := RecipePath(a.Recipe.ID)
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, name), flip(b, len(b)/2))
	done := mustPublish(t, dir, p2)
	if len(done.Release.Artifact(InitrdName).Patches) != 0 || len(done.Release.Patches) != 1 {
		t.Errorf("patch sets from a damaged initrd: %+v", done.Release)
	}
	if len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], "no patch set from the initrd of 1") {
		t.Errorf("warnings %q", done.Warnings)
	}
	for what, artifacts := range map[string][]File{"the same initrd": p2.Artifacts, "none": nil} {
		dir := copyMirror(t, whole)
		q := p2
		q.Artifacts = artifacts
		mustPublish(t, dir, q)
		q = p2
		q.Version = "3"
		if done := mustPublish(t, dir, q); len(done.Release.Artifact(InitrdName).Patches) != 0 || len(done.Warnings) != 0 {
			t.Errorf("after a release with %s: %+v, warnings %q", what, done.Release, done.Warnings)
		}
	}
}

// TestPublishInitrdCrash cuts the power at every write of publishing an image with an initrd and
// patch sets of both.
func TestPublishInitrdCrash(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes under the race detector")
	}
	v1, v2 := trees()
	p1, _ := initrdPublication(t, "1", v1)
	base := t.TempDir()
	a := mustPublish(t, base, p1).Release.Artifact(InitrdName)
	p2, _ := initrdPublication(t, "2", v2)
	p2.PatchFrom = 1
	whole := copyMirror(t, base)
	wantInitrdPatch(t, mustPublish(t, whole, p2), a)
	testCrash(t, "cruel", base, p2, snapshot(t, whole), func(dir string) { wantRebuilt(t, dir, "1", p1.Image) })
}

// TestCheckBuildsInitrds makes releases whose initrd is another one than their recipe builds, and
// whose patch sets have the right hashes and are not what the release says.
func TestCheckBuildsInitrds(t *testing.T) {
	whole := twoReleases(t)
	r1, err := ReadRelease(whole, "1")
	if err != nil {
		t.Fatal(err)
	}
	r2, err := ReadRelease(whole, "2")
	if err != nil {
		t.Fatal(err)
	}
	set, err := os.ReadFile(filepath.Join(whole, PatchPath(r2.Artifact(InitrdName).Patches[0].Set.ID)))
	if err != nil {
		t.Fatal(err)
	}
	image := r2.Patches[0]
	for what, c := range map[string]struct {
		change func(a *Artifact, p *InitrdPatch, dir string)
		patch  bool // is to blame, and not the recipe
		want   string
	}{
		"another hash": {func(a *Artifact, _ *InitrdPatch, _ string) { a.ID = r1.Artifact(InitrdName).ID; a.Patches = nil },
			false, "builds an initrd with the hash"},
		"an image's set": {func(_ *Artifact, p *InitrdPatch, _ string) { p.Set, p.Head = image.Set, image.Head }, true, "another release"},
		"another head":   {func(_ *Artifact, p *InitrdPatch, _ string) { p.Head.ID = image.Head.ID }, true, "its head has the hash"},
		"a damaged group": {func(_ *Artifact, p *InitrdPatch, dir string) { p.Set = storeSet(t, dir, flip(set, len(set)-1)) },
			true, "group"},
		"more after its end": {func(_ *Artifact, p *InitrdPatch, dir string) { p.Set = storeSet(t, dir, append(bytes.Clone(set), 0)) },
			true, "it should have"},
	} {
		dir := copyMirror(t, whole)
		r := *r2
		r.Artifacts = slices.Clone(r.Artifacts)
		a := r.Artifact(InitrdName)
		a.Patches = slices.Clone(a.Patches)
		p := &a.Patches[0]
		c.change(a, p, dir)
		writeFile(t, filepath.Join(dir, ReleasePath("2")), marshal(t, r))
		writeFile(t, filepath.Join(dir, PointerPath("stable")), marshal(t, Pointer{Channel: "stable", Version: "2", Release: objectOf(marshal(t, r))}))
		name := RecipePath(a.Recipe.ID)
		if c.patch {
			name = PatchPath(p.Set.ID)
		}
		report := mustCheck(t, dir)
		if len(report.Damaged) != 1 || report.Damaged[0].Name != name || !strings.Contains(report.Damaged[0].What, c.want) {
			t.Errorf("%s: %+v", what, report.Damaged)
		}
	}
}

// FuzzDecodeInitrd: a text of any kind, compressed as recipes of initrds are, gives an error or a
// recipe with chunks for all contents.
func FuzzDecodeInitrd(f *testing.F) {
	image, err := mkimage.ParseRecipe(strings.NewReader(shortRecipe))
	if err != nil {
		f.Fatal(err)
	}
	enc := quickEncoder(f)
	f.Add([]byte("deltaup-initrd 1\ncodec x\nchunks min=64 average=64 max=64\nframe\ncpio newc upper\nt 0 0 0 0 1 0\nend 6\n"), false)
	f.Add([]byte(fmt.Sprintf("deltaup-initrd 1\ncodec x\nchunks min=64 average=64 max=64\nframe\ncpio newc upper\n"+
		"f 0644 0 0 1 1 1 3 %v x\nt 0 0 0 0 1 0\nend 7\n", chunkstore.Sum([]byte("abc")))), false)
	f.Add(enc.EncodeAll([]byte("deltaup-initrd 1\n"), nil), true)
	f.Fuzz(func(t *testing.T, text []byte, raw bool) {
		if len(text) == 0 || len(text) > 1<<20 {
			return
		}
		stored := text
		if !raw {
			stored = enc.EncodeAll(text, nil)
		}
		o := RecipeObject{Object: objectOf(stored), Plain: int64(len(text)), Text: chunkstore.Sum(text)}
		r, err := o.DecodeInitrd(stored, image)
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		for c := range r.Contents() {
			if len(c.Chunks) == 0 {
				t.Errorf("content %v has no chunks", c.ID)
			}
		}
	})
}
