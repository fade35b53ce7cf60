package lookup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"deltaup/internal/test/treetest"
	"deltaup/mkimage/tree"
)

func TestRoot(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"usr/lib/a", "usr/lib/b/c", "etc/x"} {
		treetest.Write(t, filepath.Join(dir, name), "content of "+name)
	}
	for name, target := range map[string]string{"lib": "usr/lib", "etc/l": "../lib/b/c", "etc/gone": "none", "etc/abs": "/lib", "etc/loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "usr/lib/a"), filepath.Join(dir, "etc/hard")); err != nil {
		t.Fatal(err)
	}
	in := treetest.Open(t, dir)
	r := New(in)

	at := func(e *tree.Entry) string {
		if e == nil {
			return "nothing"
		}
		return e.Path
	}
	for name, want := range map[string][2]string{ // Lstat and Stat
		"/": {"", ""}, "": {"", ""}, "/lib/a": {"usr/lib/a", "usr/lib/a"}, "lib": {"lib", "usr/lib"},
		"/etc/l": {"etc/l", "usr/lib/b/c"}, "/etc/gone": {"etc/gone", "nothing"}, "/none/x": {"nothing", "nothing"},
		"/etc/../lib//b/": {"usr/lib/b", "usr/lib/b"}, "/etc/abs/b/c": {"usr/lib/b/c", "usr/lib/b/c"},
		"/etc/loop": {"etc/loop", "nothing"}, "/etc/x/y": {"nothing", "nothing"}, "/../../etc/x": {"etc/x", "etc/x"},
	} {
		if got := [2]string{at(r.Lstat(name)), at(r.Stat(name))}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := r.Names("/lib"); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("names %q", got)
	}
	if got := r.Names("etc/x"); got != nil {
		t.Errorf("names in a file: %q", got)
	}
	if Inode(r.Stat("etc/hard")) != Inode(r.Stat("usr/lib/a")) {
		t.Error("two names of one inode have different ones")
	}
	for name, want := range map[string]string{"/lib/a": "content of usr/lib/a", "etc/hard": "content of usr/lib/a", "etc/l": "content of usr/lib/b/c"} {
		if b, err := r.Read(name, 100); string(b) != want || err != nil {
			t.Errorf("%s has %q, %v", name, b, err)
		}
	}
	for name, want := range map[string]error{"etc/gone": fs.ErrNotExist, "usr": fs.ErrInvalid, "etc/x": errTooLarge} {
		if _, err := r.Read(name, 5); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", name, err, want)
		}
	}

	r.Link("/lib/gone", "a")
	if got := at(r.Stat("usr/lib/gone")); got != "usr/lib/a" {
		t.Errorf("a new link leads to %s", got)
	}
	r.Link("/none/gone", "a") // there is no such folder
	r.Remove("/lib/gone")
	r.Remove("/lib/gone")
	if got := at(r.Lstat("usr/lib/gone")); got != "nothing" {
		t.Errorf("a removed link is %s", got)
	}
}
