package apply_test

import (
	"bytes"
	"os"
	"testing"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/blockmap"
	"deltaup/mkimage/squashfs"
)

// TestBlocksLargerSeed: a seed that lies in a partition ends before it does.
func TestBlocksLargerSeed(t *testing.T) {
	m := newTarget(t)
	m.take("blocks")
	q, _ := m.mustPull()
	larger := newTarget(t)
	larger.take("blocks")
	seed := larger.seeds[0] + "-in-a-partition"
	if err := os.WriteFile(seed, append(readFile(t, larger.seeds[0]), noise(7, 1<<20)...), 0o644); err != nil {
		t.Fatal(err)
	}
	larger.seeds = []string{seed}
	if p, _ := larger.mustPull(); p.Bytes != q.Bytes {
		t.Errorf("%d bytes with the image in a file, %d in a partition", q.Bytes, p.Bytes)
	}
}

// TestBlocksUnknownCodec: stored bytes can be copied by who could not compress them.
func TestBlocksUnknownCodec(t *testing.T) {
	m := newTargetOf(t, alterRecipe(t, patchedWorld(t, 2, 1), func(text []byte) []byte {
		r, err := mkimage.ParseRecipe(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Replace(text, []byte(r.Codec), []byte("zstd-later.9"), 1)
	}))
	m.with = func(r *apply.Request) { r.Line, r.CPU = fast, slowCPU }
	if _, r := m.mustPull(); r.Route != "blocks" || r.BlocksCopied == 0 {
		t.Errorf("result %+v, warnings %q", r, m.warnings)
	}
}

// lyingMap is a world whose newest release has the block map of another image of the same size.
func lyingMap(t *testing.T, w *world, other []byte) *world {
	t.Helper()
	image, err := squashfs.Open(bytes.NewReader(other), int64(len(other)))
	if err != nil {
		t.Fatal(err)
	}
	m, err := blockmap.Make(t.Context(), image, bytes.NewReader(other), int64(len(other)))
	if err != nil {
		t.Fatal(err)
	}
	file, err := m.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return altered(t, w, func(r *mirror.Release, put func([]byte, func(chunkstore.ID) string) mirror.Object) {
		o := put(file, mirror.BlockmapPath)
		r.Artifacts[0].Blockmap = &o
	})
}

// TestLyingBlockmap: what maps of other images lead to is found out, from the bytes that were fetched or from the image that was made, and the image
// comes by another route.
func TestLyingBlockmap(t *testing.T) {
	w := patchedWorld(t, 2, 1)
	old, new := readFile(t, w.image[0]), readFile(t, w.image[1])
	damaged := bytes.Clone(new)
	for i := 96; i < 96+200<<10; i += 999 {
		damaged[i] ^= 1
	}
	mixed := bytes.Clone(new) // the seed's blocks in the place of some that changed
	copy(mixed[96:512<<10], old[96:])
	for name, other := range map[string][]byte{"damaged": damaged, "mixed": mixed} {
		t.Run(name, func(t *testing.T) {
			if bytes.Equal(other, new) {
				t.Fatal("it is the same image")
			}
			m := newTargetOf(t, lyingMap(t, w, other))
			m.with = func(r *apply.Request) { r.Line, r.CPU = fast, slowCPU }
			if _, r := m.mustPull(); r.Route == "blocks" || len(m.warnings) == 0 {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}
