package durable_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"deltaup/internal/durable"
)

// TestSecret checks a file's mode before its first byte, during writing and afterwards, under
// several umasks. No other test of this package runs meanwhile, since the umask is that of the
// whole process.
func TestSecret(t *testing.T) {
	for _, umask := range []int{0o000, 0o022, 0o077, 0o277, 0o777} {
		dir := t.TempDir()
		tmp, path := filepath.Join(dir, "folder"), filepath.Join(dir, "folder", "key")
		old := syscall.Umask(umask)
		var seen []fs.FileMode
		look := func() {
			entries, err := os.ReadDir(tmp)
			if err != nil || len(entries) != 1 {
				t.Fatalf("umask %o: %d files, %v", umask, len(entries), err)
			}
			info, err := entries[0].Info()
			if err != nil {
				t.Fatal(err)
			}
			seen = append(seen, info.Mode().Perm())
		}
		err := durable.MkdirSecret(tmp)
		if err == nil {
			err = durable.WriteSecret(tmp, path, func(w io.Writer) error {
				look()
				_, err := w.Write(make([]byte, 1<<20))
				look()
				return err
			})
		}
		syscall.Umask(old)
		if err != nil {
			t.Fatalf("umask %o: %v", umask, err)
		}
		look()
		for i, mode := range seen {
			if mode != 0o600 {
				t.Errorf("umask %o: look %d saw the mode %o", umask, i, mode)
			}
		}
		if info, err := os.Stat(tmp); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("umask %o: the folder: %v, %v", umask, info.Mode(), err)
		}
	}
}

// TestSecretDiscarded demands that nothing is left behind when writing fails.
func TestSecretDiscarded(t *testing.T) {
	dir := t.TempDir()
	errWrite := errors.New("no more")
	if err := durable.WriteSecret(dir, filepath.Join(dir, "key"), func(io.Writer) error { return errWrite }); err != errWrite {
		t.Errorf("%v", err)
	}
	wantEmpty(t, dir)
}

// TestMkdirSecretKeeps demands that an existing folder keeps its mode.
func TestMkdirSecretKeeps(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := durable.MkdirSecret(dir); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
