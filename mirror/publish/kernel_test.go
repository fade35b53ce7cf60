package publish_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/kerneltest"
	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/publish"
)

// kernelOf publishes an image with a kernel.
func kernelOf(t *testing.T, version, image string, kernel []byte) publish.Publication {
	t.Helper()
	p := publishtest.Patched(version, image, 2)
	path := mirrortest.WriteFile(t, filepath.Join(t.TempDir(), "vmlinuz"), kernel)
	p.Artifacts = []publish.File{{Name: mirror.KernelName, Path: path}}
	return p
}

// TestPublishKernel publishes three kernels: what is published is the file, and sets lead to the
// third from both others.
func TestPublishKernel(t *testing.T) {
	dir := t.TempDir()
	v1, _ := publishtest.Trees()
	image := publishtest.Image(t, v1)
	plain := bytes.Repeat(mirrortest.Noise(60, 50<<10), 8)
	var last *publish.Result
	for i := range 3 {
		plain = bytes.Clone(plain)
		copy(plain[100_000*(i+1):], "changed")
		file := kerneltest.BzImage(byte(i), plain)
		p := kernelOf(t, fmt.Sprint(i+1), image, file)
		last = publishtest.Publish(t, dir, p)
		a := last.Release.Artifact(mirror.KernelName)
		if a.Kind != "kernel" || a.ID != chunkstore.Sum(file) || a.Recipe == nil || a.Index == nil {
			t.Fatalf("published as %+v", a)
		}
		if len(a.Patches) != i || len(last.Warnings) > 0 {
			t.Fatalf("patch sets %+v, warnings %q", a.Patches, last.Warnings)
		}
		if again := publishtest.Publish(t, dir, p); !again.Existed {
			t.Error("the same kernel is not known again")
		}
	}
	for _, p := range last.Release.Artifact(mirror.KernelName).Patches {
		if p.Set.Size > 1000 {
			t.Errorf("from %s: %d bytes", p.From, p.Set.Size)
		}
	}
	if r := publishtest.WantSound(t, dir); len(r.Unreferenced) != 0 {
		t.Errorf("unreferenced: %q", r.Unreferenced)
	}
	a := last.Release.Artifact(mirror.KernelName)
	wantMissingSeen(t, dir, kernelOf(t, "3", image, kerneltest.BzImage(2, plain)), mirror.RecipePath(a.Recipe.ID))
	b, err := os.ReadFile(filepath.Join(dir, mirror.RecipePath(a.Recipe.ID)))
	if err != nil {
		t.Fatal(err)
	}
	mirrortest.WriteFile(t, filepath.Join(dir, mirror.RecipePath(a.Recipe.ID)), publishtest.Flip(b, len(b)/2))
	if r := publishtest.Check(t, dir); len(r.Damaged) == 0 {
		t.Error("a damaged recipe is not found")
	}
}

// TestPublishKernelOfImage: a kernel of any kind that is a file of the image has nothing of its
// own.
func TestPublishKernelOfImage(t *testing.T) {
	dir := t.TempDir()
	for i := range 2 {
		tree, _ := publishtest.Trees()
		file := mirrortest.Noise(uint64(62+i), 200<<10)
		tree["usr/lib/modules/6.12.1/vmlinuz"] = file
		done := publishtest.Publish(t, dir, kernelOf(t, fmt.Sprint(i+1), publishtest.Image(t, tree), file))
		a := done.Release.Artifact(mirror.KernelName)
		if a.Kind != "kernel" || a.ID != chunkstore.Sum(file) || a.Index != nil || len(a.Patches) != i || len(done.Warnings) > 0 {
			t.Errorf("published as %+v, warnings %q", a, done.Warnings)
		}
		if i == 1 && a.Patches[0].Set.Size > 1000 {
			t.Errorf("a patch set of %d bytes", a.Patches[0].Set.Size)
		}
	}
	publishtest.WantSound(t, dir)
}

// TestPublishKernelAsItIs: what is no kernel known here is raw without a word, a kernel that cannot
// be made again with a warning.
func TestPublishKernelAsItIs(t *testing.T) {
	v1, _ := publishtest.Trees()
	image := publishtest.Image(t, v1)
	bzip2 := kerneltest.BzImage(1, []byte("plain"))
	copy(bzip2[bytes.Index(bzip2, []byte("\x02\x21\x4c\x18")):], "BZh91AY")
	for name, tt := range map[string]struct {
		file    []byte
		warning string
	}{"foreign": {mirrortest.Noise(61, 9000), ""}, "bzip2": {bzip2, "no compression known"}} {
		dir := t.TempDir()
		done := publishtest.Publish(t, dir, kernelOf(t, "1", image, tt.file))
		if a := done.Release.Artifact(mirror.KernelName); a.Kind != mirror.KindRaw || a.ID != chunkstore.Sum(tt.file) {
			t.Errorf("%s: published as %+v", name, a)
		}
		if (len(done.Warnings) > 0) != (tt.warning != "") || !strings.Contains(strings.Join(done.Warnings, ""), tt.warning) {
			t.Errorf("%s: warnings %q", name, done.Warnings)
		}
		wantRaw(t, dir, "1", mirror.KernelName, tt.file)
		publishtest.WantSound(t, dir)
	}
	p := kernelOf(t, "1", image, kerneltest.BzImage(1, []byte("plain")))
	p.Artifacts[0].Raw = true
	done := publishtest.Publish(t, t.TempDir(), p)
	if a := done.Release.Artifact(mirror.KernelName); a.Kind != mirror.KindRaw || len(done.Warnings) > 0 {
		t.Errorf("wanted raw, published as %+v, warnings %q", a, done.Warnings)
	}
}

// TestPublishAfterRaw: a set leads from a kernel that was published as it is, since targets take it
// apart, too.
func TestPublishAfterRaw(t *testing.T) {
	v1, _ := publishtest.Trees()
	image := publishtest.Image(t, v1)
	dir := t.TempDir()
	plain := bytes.Repeat(mirrortest.Noise(63, 50<<10), 8)
	p := kernelOf(t, "1", image, kerneltest.BzImage(1, plain))
	p.Artifacts[0].Raw = true
	publishtest.Publish(t, dir, p)
	foreign := kernelOf(t, "2", image, mirrortest.Noise(64, 9000))
	publishtest.Publish(t, dir, foreign)
	copy(plain[90_000:], "changed")
	done := publishtest.Publish(t, dir, kernelOf(t, "3", image, kerneltest.BzImage(2, plain)))
	a := done.Release.Artifact(mirror.KernelName)
	if a.Kind != "kernel" || len(a.Patches) != 1 || a.Patches[0].From != "1" || a.Patches[0].Set.Size > 1000 {
		t.Errorf("published as %+v", a)
	}
	if len(done.Warnings) != 1 || !strings.Contains(done.Warnings[0], "from the kernel of 2: ") {
		t.Errorf("warnings %q", done.Warnings)
	}
	if r := publishtest.WantSound(t, dir); len(r.Unreferenced) != 0 {
		t.Errorf("unreferenced: %q", r.Unreferenced)
	}
}

// TestPublishFallback: the kernel itself is on the mirror, too, unless the image has it.
func TestPublishFallback(t *testing.T) {
	v1, _ := publishtest.Trees()
	file := kerneltest.BzImage(1, mirrortest.Noise(65, 90<<10))
	for _, inside := range []bool{false, true} {
		if inside {
			v1["vmlinuz"] = file
		}
		dir := t.TempDir()
		p := kernelOf(t, "1", publishtest.Image(t, v1), file)
		p.Artifacts[0].Fallback = true
		a := publishtest.Publish(t, dir, p).Release.Artifact(mirror.KernelName)
		if a.Kind != "kernel" || (a.Index == nil) != inside {
			t.Fatalf("published as %+v", a)
		}
		if r := publishtest.WantSound(t, dir); len(r.Unreferenced) != 0 {
			t.Errorf("unreferenced: %q", r.Unreferenced)
		}
		if inside {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, mirror.IndexPath(a.Index.ID)))
		if err != nil {
			t.Fatal(err)
		}
		x, err := chunkstore.ParseIndex(b)
		if err != nil || len(x.Raw) != 1 || x.Raw[0].Name != mirror.KernelName || x.Raw[0].Content.ID != a.ID {
			t.Errorf("index %+v, %v", x, err)
		}
	}
}
