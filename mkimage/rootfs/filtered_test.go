package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"reflect"
	"testing"

	"deltaup/mkimage/tree"
)

// TestFiltered demands the tree that reading with the filter gives.
func TestFiltered(t *testing.T) {
	hard := tar.Header{Typeflag: tar.TypeLink, Linkname: "boot/vmlinuz"}
	archive := makeTar(t,
		file{Name: "boot/vmlinuz", Content: "kernel"}, file{Name: "boot/grub/grub.cfg", Content: "cfg"},
		file{Name: "etc/a", Content: "a"}, file{Name: "usr/b", Header: hard}, file{Name: "usr/c", Header: hard})
	read := func(o Options) tree.Tree {
		t.Helper()
		got, err := FromTar(context.Background(), bytes.NewReader(archive), o)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, f := range []Filter{
		{}, {Exclude: []string{"boot/*"}}, {Exclude: []string{"boot"}}, {Exclude: []string{"boot/*"}, Include: []string{"boot/grub/grub.cfg"}},
		{Exclude: []string{"*"}}, {Exclude: []string{"usr/b"}}, {Exclude: []string{"nosuch"}},
	} {
		want := read(Options{Filter: f})
		got, err := Filtered(read(Options{}), f)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got.Entries(), want.Entries()) {
			t.Errorf("%+v: %+v, want %+v", f, got.Entries(), want.Entries())
			continue
		}
		for i, e := range got.Entries() {
			if e.Type != tree.Regular || e.Link != "" {
				continue
			}
			if a, b := contentOf(t, got, i), contentOf(t, want, i); a != b {
				t.Errorf("%+v: /%s has %q, want %q", f, e.Path, a, b)
			}
		}
	}
	if _, err := Filtered(read(Options{}), Filter{Exclude: []string{"["}}); err == nil {
		t.Error("a wrong pattern is accepted")
	}
}

func contentOf(t *testing.T, of tree.Tree, i int) string {
	t.Helper()
	r, err := of.Open(i)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
