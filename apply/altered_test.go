package apply_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// altered copies a world's mirror and changes its last release; put adds a file to the copy, named
// by its hash.
func altered(t *testing.T, w *world, change func(r *mirror.Release, put func(b []byte, path func(chunkstore.ID) string) mirror.Object)) *world {
	t.Helper()
	root := filepath.Join(t.TempDir(), "mirror")
	if err := os.CopyFS(root, os.DirFS(w.mirror)); err != nil {
		t.Fatal(err)
	}
	write := func(name string, b []byte) {
		path := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	pointer, err := mirror.ParsePointer(readFile(t, filepath.Join(root, mirror.PointerPath("stable"))))
	if err != nil {
		t.Fatal(err)
	}
	name := mirror.ReleasePath(pointer.Version)
	release, err := mirror.ParseRelease(readFile(t, filepath.Join(root, name)))
	if err != nil {
		t.Fatal(err)
	}
	change(release, func(b []byte, path func(chunkstore.ID) string) mirror.Object {
		o := mirror.Object{ID: chunkstore.Sum(b), Size: int64(len(b))}
		write(path(o.ID), b)
		return o
	})
	b, err := release.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	write(name, b)
	pointer.Release = mirror.Object{ID: chunkstore.Sum(b), Size: int64(len(b))}
	if b, err = pointer.Marshal(); err != nil {
		t.Fatal(err)
	}
	write(mirror.PointerPath("stable"), b)
	return &world{dir: w.dir, mirror: root, image: w.image}
}

func stored(t *testing.T, w *world, name string) []byte {
	t.Helper()
	return readFile(t, filepath.Join(w.mirror, name))
}

// alterRecipe changes the text of a release's recipe.
func alterRecipe(t *testing.T, w *world, change func(text []byte) []byte) *world {
	t.Helper()
	return altered(t, w, func(r *mirror.Release, put func([]byte, func(chunkstore.ID) string) mirror.Object) {
		o := r.Artifacts[0].Recipe
		dec, err := zstd.NewReader(bytes.NewReader(stored(t, w, mirror.RecipePath(o.ID))))
		if err != nil {
			t.Fatal(err)
		}
		defer dec.Close()
		text, err := io.ReadAll(dec)
		if err != nil {
			t.Fatal(err)
		}
		text = change(text)
		enc, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer enc.Close()
		r.Artifacts[0].Recipe = &mirror.RecipeObject{
			Object: put(enc.EncodeAll(text, nil), mirror.RecipePath), Plain: int64(len(text)), Text: chunkstore.Sum(text),
		}
	})
}

// TestLaterFormats: files of a format that this program does not know, rightly named by the
// release.
func TestLaterFormats(t *testing.T) {
	type putter = func([]byte, func(chunkstore.ID) string) mirror.Object
	w := newWorld(t)
	for name, other := range map[string]*world{
		"recipes/": alterRecipe(t, w, func(text []byte) []byte {
			return bytes.Replace(text, []byte("deltaup-recipe 1\n"), []byte("deltaup-recipe 7\n"), 1)
		}),
		"indexes/": altered(t, w, func(r *mirror.Release, put putter) {
			b := stored(t, w, mirror.IndexPath(r.Index.ID))
			r.Index = put(laterVersion(t, b), mirror.IndexPath)
		}),
	} {
		m := newTargetOf(t, other)
		if _, _, err := m.pull(); !errors.Is(err, chunkstore.ErrVersion) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want ErrVersion", name, err)
		}
		m.checkUnbootable()
	}
	w = patchedWorld(t, 2, 1)
	t.Run("patch set", func(t *testing.T) {
		m := newTargetOf(t, altered(t, w, func(r *mirror.Release, put putter) {
			p := &r.Patches[0]
			b := stored(t, w, mirror.PatchPath(p.Set.ID))
			head := laterVersion(t, b[:p.Head.Size])
			body := head[:len(head)-32]
			p.Head.ID = chunkstore.Sum(body)
			p.Set = put(append(append(body, p.Head.ID[:]...), b[p.Head.Size:]...), mirror.PatchPath)
		}))
		m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
		_, r := m.mustPull()
		if r.Route == "patch" || len(m.warnings) == 0 || !strings.Contains(strings.Join(m.warnings, ""), chunkstore.ErrVersion.Error()) {
			t.Errorf("route %s, warnings %q", r.Route, m.warnings)
		}
	})
	t.Run("block map", func(t *testing.T) {
		m := newTargetOf(t, altered(t, w, func(r *mirror.Release, put putter) {
			o := put(laterVersion(t, stored(t, w, mirror.BlockmapPath(r.Artifacts[0].Blockmap.ID))), mirror.BlockmapPath)
			r.Artifacts[0].Blockmap = &o
		}))
		m.with = func(r *apply.Request) { r.Line, r.CPU = fast, slowCPU }
		_, r := m.mustPull()
		if r.Route == "blocks" || len(m.warnings) == 0 {
			t.Errorf("route %s, warnings %q", r.Route, m.warnings)
		}
	})
}

// laterVersion gives a file with 8 bytes of magic another version, which follows as 32 bits.
func laterVersion(t *testing.T, b []byte) []byte {
	t.Helper()
	b = bytes.Clone(b)
	if v := binary.LittleEndian.Uint32(b[8:]); v < 1 || v > 4 {
		t.Fatalf("the file begins with %x: no version at 8", b[:12])
	}
	b[8] = 77
	return b
}

// TestOtherImage: a recipe that is well-formed and leads to another image. It is tried without
// copied blocks, then the image is fetched whole.
func TestOtherImage(t *testing.T) {
	for _, w := range []*world{newWorld(t), patchedWorld(t, 2, 1)} {
		m := newTargetOf(t, alterRecipe(t, w, func(text []byte) []byte {
			r, err := mkimage.ParseRecipe(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			r.ModTime++
			var b bytes.Buffer
			if _, err := r.WriteTo(&b); err != nil {
				t.Fatal(err)
			}
			return b.Bytes()
		}))
		_, r := m.mustPull()
		all := strings.Join(m.warnings, "\n")
		if r.Route != "whole" || !strings.Contains(all, "without copied blocks") || !strings.Contains(all, "fetching it whole") {
			t.Errorf("route %s, warnings %q", r.Route, m.warnings)
		}
	}
}

// TestWrongBlocks: a release with another image's block map gives wrong blocks.
func TestWrongBlocks(t *testing.T) {
	w := patchedWorld(t, 2, 1)
	m := newTargetOf(t, altered(t, w, func(r *mirror.Release, put func([]byte, func(chunkstore.ID) string) mirror.Object) {
		first, err := mirror.ParseRelease(stored(t, w, mirror.ReleasePath("1")))
		if err != nil {
			t.Fatal(err)
		}
		r.Artifacts[0].Blockmap = first.Artifacts[0].Blockmap
	}))
	m.with = func(r *apply.Request) { r.Line, r.CPU = fast, slowCPU }
	if _, r := m.mustPull(); r.Route == "blocks" || len(m.warnings) == 0 {
		t.Errorf("route %s, warnings %q", r.Route, m.warnings)
	}
}
