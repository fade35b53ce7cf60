// Package publishtest makes, publishes and checks the small releases that several packages test
// with.
package publishtest

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/mirrortest"
	"deltaup/mirror"
	"deltaup/mirror/check"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
	"deltaup/mkimage"
	"deltaup/mkimage/rootfs"
)

// PackSize makes even small releases have several packs.
const PackSize = 100 << 10

// Trees are two versions of a small tree: with holes, fragments, a file that changes in
// its middle and one that does not.
func Trees() (v1, v2 map[string][]byte) {
	big := mirrortest.Noise(10, 500<<10)
	v1 = map[string][]byte{
		"bin/big":    big,
		"bin/same":   mirrortest.Noise(11, 300<<10),
		"etc/small":  []byte("one\n"),
		"etc/empty":  nil,
		"var/sparse": append(make([]byte, 2<<20), mirrortest.Noise(12, 10<<10)...),
		"var/zeroes": make([]byte, 1<<20),
	}
	v2 = map[string][]byte{}
	for name, b := range v1 {
		v2[name] = b
	}
	v2["bin/big"] = append(append(bytes.Clone(big[:200<<10]), mirrortest.Noise(13, 5000)...), big[200<<10:]...)
	v2["etc/small"] = []byte("two\n")
	return v1, v2
}

// Kernels are two versions of a file that share most chunks.
func Kernels() (v1, v2 []byte) {
	v1 = mirrortest.Noise(1, 600<<10)
	v2 = slices.Concat(v1[:250<<10], mirrortest.Noise(2, 1000), v1[251<<10:])
	return v1, v2
}

// Steps are three versions of a rootfs.
func Steps() []map[string][]byte {
	t1, t2 := Trees()
	t3 := map[string][]byte{}
	for name, b := range t2 {
		t3[name] = b
	}
	t3["bin/big"] = append(bytes.Clone(t2["bin/big"]), mirrortest.Noise(15, 3000)...)
	t3["etc/third"] = []byte("three\n")
	return []map[string][]byte{t1, t2, t3}
}

// Image makes a squashfs image, with its recipe beside it, of a folder with these files.
func Image(t testing.TB, files map[string][]byte) (path string) {
	t.Helper()
	root := t.TempDir()
	for name, b := range files {
		mirrortest.WriteFile(t, filepath.Join(root, name), b)
	}
	clamp := uint32(1_000_000_000)
	tr, err := rootfs.FromFolder(t.Context(), root, rootfs.Options{Owner: &rootfs.Owner{}, Clamp: &clamp})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	r, src, err := mkimage.NewRecipe(t.Context(), tr, mkimage.Options{Level: "fastest"})
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "image.squashfs")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := mkimage.Build(t.Context(), r, src, f, mkimage.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	var recipe bytes.Buffer
	if _, err := r.WriteTo(&recipe); err != nil {
		t.Fatal(err)
	}
	mirrortest.WriteFile(t, path+publish.RecipeSuffix, recipe.Bytes())
	return path
}

// Raw publishes files made of bytes.
func Raw(t testing.TB, version string, artifacts ...[]byte) publish.Publication {
	t.Helper()
	p := publish.Publication{Version: version, Channel: "stable", PackSize: PackSize}
	dir := t.TempDir()
	for i, b := range artifacts {
		name := []string{mirror.ImageName, mirror.KernelName, mirror.InitrdName}[i]
		p.Artifacts = append(p.Artifacts, publish.File{Name: name, Path: mirrortest.WriteFile(t, filepath.Join(dir, name), b)})
	}
	return p
}

// Tree publishes an image on stable.
func Tree(version, image string) publish.Publication {
	return publish.Publication{Version: version, Channel: "stable", Image: image, PackSize: PackSize}
}

// Patched is Tree with patch sets from so many releases before it.
func Patched(version, image string, from int) publish.Publication {
	p := Tree(version, image)
	p.PatchFrom = from
	return p
}

// Initrd publishes an image with an initrd of two of its files and two more, which are a
// little different in each version.
func Initrd(t testing.TB, version string, files map[string][]byte) (p publish.Publication, own []byte) {
	t.Helper()
	own = mirrortest.Noise(40, 70<<10)
	copy(own[30<<10:], version)
	p = Tree(version, Image(t, files))
	p.Artifacts = []publish.File{{Name: mirror.InitrdName, Path: mirrortest.WriteFile(t, filepath.Join(t.TempDir(), "initrd"), cpiotest.Initrd(map[string][]byte{
		"init": []byte("#!/bin/sh\n" + version), "bin/big": files["bin/big"], "etc/small": files["etc/small"], "own": own,
	}))}}
	return p, own
}

// TwoReleases makes a mirror of two releases with an image, an initrd and a raw artifact each, and
// patch sets that lead from the first to the second; stable points to the second, old to the first.
func TwoReleases(t testing.TB) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t1, t2 := Trees()
	k1, k2 := Kernels()
	for i, files := range []map[string][]byte{t1, t2} {
		p, _ := Initrd(t, fmt.Sprint(i+1), files)
		p.PatchFrom = 1
		p.Artifacts = append(p.Artifacts, publish.File{Name: mirror.KernelName, Path: mirrortest.WriteFile(t, filepath.Join(t.TempDir(), "k"), [][]byte{k1, k2}[i])})
		p.Compatible = "machine"
		Publish(t, dir, p)
		if i == 0 {
			p.Channel = "old"
			Publish(t, dir, p)
		}
	}
	return dir
}

// Publish adds a release to the mirror in dir.
func Publish(t testing.TB, dir string, p publish.Publication) *publish.Result {
	t.Helper()
	done, err := publish.Add(t.Context(), folder.At(dir), p)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// Check reads the mirror in dir.
func Check(t testing.TB, dir string) *check.Report {
	t.Helper()
	r, err := check.Mirror(t.Context(), folder.At(dir), check.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// WantSound fails the test when a mirror is damaged.
func WantSound(t testing.TB, dir string) *check.Report {
	t.Helper()
	r := Check(t, dir)
	for _, d := range r.Damaged {
		t.Errorf("%s: %s", d.Name, d.What)
	}
	return r
}

// Snapshot reads all files of a mirror but the lock.
func Snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == mirror.LockName {
			return err
		}
		b, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, dir+"/")] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Names are the names of a snapshot's files, sorted.
func Names(files map[string]string) []string {
	var list []string
	for name := range files {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// Copy copies a mirror.
func Copy(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "mirror")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// Flip is b with one bit of byte i changed.
func Flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0x04
	return b
}

// Marshal encodes a release or a pointer.
func Marshal(t testing.TB, v interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	b, err := v.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
