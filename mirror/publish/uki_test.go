package publish_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/kerneltest"
	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/publish"
)

// ukiFile makes a unified kernel image, a little different with each version.
func ukiFile(version int, initrd []byte) []byte {
	plain := bytes.Repeat(mirrortest.Noise(70, 50<<10), 8)
	copy(plain[100_000*version:], "changed")
	return kerneltest.UKI(1, kerneltest.Section{Name: ".linux", Data: kerneltest.BzImage(byte(version), plain)},
		kerneltest.Section{Name: ".initrd", Data: initrd})
}

// TestPublishUKI publishes unified kernel images: what is published is the file, and sets lead to
// the third from both others, also when the initrd cannot be made again.
func TestPublishUKI(t *testing.T) {
	v1, _ := publishtest.Trees()
	image := publishtest.Image(t, v1)
	for name, pack := range map[string]func(files map[string][]byte) []byte{"whole": cpiotest.Root, "partial": cpiotest.Initrd} {
		dir := t.TempDir()
		for i := range 3 {
			// random, so that nothing but a base makes a set small
			own := mirrortest.Noise(uint64(71), 60<<10)
			copy(own[9000*(i+1):], "changed")
			file := ukiFile(i, pack(map[string][]byte{"bin/big": v1["bin/big"], "own": own}))
			done := publishtest.Publish(t, dir, kernelOf(t, fmt.Sprint(i+1), image, file))
			a := done.Release.Artifact(mirror.KernelName)
			if a.Kind != "uki" || a.ID != chunkstore.Sum(file) || a.Recipe == nil || len(a.Patches) != min(i, 2) {
				t.Fatalf("%s: published as %+v, warnings %q", name, a, done.Warnings)
			}
			told := strings.Contains(strings.Join(done.Warnings, ""), ".initrd stays as it is")
			if told != (name == "partial") || len(done.Warnings) > 1 {
				t.Errorf("%s: warnings %q", name, done.Warnings)
			}
			for _, p := range a.Patches {
				if name == "whole" && p.Set.Size > 2500 {
					t.Errorf("%s: a set of %d bytes", name, p.Set.Size)
				}
			}
		}
		if r := publishtest.WantSound(t, dir); len(r.Unreferenced) != 0 {
			t.Errorf("%s: unreferenced: %q", name, r.Unreferenced)
		}
	}
}

// TestPublishUKIAfterRaw: sets lead from one that was published as it is, also to a kernel, and
// from there back.
func TestPublishUKIAfterRaw(t *testing.T) {
	v1, _ := publishtest.Trees()
	image := publishtest.Image(t, v1)
	dir := t.TempDir()
	plain := bytes.Repeat(mirrortest.Noise(70, 50<<10), 8)
	own := mirrortest.Noise(72, 20<<10)
	for i, tt := range []struct {
		file []byte
		kind string
		most int64 // bytes of a set
	}{
		{ukiFile(0, cpiotest.Root(v1)), mirror.KindRaw, 0},
		{ukiFile(1, cpiotest.Root(v1)), "uki", 2500},
		{kerneltest.BzImage(3, plain), "kernel", 2500},
		{ukiFile(2, cpiotest.Root(map[string][]byte{"bin/big": v1["bin/big"], "own": own})), "uki", 25_000},
	} {
		p := kernelOf(t, fmt.Sprint(i+1), image, tt.file)
		p.Artifacts[0].Raw = tt.kind == mirror.KindRaw
		done := publishtest.Publish(t, dir, p)
		a := done.Release.Artifact(mirror.KernelName)
		if a.Kind != tt.kind || len(a.Patches) != min(i, p.PatchFrom) || len(done.Warnings) > 0 {
			t.Errorf("published as %+v, warnings %q", a, done.Warnings)
		}
		for _, p := range a.Patches {
			if p.Set.Size > tt.most {
				t.Errorf("a set from %s to %s of %d bytes", p.From, tt.kind, p.Set.Size)
			}
		}
	}
	publishtest.WantSound(t, dir)
}

// TestPublishInitrdFromUKI: a set leads to an initrd from the unified kernel image that it was in.
func TestPublishInitrdFromUKI(t *testing.T) {
	v1, _ := publishtest.Trees()
	image := publishtest.Image(t, v1)
	dir := t.TempDir()
	own := mirrortest.Noise(73, 60<<10)
	publishtest.Publish(t, dir, kernelOf(t, "1", image, ukiFile(0, cpiotest.Root(map[string][]byte{"etc/v1/own": own}))))
	copy(own[9000:], "changed")
	p := kernelOf(t, "2", image, kerneltest.BzImage(1, own))
	p.Artifacts = append(p.Artifacts, publish.File{
		Name: mirror.InitrdName,
		Path: mirrortest.WriteFile(t, filepath.Join(t.TempDir(), "initrd"), cpiotest.Initrd(map[string][]byte{"etc/v2/own": own})),
	})
	done := publishtest.Publish(t, dir, p)
	a := done.Release.Artifact(mirror.InitrdName)
	if a.Kind != "initrd" || len(a.Patches) != 1 || a.Patches[0].Set.Size > 2500 || len(done.Warnings) > 0 {
		t.Errorf("published as %+v, warnings %q", a, done.Warnings)
	}
	path := dir + "/" + mirror.PatchPath(a.Patches[0].Set.ID)
	publishtest.WantSound(t, dir)
	set, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	mirrortest.WriteFile(t, path, publishtest.Flip(set, len(set)-1))
	if r := publishtest.Check(t, dir); len(r.Damaged) != 1 {
		t.Errorf("a damaged set: %+v", r.Damaged)
	}
}
