package durable

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestRename(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "below", "to")
	if err := MkdirAll(filepath.Dir(to)); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{from: "new", to: "old"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var steps []Op
	defer SetHook(func(s Action) error { steps = append(steps, s.Op); return nil })()
	if err := Rename(from, to); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(to); err != nil || string(b) != "new" {
		t.Errorf("got %q, %v", b, err)
	}
	if len(steps) != 3 || steps[0] != OpRename || steps[1] != OpSyncFolder || steps[2] != OpSyncFolder {
		t.Errorf("steps %v", steps)
	}
	if err := Rename(from, to); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("once more: %v", err)
	}
}
