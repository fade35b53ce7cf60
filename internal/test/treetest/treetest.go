// Package treetest makes folders that are trees of files, for tests.
package treetest

import (
	"os"
	"path/filepath"
	"testing"

	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

// Write writes a file, and makes the folders above it that do not exist.
func Write[T string | []byte](tb testing.TB, path string, content T) {
	tb.Helper()
	makeFolders(tb, path)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// Link makes a symbolic link to target, and the folders above it that do not exist.
func Link(tb testing.TB, path, target string) {
	tb.Helper()
	makeFolders(tb, path)
	if err := os.Symlink(target, path); err != nil {
		tb.Fatal(err)
	}
}

func makeFolders(tb testing.TB, path string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
}

// Open opens a folder as a tree until the test ends.
func Open(tb testing.TB, root string) tree.Tree {
	tb.Helper()
	t, err := rootfs.Open(tb.Context(), root, rootfs.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { t.Close() })
	return t
}
