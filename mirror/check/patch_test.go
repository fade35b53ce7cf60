package check_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/check"
	"deltaup/mirror/folder"
)

// TestCheckWrongSets makes releases whose patch sets have the right hashes and are not what the
// release says.
func TestCheckWrongSets(t *testing.T) {
	trees := publishtest.Steps()
	whole := t.TempDir()
	for i, tree := range trees {
		publishtest.Publish(t, whole, publishtest.Patched([]string{"1", "2", "3"}[i], publishtest.Image(t, tree), 3))
	}
	r2, err := mirror.ReadRelease(t.Context(), folder.At(whole), "2")
	if err != nil {
		t.Fatal(err)
	}
	r3, err := mirror.ReadRelease(t.Context(), folder.At(whole), "3")
	if err != nil {
		t.Fatal(err)
	}
	set, err := os.ReadFile(filepath.Join(whole, mirror.PatchPath(r3.Patches[0].Set.ID)))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		change func(p *mirror.Patch, dir string)
		want   string
	}{
		"a set to another release": {func(p *mirror.Patch, dir string) { p.Set, p.Head = r2.Patches[0].Set, r2.Patches[0].Head }, "leads from"},
		"another head's hash":      {func(p *mirror.Patch, dir string) { p.Head.ID = r2.Patches[0].Head.ID }, "its head has the hash"},
		"another head's size":      {func(p *mirror.Patch, dir string) { p.Head.Size-- }, "its head has"},
		"another recipe":           {func(p *mirror.Patch, dir string) { p.Recipe = chunkstore.Sum(nil) }, "leads from"},
		"a damaged group":          {func(p *mirror.Patch, dir string) { p.Set = storeSet(t, dir, publishtest.Flip(set, len(set)-1)) }, "group"},
		"a damaged head":           {func(p *mirror.Patch, dir string) { p.Set = storeSet(t, dir, publishtest.Flip(set, 40)) }, "head"},
		"more after its end":       {func(p *mirror.Patch, dir string) { p.Set = storeSet(t, dir, append(bytes.Clone(set), 0)) }, "it should have"},
		"no set at all": {func(p *mirror.Patch, dir string) {
			p.Set = storeSet(t, dir, []byte("none at all, but long enough"))
			p.Head.Size = 20
		}, "begin like"},
	} {
		dir := publishtest.Copy(t, whole)
		r := *r3
		r.Patches = slices.Clone(r.Patches)
		c.change(&r.Patches[0], dir)
		mirrortest.WriteFile(t, filepath.Join(dir, mirror.ReleasePath("3")), publishtest.Marshal(t, r))
		mirrortest.WriteFile(t, filepath.Join(dir, mirror.PointerPath("stable")), publishtest.Marshal(t, mirror.Pointer{Channel: "stable", Version: "3", Release: mirror.ObjectOf(publishtest.Marshal(t, r))}))
		for _, deep := range []bool{false, true} {
			report, err := check.Mirror(t.Context(), folder.At(dir), check.Options{Deep: deep})
			if err != nil {
				t.Fatal(err)
			}
			name := mirror.PatchPath(r.Patches[0].Set.ID)
			if len(report.Damaged) != 1 || report.Damaged[0].Name != name || !strings.Contains(report.Damaged[0].What, c.want) {
				t.Errorf("%s: %+v", what, report.Damaged)
			}
		}
	}
}

func storeSet(t *testing.T, dir string, b []byte) mirror.Object {
	t.Helper()
	o := mirror.ObjectOf(b)
	mirrortest.WriteFile(t, filepath.Join(dir, mirror.PatchPath(o.ID)), b)
	return o
}

// TestCheckWithoutOldRelease takes away, or damages, what patch sets lead from: they are not to
// blame.
func TestCheckWithoutOldRelease(t *testing.T) {
	trees := publishtest.Steps()
	whole := t.TempDir()
	publishtest.Publish(t, whole, publishtest.Patched("1", publishtest.Image(t, trees[0]), 3))
	publishtest.Publish(t, whole, publishtest.Patched("2", publishtest.Image(t, trees[1]), 3))
	pruned := publishtest.Copy(t, whole)
	if err := os.Remove(filepath.Join(pruned, mirror.ReleasePath("1"))); err != nil {
		t.Fatal(err)
	}
	publishtest.WantSound(t, pruned)
	for name, b := range publishtest.Snapshot(t, whole) {
		if !strings.HasPrefix(name, "packs/") && !strings.HasPrefix(name, "recipes/") {
			continue
		}
		dir := publishtest.Copy(t, whole)
		mirrortest.WriteFile(t, filepath.Join(dir, name), publishtest.Flip([]byte(b), len(b)/2))
		report, err := check.Mirror(t.Context(), folder.At(dir), check.Options{Deep: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Damaged) != 1 || report.Damaged[0].Name != name {
			t.Errorf("%s damaged: %+v", name, report.Damaged)
		}
	}
}
