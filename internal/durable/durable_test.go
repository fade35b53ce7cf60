package durable_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"deltaup/internal/durable"
	"deltaup/internal/test/durabletest"
)

func writeFile(tmp, path, text string) error {
	return durable.WriteFile(tmp, path, func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	})
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(entries) > 0 {
		t.Errorf("%s holds %v, %v; want nothing", dir, entries, err)
	}
}

func TestWriteFile(t *testing.T) {
	root := t.TempDir()
	tmp, path := filepath.Join(root, "tmp"), filepath.Join(root, "a", "b", "c")
	for _, text := range []string{"one", "", "two"} {
		if err := writeFile(tmp, path, text); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, text)
	}
	wantEmpty(t, tmp)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"2", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	plain, err := os.Stat(path + "2")
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != plain.Mode() {
		t.Errorf("mode %v, a plain file has %v", info.Mode(), plain.Mode())
	}

	errWrite := errors.New("no more")
	err = durable.WriteFile(tmp, path, func(w io.Writer) error {
		io.WriteString(w, "three")
		return errWrite
	})
	if err != errWrite {
		t.Errorf("%v, want %v", err, errWrite)
	}
	wantFile(t, path, "two")
	wantEmpty(t, tmp)
}

func TestFile(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "named")
	f, err := durable.Create(root)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Discard()
	if _, err := f.Write([]byte("some bytes")); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 5)
	if _, err := f.ReadAt(got, 5); err != nil || string(got) != "bytes" {
		t.Errorf("ReadAt gives %q, %v", got, err)
	}
	if err := f.Seal(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("Write works after Seal")
	}
	if err := f.Commit(path); err != nil {
		t.Fatal(err)
	}
	if err := f.Commit(path + "2"); err == nil {
		t.Error("a second Commit works")
	}
	f.Discard()
	wantFile(t, path, "some bytes")

	if f, err = durable.Create(root); err != nil {
		t.Fatal(err)
	}
	f.Discard()
	f.Discard()
	if _, err := os.Stat(f.Name()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Discard: %v", err)
	}
	if err := f.Commit(path); err == nil {
		t.Error("Commit works after Discard")
	}
}

func TestMkdirAll(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "a", "b", "c")
	for range 2 {
		if err := durable.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "file"), filepath.Join(dir, "file", "below")} {
		if err := durable.MkdirAll(path); err == nil {
			t.Errorf("MkdirAll(%s) works, there is a file", path)
		}
	}
}

func TestRemove(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "file")
	if err := writeFile(root, path, "x"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := durable.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	wantEmpty(t, root)
}

func TestRemoveTemps(t *testing.T) {
	root := t.TempDir()
	if err := durable.RemoveTemps(filepath.Join(root, "missing")); err != nil {
		t.Error(err)
	}
	f, err := durable.Create(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Seal(); err != nil { // then the process ends
		t.Fatal(err)
	}
	mine := filepath.Join(root, "mine.tmp")
	if err := os.WriteFile(mine, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := durable.RemoveTemps(root); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(f.Name()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary file is there: %v", err)
	}
	wantFile(t, mine, "mine")
}

// TestSteps pins the order of steps, on which durability rests.
func TestSteps(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "new", "file")
	var ops []durable.Op
	restore := durable.SetHook(func(s durable.Action) error { ops = append(ops, s.Op); return nil })
	err := writeFile(root, path, "x")
	restore()
	if err != nil {
		t.Fatal(err)
	}
	want := []durable.Op{durable.OpCreate, durable.OpWrite, durable.OpSync, durable.OpMkdir,
		durable.OpSyncFolder, durable.OpRename, durable.OpSyncFolder}
	if !slices.Equal(ops, want) {
		t.Errorf("steps %v, want %v", ops, want)
	}
}

// TestCrash cuts the power before every step of replacing a file. The file must then have the old
// bytes or the new ones, and the new ones if the call succeeded.
func TestCrash(t *testing.T) {
	for n := 1; ; n++ {
		root := t.TempDir()
		tmp, path := filepath.Join(root, "tmp"), filepath.Join(root, "a", "file")
		if err := writeFile(tmp, path, "old"); err != nil {
			t.Fatal(err)
		}
		c := durabletest.CrashAt(t, n)
		err := writeFile(tmp, path, "new")
		second := writeFile(tmp, path, "after the cut")
		if !c.Restart() {
			t.Fatal("two writes took fewer steps than one")
		}
		if err == nil {
			if n < 5 {
				t.Errorf("only %d steps", n)
			}
			if second == nil {
				t.Error("work goes on after the cut")
			}
			wantFile(t, path, "new")
			return
		}
		if !errors.Is(err, durabletest.ErrCrash) || !errors.Is(second, durabletest.ErrCrash) {
			t.Fatalf("step %d: %v, %v", n, err, second)
		}
		wantFile(t, path, "old")
		if err := writeFile(tmp, path, "new"); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, "new")
	}
}

// TestCrashLoses demands that the simulated disk loses what was not synced, so that tests detect a
// writer that leaves out a step.
func TestCrashLoses(t *testing.T) {
	root := t.TempDir()
	c := durabletest.CrashAt(t, 4) // create, write, write | sync
	f, err := durable.Create(root)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := f.Write([]byte("1234")); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Seal(); !errors.Is(err, durabletest.ErrCrash) {
		t.Fatal(err)
	}
	if !c.Restart() {
		t.Fatal("no cut")
	}
	wantFile(t, f.Name(), "1234")

	made := filepath.Join(root, "made")
	c = durabletest.CrashAt(t, 2) // mkdir | syncfolder
	if err := durable.MkdirAll(made); !errors.Is(err, durabletest.ErrCrash) {
		t.Fatal(err)
	}
	c.Restart()
	if _, err := os.Stat(made); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that was not synced survives: %v", err)
	}
}
