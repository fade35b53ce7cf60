// Package mirrortest makes what tests publish: bytes that do not compress, folders of files, and
// images of folders.
package mirrortest

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"deltaup/mkimage"
	"deltaup/mkimage/rootfs"
)

// Noise gives n bytes that do not compress. They depend on the low 16 bits of seed.
func Noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(p) // never fails
	return p
}

// WriteFiles writes files, by path, below a folder.
func WriteFiles(folder string, files map[string][]byte) error {
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Image makes an image of a folder with a compression level of mkimage, and its recipe beside it.
// The same files give the same bytes.
func Image(ctx context.Context, folder, image, level string) error {
	return ImageOf(ctx, folder, image, mkimage.Options{Level: level})
}

// ImageOf is Image with other options.
func ImageOf(ctx context.Context, folder, image string, o mkimage.Options) error {
	clamp := uint32(1_700_000_000)
	t, err := rootfs.FromFolder(ctx, folder, rootfs.Options{Owner: &rootfs.Owner{}, Clamp: &clamp})
	if err != nil {
		return err
	}
	defer t.Close()
	r, src, err := mkimage.NewRecipe(ctx, t, o)
	if err != nil {
		return err
	}
	out, err := os.Create(image)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := mkimage.Build(ctx, r, src, out, mkimage.BuildOptions{}); err != nil {
		return err
	}
	var text bytes.Buffer
	if _, err := r.WriteTo(&text); err != nil {
		return err
	}
	return os.WriteFile(image+".recipe", text.Bytes(), 0o644)
}

// WriteFile writes a file, and the folders that it lies in.
func WriteFile(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// LinkAll makes symbolic links below dir: of what names say to where.
func LinkAll(t testing.TB, dir string, links map[string]string) {
	t.Helper()
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}
