package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/durable"
)

func open(t *testing.T, base, slot string) *Folder {
	t.Helper()
	f, err := Open(base, slot)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// TestOpen: a slot has one folder, which one process has at a time; temporary files that a killed
// one left are gone.
func TestOpen(t *testing.T) {
	base := t.TempDir()
	f := open(t, base, "/dev/slot b")
	if _, err := Open(base, "/dev/slot b"); !errors.Is(err, ErrBusy) {
		t.Errorf("a second time: %v", err)
	}
	for _, slot := range []string{"", "/dev/slot_b", "/mnt/slot b"} {
		if other := open(t, base, slot); other.Name() == f.Name() {
			t.Errorf("slot %q has the folder %s too", slot, f.Name())
		}
	}
	if _, err := durable.Create(f.Tmp()); err != nil { // and never ended
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, base, "/dev/slot b")
	if left, _ := filepath.Glob(filepath.Join(f.Tmp(), "*")); len(left) > 0 {
		t.Errorf("left: %q", left)
	}
	if n, err := f.Free(); err != nil || n <= 0 {
		t.Errorf("%d bytes are free, %v", n, err)
	}
}

// TestHasRoom: there is room for what the file system has free, and for no more.
func TestHasRoom(t *testing.T) {
	f := open(t, t.TempDir(), "slot")
	for bytes, want := range map[int64]bool{0: true, 1: true, 1 << 62: false} {
		if got, err := f.HasRoom(bytes); err != nil || got != want {
			t.Errorf("%d bytes: %v, %v", bytes, got, err)
		}
	}
	if err := os.RemoveAll(f.Name()); err != nil {
		t.Fatal(err)
	}
	if _, err := f.HasRoom(1); err == nil {
		t.Error("no error without the folder")
	}
}

// TestMeta: what the folder gives of a metadata file is what was kept, or nothing.
func TestMeta(t *testing.T) {
	f := open(t, t.TempDir(), "slot")
	text := []byte("metadata")
	id, size := chunkstore.Sum(text), int64(len(text))
	other := chunkstore.Sum([]byte("other"))
	if f.HasMeta(id, size) {
		t.Error("it is there before it is kept")
	}
	if err := errors.Join(f.PutMeta(id, text), f.PutMeta(other, []byte("other"))); err != nil {
		t.Fatal(err)
	}
	if b, err := f.Meta(id, size); err != nil || string(b) != string(text) || !f.HasMeta(id, size) {
		t.Errorf("kept: %q, %v", b, err)
	}
	if _, err := f.Meta(id, size+1); err == nil || f.HasMeta(id, size+1) {
		t.Error("another size is taken for it")
	}
	if err := os.WriteFile(f.metaPath(id), []byte("metedata"), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err := f.Meta(id, size); err == nil {
		t.Errorf("other bytes are taken for it: %q", b)
	}
	if err := f.Prune(map[chunkstore.ID]bool{id: true}); err != nil {
		t.Fatal(err)
	}
	if !f.HasMeta(id, size) || f.HasMeta(other, 5) {
		t.Error("not what was to be kept is left")
	}
	if err := f.Prune(nil); err != nil || f.HasMeta(id, size) {
		t.Errorf("pruned: %v", err)
	}
}

func TestDefaultDir(t *testing.T) {
	for _, tt := range []struct {
		uid  int
		env  map[string]string
		want string
	}{
		{0, map[string]string{"HOME": "/root"}, "/var/lib/deltaup"},
		{1000, map[string]string{"HOME": "/home/a"}, "/home/a/.local/state/deltaup"},
		{1000, map[string]string{"HOME": "/home/a", "XDG_STATE_HOME": "/s"}, "/s/deltaup"},
		{1000, map[string]string{"XDG_STATE_HOME": "relative"}, ""},
	} {
		got, err := DefaultDir(tt.uid, func(name string) string { return tt.env[name] })
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%d %v: %q, %v", tt.uid, tt.env, got, err)
		}
	}
}
