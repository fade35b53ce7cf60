package fontcache

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"deltaup/mkimage/rootfs"
)

func TestDebug(t *testing.T) {
	root := os.Getenv("FCROOT")
	in, err := rootfs.Open(t.Context(), root, rootfs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	files, notes, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	made := map[string]bool{}
	ok := 0
	for _, f := range files {
		made[f.Path] = true
		want, err := os.ReadFile(filepath.Join(root, f.Path))
		if err != nil {
			t.Error(err)
			continue
		}
		if bytes.Equal(want, f.Content) {
			ok++
			continue
		}
		t.Errorf("%s %d %d", f.Path, len(want), len(f.Content))
		os.WriteFile("/tmp/fontconfig/bad/"+filepath.Base(f.Path), f.Content, 0o644)
	}
	l, _ := filepath.Glob(root + "/var/cache/fontconfig/*")
	t.Logf("%d identical of %d", ok, len(l))
	for _, n := range notes {
		t.Log(n)
	}
}
