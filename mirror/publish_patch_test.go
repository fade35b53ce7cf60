package mirror

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
)

// steps are three versions of a tree.
func steps() []map[string][]byte {
	t1, t2 := trees()
	t3 := map[string][]byte{}
	for name, b := range t2 {
		t3[name] = b
	}
	t3["bin/big"] = append(bytes.Clone(t2["bin/big"]), noise(15, 3000)...)
	t3["etc/third"] = []byte("three\n")
	return []map[string][]byte{t1, t2, t3}
}

func patchPublication(version, image string, from int) Publication {
	p := imagePublication(version, image)
	p.PatchFrom = from
	return p
}

// wantApplied applies a release's patch set from an older release as a target would and demands the
// release's recipe.
func wantApplied(t testing.TB, dir string, r *Release, from string) {
	t.Helper()
	i := slices.IndexFunc(r.Patches, func(p Patch) bool { return p.From == from })
	if i < 0 {
		t.Fatalf("version %s has no patch set from %s: %+v", r.Version, from, r.Patches)
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	old, err := ReadRelease(dir, from)
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := readStored(path, old.Artifact(ImageName).Recipe)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := chunkstore.OpenFolder(path(packsDir), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path(PatchPath(r.Patches[i].Set.ID)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	err = applySet(t.Context(), f, &r.Patches[i], recipe, patchset.FromStore(folder), r.Artifact(ImageName).Recipe.Text, func(done, total int64) {})
	if err != nil {
		t.Errorf("the patch set from %s to %s: %v", from, r.Version, err)
	}
}

func TestPublishPatches(t *testing.T) {
	dir := t.TempDir()
	var done []*Published
	for i, tree := range steps() {
		p := patchPublication([]string{"1", "2", "3"}[i], makeImage(t, tree), 3)
		seen, sets := map[Step]bool{}, map[string]int64{}
		p.Progress = func(s Step, of string, done, total int64) {
			seen[s] = seen[s] || done > 0 && total > 0
			if s == StepPatch {
				if done <= sets[of] && total > 0 {
					t.Errorf("version %d: %s: %d after %d", i+1, of, done, sets[of])
				}
				sets[of] = done
			} else if s != StepProve && of != "" {
				t.Errorf("step %s of %q", s, of)
			}
		}
		done = append(done, mustPublish(t, dir, p))
		if seen[StepPatch] != (i > 0) || seen[StepProve] != (i > 0) {
			t.Errorf("version %d: progress of %v", i+1, seen)
		}
		if len(sets) != i || i > 0 && sets["image from "+strconv.Itoa(i)] == 0 {
			t.Errorf("version %d: progress of the sets %v", i+1, sets)
		}
	}
	for i, want := range [][]string{nil, {"1"}, {"2", "1"}} {
		r := done[i].Release
		var from []string
		for _, p := range r.Patches {
			from = append(from, p.From)
			if p.Chunks <= 0 || p.Blocks <= 0 || p.Compress < p.Blocks || p.Set.Size >= p.Chunks {
				t.Errorf("the step from %s to %s costs %+v", p.From, r.Version, p)
			}
			wantApplied(t, dir, r, p.From)
		}
		if !slices.Equal(from, want) || len(done[i].Patches) != len(want) || len(done[i].Warnings) > 0 {
			t.Errorf("version %s has patch sets from %q, want %q; %+v, %q", r.Version, from, want, done[i].Patches, done[i].Warnings)
		}
	}
	if p := done[1].Patches[0]; p.Contents != 2 || p.Size != done[1].Release.Patches[0].Set.Size || p.Time <= 0 {
		t.Errorf("the step from 1 to 2: %+v", p)
	}
	if a, b := done[0].Release.Previous, done[2].Release.Previous; a != "" || b != "2" {
		t.Errorf("before 1 there was %q, before 3 %q", a, b)
	}
	if r := wantSound(t, dir); len(r.Unreferenced) != 0 {
		t.Errorf("unreferenced: %q", r.Unreferenced)
	}
	deep, err := Check(t.Context(), dir, CheckOptions{Deep: true})
	if err != nil || len(deep.Damaged) != 0 {
		t.Errorf("a deep check finds %+v, %v", deep, err)
	}
}

// TestPublishLargePatch publishes a content that a patch set holds in pieces, changed at both ends.
func TestPublishLargePatch(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	b := noise(16, patchset.PieceMax+(1<<20))
	dir := t.TempDir()
	mustPublish(t, dir, imagePublication("1", makeImage(t, map[string][]byte{"large": b})))
	b = slices.Concat([]byte("changed"), b[7:len(b)-4], []byte("end"))
	done := mustPublish(t, dir, patchPublication("2", makeImage(t, map[string][]byte{"large": b}), 1))
	if len(done.Patches) != 1 || done.Patches[0].Contents != 1 || done.Patches[0].Size > 10<<10 {
		t.Fatalf("patch sets %+v, warnings %q", done.Patches, done.Warnings)
	}
	wantApplied(t, dir, done.Release, "1")
}

// TestPatchedFrom publishes after releases from which no patch set, or only one, can lead.
func TestPatchedFrom(t *testing.T) {
	trees := steps()
	v1, _ := kernels()
	dir := t.TempDir()
	image1, image2 := makeImage(t, trees[0]), makeImage(t, trees[1])
	mustPublish(t, dir, patchPublication("1", image1, 3))
	mustPublish(t, dir, rawPublication(t, "raw", v1))
	check := func(done *Published, previous string, from ...string) {
		t.Helper()
		var got []string
		for _, p := range done.Release.Patches {
			got = append(got, p.From)
		}
		if done.Release.Previous != previous || !slices.Equal(got, from) || len(done.Warnings) > 0 {
			t.Errorf("version %s comes after %q, its patch sets are from %q; want %q, %q; %q",
				done.Release.Version, done.Release.Previous, got, previous, from, done.Warnings)
		}
	}
	check(mustPublish(t, dir, patchPublication("a", image2, 1)), "raw")
	// and none from 1, the same image
	check(mustPublish(t, dir, patchPublication("b", image1, 3)), "a", "a")
	// a is the same, raw is none
	check(mustPublish(t, dir, patchPublication("c", image2, 3)), "b", "b")
	check(mustPublish(t, dir, patchPublication("d", image1, 0)), "c")
	p := patchPublication("e", image2, 3)
	p.Channel = ""
	check(mustPublish(t, dir, p), "")
	// A channel that was set back to 1, published anew after its release file was lost: a loop.
	if err := os.Remove(filepath.Join(dir, ReleasePath("1"))); err != nil {
		t.Fatal(err)
	}
	check(mustPublish(t, dir, patchPublication("1", image1, 64)), "d", "c")
	check(mustPublish(t, dir, patchPublication("2", makeImage(t, trees[2]), 64)), "1", "1", "c")
	wantSound(t, dir)
}

// TestPatchFromDamage damages what a patch set would lead from, each file of the mirror in turn.
func TestPatchFromDamage(t *testing.T) {
	trees := steps()
	whole := t.TempDir()
	mustPublish(t, whole, imagePublication("1", makeImage(t, trees[0])))
	p := patchPublication("2", makeImage(t, trees[1]), 3)
	warned := 0
	for name, b := range snapshot(t, whole) {
		dir := copyMirror(t, whole)
		damaged := flip([]byte(b), len(b)/2)
		if strings.HasPrefix(name, packsDir) {
			damaged = flip([]byte(b), len(b)/3) // in a frame: a publisher refuses a damaged table
		}
		writeFile(t, filepath.Join(dir, name), damaged)
		done, err := Publish(t.Context(), dir, p)
		if err != nil {
			t.Errorf("%s damaged: %v", name, err)
			continue
		}
		if pointedTo(t, dir, "stable") != "2" {
			t.Errorf("%s damaged: the pointer did not move", name)
		}
		warned += len(done.Warnings)
		// A block map that is damaged leaves unknown what stored blocks cost, and no more.
		made := len(done.Release.Patches) == 1 && done.Release.Previous == "1"
		if (len(done.Warnings) == 0) != (made && !strings.HasPrefix(name, blockmapsDir)) || strings.HasPrefix(name, blockmapsDir) && !made {
			t.Errorf("%s damaged: patches %+v, warnings %q", name, done.Release.Patches, done.Warnings)
		}
		for _, r := range mustCheck(t, dir).Damaged {
			if r.Name != name {
				t.Errorf("%s damaged: %s is damaged afterwards: %s", name, r.Name, r.What)
			}
		}
	}
	if warned < 3 { // pointer, release, recipe, and the pack of what changed
		t.Errorf("%d warnings", warned)
	}
}

func TestPublishPatchCancelled(t *testing.T) {
	trees := steps()
	dir := t.TempDir()
	mustPublish(t, dir, imagePublication("1", makeImage(t, trees[0])))
	for _, at := range []Step{StepPatch, StepProve} {
		ctx, cancel := context.WithCancel(t.Context())
		p := patchPublication("2", makeImage(t, trees[1]), 3)
		p.Progress = func(step Step, _ string, done, total int64) {
			if step == at {
				cancel()
			}
		}
		if _, err := Publish(ctx, dir, p); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at %s: %v", at, err)
		}
		cancel()
		if _, err := os.Stat(filepath.Join(dir, ReleasePath("2"))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("cancelled at %s, and published: %v", at, err)
		}
		wantSound(t, dir)
	}
}

// TestCheckWrongSets makes releases whose patch sets have the right hashes and are not what the
// release says.
func TestCheckWrongSets(t *testing.T) {
	trees := steps()
	whole := t.TempDir()
	for i, tree := range trees {
		mustPublish(t, whole, patchPublication([]string{"1", "2", "3"}[i], makeImage(t, tree), 3))
	}
	r2, err := ReadRelease(whole, "2")
	if err != nil {
		t.Fatal(err)
	}
	r3, err := ReadRelease(whole, "3")
	if err != nil {
		t.Fatal(err)
	}
	set, err := os.ReadFile(filepath.Join(whole, PatchPath(r3.Patches[0].Set.ID)))
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		change func(p *Patch, dir string)
		want   string
	}{
		"a set to another release": {func(p *Patch, dir string) { p.Set, p.Head = r2.Patches[0].Set, r2.Patches[0].Head }, "leads from"},
		"another head's hash":      {func(p *Patch, dir string) { p.Head.ID = r2.Patches[0].Head.ID }, "its head has the hash"},
		"another head's size":      {func(p *Patch, dir string) { p.Head.Size-- }, "its head has"},
		"another recipe":           {func(p *Patch, dir string) { p.Recipe = chunkstore.Sum(nil) }, "leads from"},
		"a damaged group":          {func(p *Patch, dir string) { p.Set = storeSet(t, dir, flip(set, len(set)-1)) }, "group"},
		"a damaged head":           {func(p *Patch, dir string) { p.Set = storeSet(t, dir, flip(set, 40)) }, "head"},
		"more after its end":       {func(p *Patch, dir string) { p.Set = storeSet(t, dir, append(bytes.Clone(set), 0)) }, "it should have"},
		"no set at all": {func(p *Patch, dir string) {
			p.Set = storeSet(t, dir, []byte("none at all, but long enough"))
			p.Head.Size = 20
		}, "begin like"},
	} {
		dir := copyMirror(t, whole)
		r := *r3
		r.Patches = slices.Clone(r.Patches)
		c.change(&r.Patches[0], dir)
		writeFile(t, filepath.Join(dir, ReleasePath("3")), marshal(t, r))
		writeFile(t, filepath.Join(dir, PointerPath("stable")), marshal(t, Pointer{Channel: "stable", Version: "3", Release: objectOf(marshal(t, r))}))
		for _, deep := range []bool{false, true} {
			report, err := Check(t.Context(), dir, CheckOptions{Deep: deep})
			if err != nil {
				t.Fatal(err)
			}
			name := PatchPath(r.Patches[0].Set.ID)
			if len(report.Damaged) != 1 || report.Damaged[0].Name != name || !strings.Contains(report.Damaged[0].What, c.want) {
				t.Errorf("%s: %+v", what, report.Damaged)
			}
		}
	}
}

func storeSet(t *testing.T, dir string, b []byte) Object {
	t.Helper()
	o := objectOf(b)
	writeFile(t, filepath.Join(dir, PatchPath(o.ID)), b)
	return o
}

// TestCheckWithoutOldRelease takes away, or damages, what patch sets lead from: they are not to
// blame.
func TestCheckWithoutOldRelease(t *testing.T) {
	trees := steps()
	whole := t.TempDir()
	mustPublish(t, whole, patchPublication("1", makeImage(t, trees[0]), 3))
	mustPublish(t, whole, patchPublication("2", makeImage(t, trees[1]), 3))
	pruned := copyMirror(t, whole)
	if err := os.Remove(filepath.Join(pruned, ReleasePath("1"))); err != nil {
		t.Fatal(err)
	}
	wantSound(t, pruned)
	for name, b := range snapshot(t, whole) {
		if !strings.HasPrefix(name, packsDir) && !strings.HasPrefix(name, recipesDir) {
			continue
		}
		dir := copyMirror(t, whole)
		writeFile(t, filepath.Join(dir, name), flip([]byte(b), len(b)/2))
		report, err := Check(t.Context(), dir, CheckOptions{Deep: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(report.Damaged) != 1 || report.Damaged[0].Name != name {
			t.Errorf("%s damaged: %+v", name, report.Damaged)
		}
	}
}
