package oci

import (
	"archive/tar"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

// TestRandomUmoci compares images whose layers change each other at random with what umoci unpacks.
// Links are in place of files alone, and marks come first, since tools differ about other archives.
func TestRandomUmoci(t *testing.T) {
	images := 12
	if testing.Short() {
		images = 3
	}
	for seed := range images {
		r := rand.New(rand.NewPCG(uint64(seed), 17))
		var layers [][]tar.Header
		lower := []tree.Entry{}
		for range 5 {
			layers = append(layers, randomLayer(r, lower))
			m := read(t, writeLayout(t, map[string]v1.Image{"one": imageOf(t, "linux/amd64", layers...)}), Options{})
			lower = m.Entries()[1:]
		}
		layout, out := writeLayout(t, map[string]v1.Image{"one": imageOf(t, "linux/amd64", layers...)}), filepath.Join(t.TempDir(), "root")
		args := []string{"raw", "unpack", "--image", layout + ":one", out}
		if os.Geteuid() != 0 {
			args = append([]string{"raw", "unpack", "--rootless"}, args[2:]...)
		}
		for i, l := range layers {
			for _, h := range l {
				t.Logf("seed %d layer %d: %c %s %s", seed, i, h.Typeflag, h.Name, h.Linkname)
			}
		}
		run(t, "umoci", args...)
		want := must[tree.Tree](t)(rootfs.FromFolder(context.Background(), out, rootfs.Options{}))
		w := strings.Split(details(t, want, os.Geteuid() == 0), "\n")[1:]
		g := strings.Split(details(t, read(t, layout, Options{}), os.Geteuid() == 0), "\n")[1:]
		if strings.Join(w, "\n") != strings.Join(g, "\n") {
			t.Errorf("seed %d: %v\ngot\n%s\nwant\n%s", seed, layers, strings.Join(g, "\n"), strings.Join(w, "\n"))
		}
		if err := want.Close(); err != nil {
			t.Error(err)
		}
	}
}

// randomLayer makes a layer upon what the layers below have made.
func randomLayer(r *rand.Rand, lower []tree.Entry) (layer []tar.Header) {
	listed := map[string]bool{"": true, ".": true}
	var folders func(string)
	folders = func(p string) {
		if !listed[p] {
			folders(path.Dir(p))
			layer = append(layer, dir(p))
			listed[p] = true
		}
	}
	gone := map[string]bool{}
	for range min(2, len(lower)) {
		e := lower[r.IntN(len(lower))]
		if strings.Contains(e.Path, "/") && gone[path.Dir(e.Path)] {
			continue
		}
		gone[e.Path] = true
		if e.Type == tree.Directory && r.IntN(2) == 0 {
			folders(e.Path)
			layer = append(layer, file(e.Path+"/.wh..wh..opq", ""))
		} else if !listed[e.Path] {
			folders(path.Dir(e.Path))
			layer = append(layer, file(path.Join(path.Dir(e.Path), ".wh."+path.Base(e.Path)), ""))
		}
	}
	hidden := func(p string) bool {
		for ; p != "."; p = path.Dir(p) {
			if gone[p] {
				return true
			}
		}
		return false
	}
	for i := range 6 {
		p := string(rune('a' + r.IntN(4)))
		for range r.IntN(3) {
			p += "/" + string(rune('a'+r.IntN(4)))
		}
		if listed[p] {
			continue
		}
		above := path.Dir(p)
		for ; above != "." && !listed[above+"!"]; above = path.Dir(above) {
		}
		if above != "." {
			continue // a file of this layer is there
		}
		folders(path.Dir(p))
		kind := r.IntN(5)
		if kind == 0 && len(lower) > 0 {
			e := lower[r.IntN(len(lower))]
			shadowed := false // by a file of this layer
			for q := e.Path; q != "."; q = path.Dir(q) {
				shadowed = shadowed || listed[q]
			}
			if e.Type == tree.Regular && !hidden(e.Path) && !shadowed && !strings.HasPrefix(e.Path+"/", p+"/") {
				layer = append(layer, link(p, e.Path))
				listed[p], listed[p+"!"] = true, true
				continue
			}
		}
		switch kind {
		case 1:
			layer = append(layer, symlink(p, fmt.Sprint("to/", i)))
		case 2:
			layer = append(layer, dir(p))
			listed[p] = true
			continue
		default:
			layer = append(layer, file(p, fmt.Sprint(p, i, r.IntN(100))))
		}
		listed[p], listed[p+"!"] = true, true
	}
	return layer
}
