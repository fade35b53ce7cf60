package undo

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestRun undoes new folders, new files and changed files, also after a step that cannot be undone.
func TestRun(t *testing.T) {
	root := t.TempDir()
	old, kept := filepath.Join(root, "old"), filepath.Join(root, "kept")
	for _, path := range []string{old, kept} {
		if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var l List
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(l.MkdirAll(filepath.Join(root, "a/b")))
	must(l.WriteFile(filepath.Join(root, "a/c/new"), []byte("text"), 0o755))
	must(l.WriteFile(old, []byte("after"), 0o644))
	must(l.Keep(kept))
	must(os.WriteFile(kept, []byte("by somebody"), 0o600))
	failed := errors.New("no")
	l.Push(func() error { return failed })
	if info, err := os.Stat(filepath.Join(root, "a/c/new")); err != nil || info.Mode() != 0o755 {
		t.Errorf("written: %v, %v", info, err)
	}
	if err := l.Run(); !errors.Is(err, failed) {
		t.Errorf("run: %v", err)
	}
	for _, path := range []string{old, kept} {
		b, err := os.ReadFile(path)
		info, statErr := os.Stat(path)
		if err != nil || statErr != nil || string(b) != "before" || info.Mode() != 0o600 {
			t.Errorf("%s: %q, %v, %v", path, b, err, statErr)
		}
	}
	entries, err := os.ReadDir(root)
	if err != nil || len(entries) != 2 {
		t.Errorf("left: %v, %v", entries, err)
	}
	if err := l.Run(); err != nil {
		t.Errorf("a second run: %v", err)
	}
}
