package apply_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/faultserver"
	"deltaup/internal/test/kerneltest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
	"deltaup/mirror/serve"
)

// TestPullUKI pulls a unified kernel image bit for bit: by a patch set, whether the older one was
// taken apart, in part, or published as it is, and without an older one.
func TestPullUKI(t *testing.T) {
	for _, tt := range []struct {
		name string
		pack func(files map[string][]byte) []byte // the older one's initrd
		raw  bool
	}{
		{"taken apart", cpiotest.Root, false},
		{"in part", cpiotest.Initrd, false},
		{"as it is", cpiotest.Initrd, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := &kernelTarget{target: newTarget(t), file: filepath.Join(t.TempDir(), "uki.efi")}
			plain := bytes.Repeat(noise(610, 40<<10), 9)
			dir := t.TempDir()
			for i, image := range k.w.image {
				copy(plain[200<<10:], []string{"one", "two"}[i])
				pack := []func(files map[string][]byte) []byte{tt.pack, cpiotest.Root}[i]
				k.kernels[i] = kerneltest.UKI(1,
					kerneltest.Section{Name: ".initrd", Data: pack(growingInitrd(i + 1))},
					kerneltest.Section{Name: ".linux", Data: kerneltest.BzImage(byte(i), plain)})
				path := filepath.Join(dir, "kernel")
				if err := os.WriteFile(path, k.kernels[i], 0o644); err != nil {
					t.Fatal(err)
				}
				done, err := publish.Add(t.Context(), folder.At(filepath.Join(dir, "mirror")), publish.Publication{
					Version: string(rune('1' + i)), Channel: "stable", Image: image, PatchFrom: 1,
					Artifacts: []publish.File{{Name: mirror.KernelName, Path: path, Raw: tt.raw && i == 0}},
				})
				if err != nil {
					t.Fatal(err)
				}
				a := done.Release.Artifact(mirror.KernelName)
				if (a.Kind == "uki") != (!tt.raw || i == 1) || len(a.Patches) != i {
					t.Fatalf("published as %+v, warnings %q", a, done.Warnings)
				}
				if i == 1 {
					k.set = a.Patches[0].Set
				}
			}
			k.server = faultserver.New(t, serve.Handler(filepath.Join(dir, "mirror")))
			k.urls = []string{k.server.URL}
			k.with = func(r *apply.Request) {
				r.Outputs, r.Optimize = map[string]string{mirror.KernelName: k.file}, delta.ForBytes
			}
			k.pullKernel(t, k.kernels[0])
			if k.server.Requests(mirror.PatchPath(k.set.ID)) != 1 || k.server.Requests("packs/") > 0 || len(k.warnings) > 0 {
				t.Errorf("%d requests for the set, %d for packs, warnings %q",
					k.server.Requests(mirror.PatchPath(k.set.ID)), k.server.Requests("packs/"), k.warnings)
			}
			k.pullKernel(t, nil)
			if len(k.warnings) > 0 {
				t.Errorf("without an old one: warnings %q", k.warnings)
			}
		})
	}
}

// TestPullOtherKind pulls a unified kernel image by a set from the plain kernel before it, whether
// that was taken apart or published as it is, and a plain kernel by one from a unified kernel
// image.
func TestPullOtherKind(t *testing.T) {
	uki := func(kernel []byte) []byte {
		return kerneltest.UKI(1, kerneltest.Section{Name: ".linux", Data: kernel})
	}
	plain := bytes.Repeat(noise(611, 40<<10), 9)
	first := kerneltest.BzImage(1, plain)
	copy(plain[200<<10:], "changed")
	second := kerneltest.BzImage(2, plain)
	for _, tt := range []struct {
		name     string
		old, new []byte
		raw      bool
	}{
		{"to a UKI", first, uki(second), false},
		{"to a kernel", uki(first), second, false},
		{"from a raw kernel", first, uki(second), true},
		{"from a raw UKI", uki(first), second, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := newKernelTargetOf(t, [2][]byte{tt.old, tt.new}, [2]publish.File{{Raw: tt.raw}})
			if k.set.Size > 4000 { // the stub has 2000 bytes of noise
				t.Errorf("a set of %d bytes", k.set.Size)
			}
			k.pullKernel(t, k.kernels[0])
			if k.server.Requests(mirror.PatchPath(k.set.ID)) == 0 || k.server.Requests("packs/") > 0 || len(k.warnings) > 0 {
				t.Errorf("%d requests for the set, %d for packs, warnings %q",
					k.server.Requests(mirror.PatchPath(k.set.ID)), k.server.Requests("packs/"), k.warnings)
			}
			k.pullKernel(t, nil)
		})
	}
}

// TestPullInitrdFromUKI pulls a kernel and an initrd, each by a set from the unified kernel image
// that both were in.
func TestPullInitrdFromUKI(t *testing.T) {
	plain := bytes.Repeat(noise(612, 40<<10), 9)
	k := &kernelTarget{target: newTarget(t), file: filepath.Join(t.TempDir(), "kernel")}
	dir := t.TempDir()
	initrd := filepath.Join(dir, "initrd")
	k.kernels[0] = kerneltest.UKI(1,
		kerneltest.Section{Name: ".initrd", Data: cpiotest.Root(growingInitrd(1))},
		kerneltest.Section{Name: ".linux", Data: kerneltest.BzImage(1, plain)})
	copy(plain[200<<10:], "changed")
	k.kernels[1] = kerneltest.BzImage(2, plain)
	var made *mirror.Artifact
	for i, image := range k.w.image {
		path := filepath.Join(dir, "kernel")
		if err := os.WriteFile(path, k.kernels[i], 0o644); err != nil {
			t.Fatal(err)
		}
		p := publish.Publication{
			Version: string(rune('1' + i)), Channel: "stable", Image: image, PatchFrom: 1,
			Artifacts: []publish.File{{Name: mirror.KernelName, Path: path}},
		}
		if i == 1 {
			if err := os.WriteFile(initrd, cpiotest.Initrd(growingInitrd(2)), 0o644); err != nil {
				t.Fatal(err)
			}
			p.Artifacts = append(p.Artifacts, publish.File{Name: mirror.InitrdName, Path: initrd})
		}
		done, err := publish.Add(t.Context(), folder.At(filepath.Join(dir, "mirror")), p)
		if err != nil {
			t.Fatal(err)
		}
		if made = done.Release.Artifact(mirror.InitrdName); (made != nil) != (i == 1) || len(done.Warnings) > 0 {
			t.Fatalf("published %+v, warnings %q", made, done.Warnings)
		}
	}
	if len(made.Patches) != 1 || made.Patches[0].File != chunkstore.Sum(k.kernels[0]) {
		t.Fatalf("patch sets to the initrd: %+v", made.Patches)
	}
	k.server = faultserver.New(t, serve.Handler(filepath.Join(dir, "mirror")))
	k.urls = []string{k.server.URL}
	out := filepath.Join(t.TempDir(), "initrd")
	k.with = func(r *apply.Request) {
		r.Outputs, r.Optimize = map[string]string{mirror.KernelName: k.file, mirror.InitrdName: out}, delta.ForBytes
	}
	k.pullKernel(t, k.kernels[0])
	if chunkstore.Sum(readFile(t, out)) != made.ID {
		t.Error("the file is not the initrd that was published")
	}
	if k.server.Requests(mirror.PatchPath(made.Patches[0].Set.ID)) == 0 || k.server.Requests("packs/") > 0 || len(k.warnings) > 0 {
		t.Errorf("%d requests for the set, %d for packs, warnings %q",
			k.server.Requests(mirror.PatchPath(made.Patches[0].Set.ID)), k.server.Requests("packs/"), k.warnings)
	}

	// by itself, with the unified kernel image as a seed
	seed := filepath.Join(dir, "old.efi")
	if err := errors.Join(os.WriteFile(seed, k.kernels[0], 0o644), os.Remove(out)); err != nil {
		t.Fatal(err)
	}
	k.with = func(r *apply.Request) {
		r.Outputs, r.Optimize = map[string]string{mirror.InitrdName: out}, delta.ForBytes
		r.Seeds = append(r.Seeds, seed)
	}
	k.server.Reset()
	k.state = filepath.Join(t.TempDir(), "state")
	k.mustPull()
	if chunkstore.Sum(readFile(t, out)) != made.ID || k.server.Requests("packs/") > 0 || len(k.warnings) > 0 {
		t.Errorf("by itself: %d requests for packs, warnings %q", k.server.Requests("packs/"), k.warnings)
	}
}
