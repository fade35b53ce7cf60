package apply_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/test/faultserver"
	"deltaup/internal/test/kerneltest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
	"deltaup/mirror/serve"
)

// kernelTarget is a target whose mirror has the world's images as releases 1 and 2, each with a
// kernel that is taken apart.
type kernelTarget struct {
	*target
	kernels [2][]byte
	set     mirror.Object // leads from the first kernel to the second
	file    string        // where the kernel goes
	dir     string        // the mirror
}

// newKernelTarget makes one, of kernels that are published so.
func newKernelTarget(t *testing.T, how [2]publish.File) *kernelTarget {
	t.Helper()
	var kernels [2][]byte
	plain := bytes.Repeat(noise(600, 40<<10), 9) // lz4 leaves all of it, for the window is longer
	for i := range kernels {
		copy(plain[200<<10:], []string{"one", "two"}[i])
		kernels[i] = kerneltest.BzImage(byte(i), plain)
	}
	return newKernelTargetOf(t, kernels, how)
}

func newKernelTargetOf(t *testing.T, kernels [2][]byte, how [2]publish.File) *kernelTarget {
	t.Helper()
	k := &kernelTarget{target: newTarget(t), kernels: kernels,
		file: filepath.Join(t.TempDir(), "vmlinuz")}
	dir := t.TempDir()
	for i, image := range k.w.image {
		path := filepath.Join(dir, "kernel")
		if err := os.WriteFile(path, k.kernels[i], 0o644); err != nil {
			t.Fatal(err)
		}
		done, err := publish.Add(t.Context(), folder.At(filepath.Join(dir, "mirror")), publish.Publication{
			Version: string(rune('1' + i)), Channel: "stable", Image: image, PatchFrom: 1,
			Artifacts: []publish.File{{Name: mirror.KernelName, Path: path, Raw: how[i].Raw, Fallback: how[i].Fallback}},
		})
		if err != nil {
			t.Fatal(err)
		}
		a := done.Release.Artifact(mirror.KernelName)
		if (a.Kind == "raw") != how[i].Raw || len(a.Patches) != i {
			t.Fatalf("published as %+v, warnings %q", a, done.Warnings)
		}
		if i == 1 {
			k.set = a.Patches[0].Set
		}
	}
	k.dir = filepath.Join(dir, "mirror")
	k.server = faultserver.New(t, serve.Handler(k.dir))
	k.urls = []string{k.server.URL}
	k.with = func(r *apply.Request) {
		r.Outputs, r.Optimize = map[string]string{mirror.KernelName: k.file}, delta.ForBytes
	}
	return k
}

// pullKernel pulls with a file in the kernel's place, nil for none.
func (k *kernelTarget) pullKernel(t *testing.T, old []byte) {
	t.Helper()
	k.t, k.state, k.warnings = t, filepath.Join(t.TempDir(), "state"), nil
	k.server.Reset()
	for _, path := range []string{k.path, k.file} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
	if old != nil {
		if err := os.WriteFile(k.file, old, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	k.mustPull()
	if !bytes.Equal(readFile(t, k.file), k.kernels[1]) {
		t.Error("the file is not the kernel that was published")
	}
}

// TestPullKernel pulls the kernel that was published, bit for bit: by its patch set from an old
// kernel, and by chunks where there is none, or another, or the set is damaged.
func TestPullKernel(t *testing.T) {
	k := newKernelTarget(t, [2]publish.File{})
	cut := k.kernels[0][:len(k.kernels[0])/2]
	other := kerneltest.BzImage(7, noise(601, 50<<10))
	for _, tt := range []struct {
		name   string
		old    []byte
		fault  faultserver.Fault
		set    bool // is asked for
		chunks bool // are needed
	}{
		{"old kernel", k.kernels[0], nil, true, false},
		{"none", nil, nil, false, true},
		{"another", other, nil, false, true},
		{"cut off", cut, nil, false, true},
		{"an initrd", []byte("070701"), nil, false, true},
		{"the same", k.kernels[1], nil, false, false},
		{"damaged set", k.kernels[0], faultserver.Flip(k.set.Size - 3), true, false},
		{"no set", k.kernels[0], faultserver.Status(404, 0), true, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k.server.Clear()
			if tt.fault != nil {
				k.server.Add(faultserver.Rule{Path: mirror.PatchPath(k.set.ID), Fault: tt.fault})
			}
			k.pullKernel(t, tt.old)
			if asked := k.server.Requests(mirror.PatchPath(k.set.ID)) > 0; asked != tt.set {
				t.Errorf("the patch set was asked for: %v", asked)
			}
			if packs := k.server.Requests("packs/") > 0; packs != (tt.chunks || tt.fault != nil) {
				t.Errorf("packs were asked for: %v", packs)
			}
			if told := strings.Contains(strings.Join(k.warnings, "\n"), "patch set of the kernel is given up"); told != (tt.fault != nil) {
				t.Errorf("warnings %q", k.warnings)
			}
			if tt.fault != nil && k.server.BodyBytes("packs/") > 100<<10 {
				t.Errorf("%d bytes of packs: the old kernel's chunks were not used", k.server.BodyBytes("packs/"))
			}
		})
	}
	k.t = t
}

// TestPullKernelAfterRaw pulls a kernel by its patch set from one that was published as it is.
func TestPullKernelAfterRaw(t *testing.T) {
	k := newKernelTarget(t, [2]publish.File{{Raw: true}})
	k.pullKernel(t, k.kernels[0])
	if k.server.Requests(mirror.PatchPath(k.set.ID)) == 0 || k.server.Requests("packs/") > 0 || len(k.warnings) > 0 {
		t.Errorf("%d requests for the set, %d for packs, warnings %q",
			k.server.Requests(mirror.PatchPath(k.set.ID)), k.server.Requests("packs/"), k.warnings)
	}
}

// TestPullKernelFallback pulls a kernel that only a later program can make: as it is, when it was
// published like that too.
func TestPullKernelFallback(t *testing.T) {
	for _, fallback := range []bool{true, false} {
		k := newKernelTarget(t, [2]publish.File{1: {Fallback: fallback}})
		dir := k.dir
		for _, change := range [][2]string{{"codec lz4-9.1\n", "codec lz4-9.2\n"}, {"deltaup-kernel 1\n", "deltaup-kernel 2\n"}} {
			w := altered(t, &world{mirror: dir}, func(r *mirror.Release, put func([]byte, func(chunkstore.ID) string) mirror.Object) {
				a := r.Artifact(mirror.KernelName)
				dec, err := zstd.NewReader(bytes.NewReader(readFile(t, filepath.Join(dir, mirror.RecipePath(a.Recipe.ID)))), zstd.WithDecoderDictRaw(1, nil))
				if err != nil {
					t.Fatal(err)
				}
				defer dec.Close()
				text, err := io.ReadAll(dec)
				if err != nil || !bytes.Contains(text, []byte(change[0])) {
					t.Fatalf("%v\n%s", err, text)
				}
				b, o, err := mirror.EncodeRecipe(bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1))
				if err != nil {
					t.Fatal(err)
				}
				put(b, mirror.RecipePath)
				a.Recipe, a.Patches = &o, nil
			})
			k.server = faultserver.New(t, serve.Handler(w.mirror))
			k.urls = []string{k.server.URL}
			if fallback {
				k.pullKernel(t, k.kernels[0])
				continue
			}
			k.state = filepath.Join(t.TempDir(), "state")
			if _, _, err := k.pull(); !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("%q: error %v", change[1], err)
			}
		}
	}
}

// zstdKernels are two kernels of more than 16 MiB that are packed with zstd.
func zstdKernels(t *testing.T) (kernels [2][]byte) {
	t.Helper()
	for i := range kernels {
		kernels[i] = kerneltest.Packed(byte(i), kernelFrame(t, i+1), len(plainKernel(t, i+1)))
	}
	return kernels
}

// kernelFrame is a kernel of a version, 1 or 2, packed with zstd.
func kernelFrame(t *testing.T, version int) []byte {
	return readFile(t, fmt.Sprintf("../delta/patchset/testdata/kernel-%d.zst", version))
}

// plainKernel is what is in it.
func plainKernel(t *testing.T, version int) []byte {
	t.Helper()
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	plain, err := d.DecodeAll(kernelFrame(t, version), nil)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// TestPullKernelStep pulls a kernel that is packed with zstd: by a step from the old one, or by
// chunks where the step takes more memory than there is, or longer than the line.
func TestPullKernelStep(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	k := newKernelTargetOf(t, zstdKernels(t), [2]publish.File{})
	const patch = 1e6 // bytes per second
	slow, quick := delta.Line{Rate: 10, RTT: time.Millisecond}, delta.Line{Rate: 1e6, RTT: time.Millisecond}
	for _, tt := range []struct {
		name     string
		optimize delta.Optimize
		line     delta.Line
		memory   int64 // 0: what a pull has
		chunks   bool
	}{
		{"bytes", delta.ForBytes, quick, 0, false},
		{"slow line", "", slow, 0, false},
		{"quick line", "", quick, 0, true},
		{"enough memory", delta.ForBytes, quick, 60 << 20, false},
		{"less memory", delta.ForBytes, quick, 30 << 20, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.memory > 0 {
				defer apply.SetStepMemory(tt.memory)()
			}
			k.with = func(r *apply.Request) {
				r.Outputs = map[string]string{mirror.KernelName: k.file}
				r.Optimize, r.Line, r.CPU.Patch = tt.optimize, tt.line, patch
			}
			k.pullKernel(t, k.kernels[0])
			index := k.release("2").Artifact(mirror.KernelName).Index
			if chunks := k.server.Requests(mirror.IndexPath(index.ID)) > 0; chunks != tt.chunks {
				t.Errorf("the kernel came by chunks: %v", chunks)
			}
			if len(k.warnings) > 0 {
				t.Errorf("warnings %q", k.warnings)
			}
		})
	}
	k.t = t
}
