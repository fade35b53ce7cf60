package apply_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/delta/patchset"
	"deltaup/internal/durable"
	"deltaup/internal/test/faultserver"
	"deltaup/internal/test/kerneltest"
	"deltaup/mirror"
	"deltaup/mirror/publish"
)

// inUKI puts a kernel into a unified kernel image. What else is in that makes a patch set so large
// that it does not come whole.
func inUKI(seed uint64, kernel []byte) []byte {
	return kerneltest.UKI(1, kerneltest.Section{Name: ".linux", Data: kernel},
		kerneltest.Section{Name: ".more", Data: noise(seed, 300<<10)})
}

// kernelWayTarget is a target of two kernels, the second with another way to make it, as the last
// group of the patch set.
func kernelWayTarget(t *testing.T, kernels [2][]byte) (k *kernelTarget, other patchset.GroupRef) {
	t.Helper()
	k = newKernelTargetOf(t, kernels, [2]publish.File{})
	b := readFile(t, filepath.Join(k.dir, mirror.PatchPath(k.set.ID)))
	size, err := patchset.HeadSize(b)
	if err != nil {
		t.Fatal(err)
	}
	head, err := patchset.ReadHead(b[:size])
	if err != nil {
		t.Fatal(err)
	}
	if len(head.Groups) != 4 {
		t.Fatalf("groups %+v", head.Groups)
	}
	k.with = k.enough
	return k, head.Groups[3]
}

// enough wants few bytes of a kernel, with the memory for the other way.
func (k *kernelTarget) enough(r *apply.Request) {
	r.Outputs, r.Memory = map[string]string{mirror.KernelName: k.file}, 600<<20
	r.Optimize, r.Line, r.CPU.Patch = delta.ForBytes, thin, 25e6
}

// byChunks tells whether the kernel came by chunks.
func (k *kernelTarget) byChunks(t *testing.T) bool {
	t.Helper()
	return k.server.Requests(mirror.IndexPath(k.release("2").Artifact(mirror.KernelName).Index.ID)) > 0
}

// TestKernelWays: a target runs the encoder of a kernel beside the image again by the rules that
// hold for one in the image.
func TestKernelWays(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	k, other := kernelWayTarget(t, [2][]byte{inUKI(620, xzKernel(t, 1)), inUKI(621, xzKernel(t, 2))})
	t.Run("choice", func(t *testing.T) { k.testChoice(t, other) })
	t.Run("damaged", func(t *testing.T) { k.testDamaged(t, other) })
	t.Run("wrong", func(t *testing.T) { k.testWrong(t, false) })
	t.Run("both wrong", func(t *testing.T) { k.testWrong(t, true) })
	k.t = t
}

// TestKernelWayFromPlain: so does one that has the plain kernel before it.
func TestKernelWayFromPlain(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	k, other := kernelWayTarget(t, [2][]byte{xzKernel(t, 1), inUKI(620, xzKernel(t, 2))})
	k.pullKernel(t, k.kernels[0])
	if n := k.server.BodyBytes(mirror.PatchPath(k.set.ID)); k.byChunks(t) || len(k.warnings) > 0 ||
		n >= k.set.Size-other.Length {
		t.Errorf("%d bytes of a set of %d, warnings %q", n, k.set.Size, k.warnings)
	}
}

// testChoice: memory, time and bytes decide.
func (k *kernelTarget) testChoice(t *testing.T, other patchset.GroupRef) {
	bytesOf := wayBytes{}
	for _, c := range wayChoices {
		k.with = func(r *apply.Request) {
			k.enough(r)
			c.apply(r)
		}
		k.pullKernel(t, k.kernels[0])
		if k.byChunks(t) || len(k.warnings) > 0 {
			t.Errorf("%s: by chunks: %v; warnings %q", c.name, k.byChunks(t), k.warnings)
		}
		bytesOf.note(t, &c, k.server.BodyBytes(mirror.PatchPath(k.set.ID)))
	}
	if bytesOf[true] >= bytesOf[false] || bytesOf[false] != k.set.Size-other.Length {
		t.Errorf("bytes of the set %v, of %d", bytesOf, k.set.Size)
	}
}

// testDamaged: a target takes the usual way when the group of the other one is damaged on the
// mirror, and chunks when both are.
func (k *kernelTarget) testDamaged(t *testing.T, other patchset.GroupRef) {
	k.with = k.enough
	set := mirror.PatchPath(k.set.ID)
	damage := func(at int64) {
		k.server.Add(faultserver.Rule{Path: set, Fault: faultserver.Flip(at)})
	}
	damage(other.Offset + other.Length/2)
	k.pullKernel(t, k.kernels[0])
	if k.byChunks(t) || len(k.warnings) != 1 {
		t.Errorf("by chunks: %v, warnings %q", k.byChunks(t), k.warnings)
	}
	k.server.Clear()
	k.server.Add(faultserver.Rule{Path: set, Nth: 1, Fault: faultserver.Header("X-None", "")})
	k.server.Add(faultserver.Rule{Path: set, Fault: faultserver.Status(404, 0)}) // but for the head
	k.pullKernel(t, k.kernels[0])
	if !k.byChunks(t) || len(k.warnings) == 0 {
		t.Errorf("by chunks: %v, warnings %q", k.byChunks(t), k.warnings)
	}
	k.server.Clear()
}

// testWrong: when a way gives other bytes than it should, the target takes the usual one, and
// chunks when that does so, too.
func (k *kernelTarget) testWrong(t *testing.T, both bool) {
	var base string // file of the old kernel, which the first way finds changed
	var was []byte
	restore := durable.SetHook(func(a durable.Action) error {
		if a.Op != durable.OpCreate || base != "" {
			return nil
		}
		files, err := filepath.Glob(filepath.Join(k.state, "*", "tmp", "*"))
		for _, path := range files {
			b := readFile(t, path)
			if at := bytes.Index(b, []byte("\xfd7zXZ")); err == nil && at >= 0 {
				base, was = path, b
				err = overwrite(path, int64(at+9000))
			}
		}
		return err
	})
	defer restore()
	var failed error
	k.with = func(r *apply.Request) {
		k.enough(r)
		events := r.Events
		r.Events = func(e apply.Event) {
			if events(e); e.Warning != "" && !both {
				failed = errors.Join(failed, os.WriteFile(base, was, 0o600))
			}
		}
	}
	k.pullKernel(t, k.kernels[0])
	if base == "" || failed != nil {
		t.Fatalf("no base was changed, or it was not changed back: %v", failed)
	}
	want := map[bool]int{false: 1, true: 2}[both]
	if k.byChunks(t) != both || len(k.warnings) != want {
		t.Errorf("by chunks: %v, warnings %q", k.byChunks(t), k.warnings)
	}
}
