package check_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
)

// TestCheckBuildsInitrds makes releases whose initrd is another one than their recipe builds, and
// whose patch sets have the right hashes and are not what the release says.
func TestCheckBuildsInitrds(t *testing.T) {
	whole := publishtest.TwoReleases(t)
	r1, err := mirror.ReadRelease(t.Context(), folder.At(whole), "1")
	if err != nil {
		t.Fatal(err)
	}
	r2, err := mirror.ReadRelease(t.Context(), folder.At(whole), "2")
	if err != nil {
		t.Fatal(err)
	}
	set, err := os.ReadFile(filepath.Join(whole, mirror.PatchPath(r2.Artifact(mirror.InitrdName).Patches[0].Set.ID)))
	if err != nil {
		t.Fatal(err)
	}
	image := r2.Patches[0]
	other, foreign := setToAnother(t)
	for what, c := range map[string]struct {
		change func(a *mirror.Artifact, p *mirror.Patch, dir string)
		patch  bool // is to blame, and not the recipe
		want   string
	}{
		"another hash": {func(a *mirror.Artifact, _ *mirror.Patch, _ string) {
			a.ID = r1.Artifact(mirror.InitrdName).ID
			a.Patches = nil
		},
			false, "builds an artifact with the hash"},
		"an image's set": {func(_ *mirror.Artifact, p *mirror.Patch, _ string) { p.Set, p.Head = image.Set, image.Head }, true, "another release"},
		"another head":   {func(_ *mirror.Artifact, p *mirror.Patch, _ string) { p.Head.ID = image.Head.ID }, true, "its head has the hash"},
		"a damaged group": {func(_ *mirror.Artifact, p *mirror.Patch, dir string) {
			p.Set = storeSet(t, dir, publishtest.Flip(set, len(set)-1))
		},
			true, "group"},
		"more after its end": {func(_ *mirror.Artifact, p *mirror.Patch, dir string) {
			p.Set = storeSet(t, dir, append(bytes.Clone(set), 0))
		},
			true, "it should have"},
		"another initrd's set": {func(_ *mirror.Artifact, p *mirror.Patch, dir string) {
			p.Set, p.Head = storeSet(t, dir, foreign), other.Head
		},
			true, "another recipe"},
	} {
		dir := publishtest.Copy(t, whole)
		r := *r2
		r.Artifacts = slices.Clone(r.Artifacts)
		a := r.Artifact(mirror.InitrdName)
		a.Patches = slices.Clone(a.Patches)
		p := &a.Patches[0]
		c.change(a, p, dir)
		mirrortest.WriteFile(t, filepath.Join(dir, mirror.ReleasePath("2")), publishtest.Marshal(t, r))
		mirrortest.WriteFile(t, filepath.Join(dir, mirror.PointerPath("stable")), publishtest.Marshal(t, mirror.Pointer{Channel: "stable", Version: "2", Release: mirror.ObjectOf(publishtest.Marshal(t, r))}))
		name := mirror.RecipePath(a.Recipe.ID)
		if c.patch {
			name = mirror.PatchPath(p.Set.ID)
		}
		report := publishtest.Check(t, dir)
		if len(report.Damaged) != 1 || report.Damaged[0].Name != name || !strings.Contains(report.Damaged[0].What, c.want) {
			t.Errorf("%s: %+v", what, report.Damaged)
		}
	}
}

// setToAnother makes a set from the same initrd, beside the same image, but to another initrd.
func setToAnother(t *testing.T) (p mirror.Patch, set []byte) {
	t.Helper()
	dir := t.TempDir()
	t1, t2 := publishtest.Trees()
	first, _ := publishtest.Initrd(t, "1", t1)
	publishtest.Publish(t, dir, first)
	second, _ := publishtest.Initrd(t, "3", t2)
	second.PatchFrom = 1
	publishtest.Publish(t, dir, second)
	r, err := mirror.ReadRelease(t.Context(), folder.At(dir), "3")
	if err != nil {
		t.Fatal(err)
	}
	p = r.Artifact(mirror.InitrdName).Patches[0]
	if set, err = os.ReadFile(filepath.Join(dir, mirror.PatchPath(p.Set.ID))); err != nil {
		t.Fatal(err)
	}
	return p, set
}
