package apply_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/internal/test/faultserver"
	"deltaup/internal/test/kerneltest"
	"deltaup/mirror/publish"
)

// TestPullKernelInImage: a kernel that is a file of the image costs nothing beside it. It needs
// neither a set nor a recipe, with an old kernel and without, also when the image comes by patches
// and nobody knows its files' ids before they are made.
func TestPullKernelInImage(t *testing.T) {
	for _, name := range []string{
		"usr/lib/lib0.so", // changed in place
		"usr/bin/new",     // another one
	} {
		t.Run(name, func(t *testing.T) {
			kernels := [2][]byte{system(1)[name], system(2)[name]}
			k := newKernelTargetOf(t, kernels, [2]publish.File{})
			k.seeds = []string{k.w.image[0]}
			with := k.with
			k.with = func(r *apply.Request) { r.Optimize = delta.ForBytes }
			k.mustPull()
			alone := asked(k.server)
			k.with = with
			for _, old := range [][]byte{nil, kernels[0], kerneltest.BzImage(7, noise(602, 50<<10))} {
				k.pullKernel(t, old)
				if got := asked(k.server); !slices.Equal(got, alone) {
					t.Errorf("asked for %q, and without a kernel for %q", got, alone)
				}
			}
			for _, route := range []delta.Route{"chunks", "whole"} {
				k.with = func(r *apply.Request) { with(r); r.Route = route }
				k.pullKernel(t, nil)
			}
		})
	}
}

// asked lists the files that a server was asked for, sorted.
func asked(s *faultserver.Server) (list []string) {
	for _, r := range s.Log() {
		list = append(list, r.Path)
	}
	slices.Sort(list)
	return list
}

// TestPullKernelAlone pulls a kernel that is a file of the image without the image.
func TestPullKernelAlone(t *testing.T) {
	const name = "usr/lib/lib0.so"
	k := newKernelTargetOf(t, [2][]byte{system(1)[name], system(2)[name]}, [2]publish.File{})
	with := k.with
	k.with = func(r *apply.Request) { with(r); r.Slot = nil }
	for _, seeds := range [][]string{nil, {k.w.image[0]}, {k.w.image[1]}} {
		k.seeds, k.state = seeds, filepath.Join(t.TempDir(), "state")
		if err := os.RemoveAll(k.file); err != nil {
			t.Fatal(err)
		}
		if _, _, err := k.pull(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(readFile(t, k.file), k.kernels[1]) {
			t.Error("the file is not the kernel that was published")
		}
	}
}
