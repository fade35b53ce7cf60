package folder

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func newFolder(t *testing.T) (*Folder, string) {
	t.Helper()
	dir := t.TempDir()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d, dir
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestKinds opens what is no file, and what is no folder.
func TestKinds(t *testing.T) {
	d, dir := newFolder(t)
	must(t, os.WriteFile(dir+"/file", []byte("text"), 0o600), os.Mkdir(dir+"/folder", 0o700),
		os.Symlink("file", dir+"/link"), os.Symlink("folder", dir+"/loop"), unix.Mkfifo(dir+"/pipe", 0o600))
	for name, want := range map[string][2]error{ // as file, as folder
		"file": {nil, ErrKind}, "folder": {ErrKind, nil}, "link": {ErrKind, ErrKind}, "loop": {ErrKind, ErrKind},
		"pipe": {ErrKind, ErrKind}, "missing": {fs.ErrNotExist, fs.ErrNotExist}, "..": {fs.ErrInvalid, fs.ErrInvalid},
		"folder/x": {fs.ErrInvalid, fs.ErrInvalid}, "": {fs.ErrInvalid, fs.ErrInvalid},
	} {
		f, err := d.Open(name)
		if !errors.Is(err, want[0]) {
			t.Errorf("open %q: %v", name, err)
		}
		if err == nil {
			f.Close()
		}
		inner, err := d.Folder(name)
		if !errors.Is(err, want[1]) {
			t.Errorf("folder %q: %v", name, err)
		}
		if err == nil {
			inner.Close()
		}
	}
	if p, err := d.Read("file", 4); string(p) != "text" {
		t.Errorf("%q, %v", p, err)
	}
	if _, err := d.Read("file", 3); !errors.Is(err, ErrKind) {
		t.Errorf("a file that is too long: %v", err)
	}
	if _, err := Open(dir + "/loop"); !errors.Is(err, ErrKind) {
		t.Errorf("a link to a folder: %v", err)
	}
	if names, err := d.Names(5); len(names) != 5 || names[0] != "file" {
		t.Errorf("%v, %v", names, err)
	}
	if _, err := d.Names(4); !errors.Is(err, ErrMany) {
		t.Errorf("more names than the limit: %v", err)
	}
	for _, bad := range []error{d.Write("../x", nil), d.Symlink("..", "x"), d.Remove("folder/x"), d.Rename("file", d, "../x"), d.Discard(".", d)} {
		if !errors.Is(bad, fs.ErrInvalid) {
			t.Errorf("a name that is none: %v", bad)
		}
	}
}

func TestEmpty(t *testing.T) {
	d, dir := newFolder(t)
	deep := "top"
	for range 300 {
		deep = filepath.Join(deep, "deeper")
	}
	must(t, os.MkdirAll(filepath.Join(dir, deep), 0o755), os.MkdirAll(dir+"/wide", 0o755), os.Symlink("/", dir+"/wide/root"))
	outside := t.TempDir()
	must(t, os.WriteFile(outside+"/stays", nil, 0o600), os.Symlink(outside, dir+"/link"))
	for i := range 3000 {
		must(t, os.WriteFile(fmt.Sprint(dir, "/wide/", i), nil, 0o600))
	}
	runs := 0
	for ; ; runs++ {
		err := d.Empty(t.Context(), 1000)
		if err == nil {
			break
		}
		if !errors.Is(err, ErrMany) || runs > 10 {
			t.Fatal(err)
		}
	}
	if runs < 3 {
		t.Errorf("the limit did not count: %d runs", runs)
	}
	if names, err := d.Names(10); err != nil || len(names) > 0 {
		t.Errorf("left: %v, %v", names, err)
	}
	if _, err := os.Stat(outside + "/stays"); err != nil {
		t.Error(err)
	}
}

func TestMake(t *testing.T) {
	d, dir := newFolder(t)
	old := unix.Umask(0o777)
	made, err := d.Make("folder", 0o2751)
	err = errors.Join(err, d.Write("file", []byte("x")))
	unix.Umask(old)
	must(t, err, made.Close())
	for name, want := range map[string]uint32{"folder": unix.S_IFDIR | 0o2751, "file": unix.S_IFREG | 0o600} {
		if s, err := d.Lstat(name); err != nil || s.Mode != want {
			t.Errorf("%s: %o, %v", name, s.Mode, err)
		}
	}
	if err := d.Write("file", nil); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second file: %v", err)
	}
	again, err := d.Need("folder", 0o700)
	must(t, err, again.Write("inner", nil), again.Close())
	must(t, d.RemoveAll("folder"), d.Remove("file"), d.Remove("file"))
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
