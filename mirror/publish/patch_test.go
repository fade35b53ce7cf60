package publish_test

import (
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
	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/check"
	"deltaup/mirror/folder"
	"deltaup/mirror/internal/verify"
	"deltaup/mirror/publish"
)

// wantApplied applies a release's patch set from an older release as a target would and demands the
// release's recipe.
func wantApplied(t testing.TB, dir string, r *mirror.Release, from string) {
	t.Helper()
	i := slices.IndexFunc(r.Patches, func(p mirror.Patch) bool { return p.From == from })
	if i < 0 {
		t.Fatalf("version %s has no patch set from %s: %+v", r.Version, from, r.Patches)
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	old, err := mirror.ReadRelease(t.Context(), folder.At(dir), from)
	if err != nil {
		t.Fatal(err)
	}
	recipe, err := mirror.ReadRecipe(t.Context(), folder.At(dir), old.Artifact(mirror.ImageName).Recipe)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := chunkstore.OpenFolder(path(mirror.PacksDir), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path(mirror.PatchPath(r.Patches[i].Set.ID)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lead := &verify.ImageLead{From: recipe, Old: patchset.FromStore(folder), To: r.Artifact(mirror.ImageName).Recipe.Text}
	err = verify.Apply(t.Context(), f, &r.Patches[i], lead, func(done, total int64) {})
	if err != nil {
		t.Errorf("the patch set from %s to %s: %v", from, r.Version, err)
	}
}

func TestPublishPatches(t *testing.T) {
	dir := t.TempDir()
	var done []*publish.Result
	for i, tree := range publishtest.Steps() {
		p := publishtest.Patched([]string{"1", "2", "3"}[i], publishtest.Image(t, tree), 3)
		seen, sets := map[publish.Stage]bool{}, map[string]int64{}
		share := 0.0
		ofSet := []publish.Stage{publish.StageSearch, publish.StageCompress, publish.StageProve}
		p.Progress = func(p publish.Progress) {
			s, of, done, total := p.Stage, p.Of, p.Done, p.Total
			if (of != "") != (p.Set > 0) || p.Set > p.Sets || of != "" && p.Sets != i {
				t.Errorf("version %d: %q is set %d of %d", i+1, of, p.Set, p.Sets)
			}
			seen[s] = seen[s] || done > 0 && total > 0
			if s == publish.StagePatch {
				if done <= sets[of] && total > 0 {
					t.Errorf("version %d: %s: %d after %d", i+1, of, done, sets[of])
				}
				sets[of] = done
			} else if slices.Contains(ofSet, s) != (of != "") {
				t.Errorf("step %s of %q", s, of)
			}
			if p.Share < share || p.Share > 1 || of == "" && p.Share != 0 {
				t.Errorf("version %d: a share of %v after %v", i+1, p.Share, share)
			}
			share = p.Share
		}
		done = append(done, publishtest.Publish(t, dir, p))
		for _, s := range []publish.Stage{publish.StagePatch, publish.StageCompress, publish.StageProve} {
			if seen[s] != (i > 0) {
				t.Errorf("version %d: progress of %v", i+1, seen)
			}
		}
		if (share == 1) != (i > 0) {
			t.Errorf("version %d: the share ends at %v", i+1, share)
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
	if r := publishtest.WantSound(t, dir); len(r.Unreferenced) != 0 {
		t.Errorf("unreferenced: %q", r.Unreferenced)
	}
	deep, err := check.Mirror(t.Context(), folder.At(dir), check.Options{Deep: true})
	if err != nil || len(deep.Damaged) != 0 {
		t.Errorf("a deep check finds %+v, %v", deep, err)
	}
}

// TestPublishLargePatch publishes a content that a patch set holds in pieces, changed at both ends.
func TestPublishLargePatch(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	b := mirrortest.Noise(16, patchset.PieceMax+(1<<20))
	dir := t.TempDir()
	publishtest.Publish(t, dir, publishtest.Tree("1", publishtest.Image(t, map[string][]byte{"large": b})))
	b = slices.Concat([]byte("changed"), b[7:len(b)-4], []byte("end"))
	done := publishtest.Publish(t, dir, publishtest.Patched("2", publishtest.Image(t, map[string][]byte{"large": b}), 1))
	if len(done.Patches) != 1 || done.Patches[0].Contents != 1 || done.Patches[0].Size > 10<<10 {
		t.Fatalf("patch sets %+v, warnings %q", done.Patches, done.Warnings)
	}
	wantApplied(t, dir, done.Release, "1")
}

// TestPatchedFrom publishes after releases from which no patch set, or only one, can lead.
func TestPatchedFrom(t *testing.T) {
	trees := publishtest.Steps()
	v1, _ := publishtest.Kernels()
	dir := t.TempDir()
	image1, image2 := publishtest.Image(t, trees[0]), publishtest.Image(t, trees[1])
	publishtest.Publish(t, dir, publishtest.Patched("1", image1, 3))
	publishtest.Publish(t, dir, publishtest.Raw(t, "raw", v1))
	check := func(done *publish.Result, previous string, from ...string) {
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
	check(publishtest.Publish(t, dir, publishtest.Patched("a", image2, 1)), "raw")
	// and none from 1, the same image
	check(publishtest.Publish(t, dir, publishtest.Patched("b", image1, 3)), "a", "a")
	// a is the same, raw is none
	check(publishtest.Publish(t, dir, publishtest.Patched("c", image2, 3)), "b", "b")
	check(publishtest.Publish(t, dir, publishtest.Patched("d", image1, 0)), "c")
	p := publishtest.Patched("e", image2, 3)
	p.Channel = ""
	check(publishtest.Publish(t, dir, p), "")
	// A channel that was set back to 1, published anew after its release file was lost: a loop.
	if err := os.Remove(filepath.Join(dir, mirror.ReleasePath("1"))); err != nil {
		t.Fatal(err)
	}
	check(publishtest.Publish(t, dir, publishtest.Patched("1", image1, 64)), "d", "c")
	check(publishtest.Publish(t, dir, publishtest.Patched("2", publishtest.Image(t, trees[2]), 64)), "1", "1", "c")
	publishtest.WantSound(t, dir)
}

// TestPatchFromDamage damages what a patch set would lead from, each file of the mirror in turn.
func TestPatchFromDamage(t *testing.T) {
	trees := publishtest.Steps()
	whole := t.TempDir()
	publishtest.Publish(t, whole, publishtest.Tree("1", publishtest.Image(t, trees[0])))
	p := publishtest.Patched("2", publishtest.Image(t, trees[1]), 3)
	warned := 0
	for name, b := range publishtest.Snapshot(t, whole) {
		dir := publishtest.Copy(t, whole)
		damaged := publishtest.Flip([]byte(b), len(b)/2)
		if strings.HasPrefix(name, "packs/") {
			damaged = publishtest.Flip([]byte(b), len(b)/3) // in a frame: a publisher refuses a damaged table
		}
		mirrortest.WriteFile(t, filepath.Join(dir, name), damaged)
		done, err := publish.Add(t.Context(), folder.At(dir), p)
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
		if (len(done.Warnings) == 0) != (made && !strings.HasPrefix(name, "blockmaps/")) || strings.HasPrefix(name, "blockmaps/") && !made {
			t.Errorf("%s damaged: patches %+v, warnings %q", name, done.Release.Patches, done.Warnings)
		}
		for _, r := range publishtest.Check(t, dir).Damaged {
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
	trees := publishtest.Steps()
	dir := t.TempDir()
	publishtest.Publish(t, dir, publishtest.Tree("1", publishtest.Image(t, trees[0])))
	for _, at := range []publish.Stage{publish.StagePatch, publish.StageProve} {
		ctx, cancel := context.WithCancel(t.Context())
		p := publishtest.Patched("2", publishtest.Image(t, trees[1]), 3)
		p.Progress = func(p publish.Progress) {
			if p.Stage == at {
				cancel()
			}
		}
		if _, err := publish.Add(ctx, folder.At(dir), p); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled at %s: %v", at, err)
		}
		cancel()
		if _, err := os.Stat(filepath.Join(dir, mirror.ReleasePath("2"))); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("cancelled at %s, and published: %v", at, err)
		}
		publishtest.WantSound(t, dir)
	}
}
