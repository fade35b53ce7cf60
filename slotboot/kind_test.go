package slotboot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestKinds refuses what can be no slot when it is opened, before anything is fetched for it.
func TestKinds(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for link, to := range map[string]string{"dangling": "nowhere", "loop": "loop", "tonew": "new/file"} {
		if err := os.Symlink(to, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Mkfifo(at("pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at("file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", at("link")); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		at("dangling"): fs.ErrNotExist, at("tonew"): fs.ErrNotExist, at("pipe"): errKind, dir: errKind, "/dev/null": errKind,
		at("loop"): unix.ELOOP, at("folder/file"): fs.ErrNotExist, at("file/file"): unix.ENOTDIR, "/dev/deltaup-none": fs.ErrNotExist,
		at("file"): nil, at("link"): nil, at("missing"): nil,
	} {
		for _, readOnly := range []bool{true, false} {
			s, err := Open(path, Options{ReadOnly: readOnly, Device: IsDevice(path)})
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%s, read only %v: %v, want %v", path, readOnly, err, want)
			}
			if err == nil {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
	if _, err := os.Lstat(at("missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
}
