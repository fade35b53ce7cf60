package lookup

import (
	"errors"
	"io"
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

// inOrder is a tree that gives contents only in order.
type inOrder struct{ tree.Tree }

func (t inOrder) Open(i int) (io.ReadCloser, error) {
	r, err := t.Tree.Open(i)
	return struct{ io.ReadCloser }{r}, err
}

// TestOpenAt reads pieces of files, of trees that give such and of others.
func TestOpenAt(t *testing.T) {
	dir := t.TempDir()
	treetest.Write(t, filepath.Join(dir, "a"), "0123456789")
	t.Setenv("TMPDIR", t.TempDir())
	for _, wrap := range []func(tree.Tree) tree.Tree{
		func(in tree.Tree) tree.Tree { return in }, func(in tree.Tree) tree.Tree { return inOrder{in} },
	} {
		r := New(wrap(treetest.Open(t, dir)))
		f, err := r.OpenAt(r.Stat("a"))
		if err != nil {
			t.Fatal(err)
		}
		for off, want := range map[int64]string{7: "789", 0: "012", 4: "456"} {
			b := make([]byte, 3)
			if _, err := f.ReadAt(b, off); string(b) != want || err != nil {
				t.Errorf("%T at %d: %q, %v", f, off, b, err)
			}
		}
		if n, err := f.ReadAt(make([]byte, 3), 8); n != 2 || err == nil {
			t.Errorf("%T at its end: %d bytes, %v", f, n, err)
		}
		if _, err := r.OpenAt(r.Stat("/")); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("a folder: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); len(left) > 0 || err != nil {
		t.Errorf("%d files left, %v", len(left), err)
	}
}
