package publish_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/delta/transform/xzutils"
	"deltaup/internal/test/kerneltest"
	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/check"
	"deltaup/mirror/folder"
)

// zstdKernel is a kernel that is packed with zstd; unpacked it has more than 16 MiB.
func zstdKernel(t *testing.T, n int) []byte {
	t.Helper()
	frame, plain := kernelFrame(t, n)
	return kerneltest.Packed(byte(n), frame, len(plain))
}

// xzKernel is the same kernel, packed as xz --check=crc32 --x86 --lzma2=dict=64KiB does.
func xzKernel(t *testing.T, n int) []byte {
	t.Helper()
	p, _, err := xzutils.Parse([]byte{1 | 1<<4 | 1<<6, 8, 2*45 + 3, 0x14, 64, 0, 48, 0, 0})
	if err != nil {
		t.Fatal(err)
	}
	_, plain := kernelFrame(t, n)
	var b bytes.Buffer
	if err := xzutils.Encode(&b, plain, p); err != nil {
		t.Fatal(err)
	}
	return kerneltest.Packed(byte(n), b.Bytes(), len(plain))
}

// kernelFrame is the payload of a kernel, packed with zstd and plain.
func kernelFrame(t *testing.T, n int) (frame, plain []byte) {
	t.Helper()
	frame, err := os.ReadFile(fmt.Sprintf("../../delta/patchset/testdata/kernel-%d.zst", n))
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if plain, err = d.DecodeAll(frame, nil); err != nil {
		t.Fatal(err)
	}
	return frame, plain
}

// TestPublishOtherWay: a check reads the other way to make a kernel beside the image, too.
func TestPublishOtherWay(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	dir := t.TempDir()
	tree, _ := publishtest.Trees()
	image := publishtest.Image(t, tree)
	publishtest.Publish(t, dir, kernelOf(t, "1", image, xzKernel(t, 1)))
	done := publishtest.Publish(t, dir, kernelOf(t, "2", image, xzKernel(t, 2)))
	a := done.Release.Artifact(mirror.KernelName)
	if len(a.Patches) != 1 || len(done.Warnings) > 0 {
		t.Fatalf("published as %+v, warnings %q", a, done.Warnings)
	}
	publishtest.WantSound(t, dir)
	path := dir + "/" + mirror.PatchPath(a.Patches[0].Set.ID)
	set, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	size, err := patchset.HeadSize(set)
	if err != nil {
		t.Fatal(err)
	}
	head, err := patchset.ReadHead(bytes.Clone(set[:size]))
	if err != nil || len(head.Groups) != 3 { // the recipe, the kernel, the kernel otherwise
		t.Fatalf("%d groups, %v", len(head.Groups), err)
	}
	mirrortest.WriteFile(t, path, publishtest.Flip(set, len(set)-1))
	if r := publishtest.Check(t, dir); len(r.Damaged) != 1 {
		t.Errorf("a damaged set: %+v", r.Damaged)
	}
}

// TestPublishStep: the patch set between images has the step from one kernel in them to the next,
// and the same kernel beside the image costs nothing.
func TestPublishStep(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	dir := t.TempDir()
	var size int64
	for i := range 2 {
		tree, _ := publishtest.Trees()
		kernel := zstdKernel(t, i+1)
		size = int64(len(kernel))
		tree[fmt.Sprintf("usr/lib/modules/6.12.%d/vmlinuz", i)] = kernel
		done := publishtest.Publish(t, dir, kernelOf(t, fmt.Sprint(i+1), publishtest.Image(t, tree), kernel))
		a := done.Release.Artifact(mirror.KernelName)
		if a.Kind != "kernel" || a.ID != chunkstore.Sum(kernel) || a.Index != nil || len(done.Warnings) > 0 {
			t.Errorf("published as %+v, warnings %q", a, done.Warnings)
		}
		if i == 0 {
			continue
		}
		if len(a.Patches) != 1 || a.Patches[0].Set.Size > 1000 {
			t.Errorf("the kernel's patch sets: %+v", a.Patches)
		}
		p := done.Release.Patches[0]
		if p.Set.Size > size/2 {
			t.Errorf("a set of %d bytes for a kernel of %d", p.Set.Size, size)
		}
		wantApplied(t, dir, done.Release, "1")

		report, err := check.Mirror(t.Context(), folder.At(dir), check.Options{Deep: true})
		if err != nil || len(report.Damaged) > 0 {
			t.Errorf("damaged: %+v, %v", report.Damaged, err)
		}
		path := dir + "/" + mirror.PatchPath(p.Set.ID)
		set, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		mirrortest.WriteFile(t, path, publishtest.Flip(set, len(set)-1))
		if r := publishtest.Check(t, dir); len(r.Damaged) != 1 {
			t.Errorf("a damaged set: %+v", r.Damaged)
		}
	}
}
