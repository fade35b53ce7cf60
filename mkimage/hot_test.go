package mkimage

import (
	"maps"
	"testing"

	"deltaup/mkimage/tree"
)

func symlink(path, target string) file {
	f := folder(path)
	f.Type, f.Mode, f.Target = tree.Symlink, 0o777, target
	return f
}

func TestHotInodes(t *testing.T) {
	r, _, _ := makeImage(t, newTree(
		symlink("bin", "usr/bin"), folder("etc"), symlink("etc/circle", "circle"), symlink("etc/nowhere", "/no/where"),
		symlink("etc/sh", "/bin/sh"), symlink("etc/share", "../usr/share"), folder("usr"), folder("usr/bin"),
		regular("usr/bin/cold", realistic(1, 100)), regular("usr/bin/dash", realistic(2, 100)), symlink("usr/bin/sh", "dash"),
		folder("usr/lib"), regular("usr/lib/libc.so", realistic(3, 300000)), folder("usr/share"), regular("usr/share/text", realistic(4, 100)),
	), Options{Level: "fastest", Order: []string{"usr/lib/libc.so", "usr/bin/dash"}})
	want := map[string]int{"usr/lib/libc.so": 1, "usr/bin/dash": 2, "usr/bin/sh": 2, "etc/sh": 2, "bin": 2}
	if got := hotInodes(r); !maps.Equal(got, want) {
		t.Errorf("hot are %v, want %v", got, want)
	}
	r.First = nil
	if got := hotInodes(r); len(got) != 0 {
		t.Errorf("without an order %v are hot", got)
	}
}
