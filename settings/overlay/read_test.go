package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"deltaup/internal/folder"
)

// read gives what a Reader tells of a folder, a word for each name.
func read(t *testing.T, ctx context.Context, dir string, enter func(string) Visit) (string, error) {
	t.Helper()
	d, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	var all []string
	r := Reader{Enter: enter, Each: func(i *Item) error {
		word := i.Path
		for mark, is := range map[string]bool{"!": i.Whiteout, "o": i.Opaque, "p": i.Passed, "f": i.Foreign} {
			if is {
				word += ":" + mark
			}
		}
		if kind := i.Stat.Mode & unix.S_IFMT; (kind == unix.S_IFREG || kind == unix.S_IFDIR) != (i.File != nil) {
			t.Errorf("%s: open is %v", i.Path, i.File != nil)
		}
		if i.Target != "" {
			word += "->" + i.Target
		}
		all = append(all, word)
		return nil
	}}
	err = r.Read(ctx, d)
	return strings.Join(all, " "), err
}

func TestRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(dir+"/a/b", 0o755), os.WriteFile(dir+"/a/b/f", nil, 0o600), os.WriteFile(dir+"/a-b", nil, 0o600),
		os.Mkdir(dir+"/opaque", 0o755), unix.Setxattr(dir+"/opaque", "trusted.overlay.opaque", []byte("y"), 0),
		os.Mkdir(dir+"/x", 0o755), unix.Setxattr(dir+"/x", "trusted.overlay.opaque", []byte("x"), 0),
		os.WriteFile(dir+"/x/gone", nil, 0o600), unix.Setxattr(dir+"/x/gone", "trusted.overlay.whiteout", []byte("y"), 0),
		os.WriteFile(dir+"/x/full", []byte("x"), 0o600), unix.Setxattr(dir+"/x/full", "trusted.overlay.whiteout", []byte("y"), 0),
		os.WriteFile(dir+"/meta", nil, 0o600), unix.Setxattr(dir+"/meta", "trusted.overlay.metacopy", nil, 0),
		unix.Mknod(dir+"/white", unix.S_IFCHR, 0), unix.Mknod(dir+"/null", unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
		unix.Mkfifo(dir+"/pipe", 0o600), os.Symlink("/etc", dir+"/link"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	all, err := read(t, t.Context(), dir, func(name string) Visit {
		if name == "a/b" {
			return Pass
		}
		return Must
	})
	if want := " a a/b:p a-b link->/etc meta:f null opaque:o pipe white:! x x/full x/gone:!"; err != nil || all != want {
		t.Errorf("%q, %v, want %q", all, err, want)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := read(t, ctx, dir, func(string) Visit { return Must }); !errors.Is(err, context.Canceled) {
		t.Errorf("it does not end with the context: %v", err)
	}
}

// TestBounds has more levels, and more names, than are read.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	deep := dir + "/deep" + strings.Repeat("/d", MaxDepth+5)
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	for visit, want := range map[Visit]bool{Must: false, Try: true, Pass: true} {
		_, err := read(t, t.Context(), dir, func(string) Visit { return visit })
		if ok := err == nil; ok != want || !ok && !errors.Is(err, ErrBounds) {
			t.Errorf("levels: %v gives %v", visit, err)
		}
	}
	if err := errors.Join(os.RemoveAll(dir+"/deep"), os.Mkdir(dir+"/wide", 0o755)); err != nil {
		t.Fatal(err)
	}
	for i := range maxTried + 1 {
		if err := os.Symlink("x", filepath.Join(dir, "wide", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := read(t, t.Context(), dir, func(string) Visit { return Try }); all != " wide:p" || err != nil {
		t.Errorf("names: %.100q, %v", all, err)
	}
	if all, err := read(t, t.Context(), dir, func(string) Visit { return Must }); strings.Count(all, " ") != maxTried+2 || err != nil {
		t.Errorf("names that must be read: %d, %v", strings.Count(all, " "), err)
	}
}
