package apply_test

import (
	"bytes"
	"os"
	"testing"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta"
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

// lyingMap is a world whose newest release has a block map with the keys of other bytes than its
// image's.
func lyingMap(t *testing.T, w *world, other []byte) *world {
	t.Helper()
	file, err := mapOf(t, readFile(t, w.image[1]), other).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return altered(t, w, func(r *mirror.Release, put func([]byte, func(chunkstore.ID) string) mirror.Object) {
		o := put(file, mirror.BlockmapPath)
		r.Artifacts[0].Blockmap = &o
	})
}

// mapOf maps an image that is cut like image and has the bytes of other.
func mapOf(t *testing.T, image, other []byte) *blockmap.Map {
	t.Helper()
	m, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	b, err := blockmap.Make(t.Context(), m, bytes.NewReader(other), int64(len(other)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pieceBytes gives the pieces of an image by their keys.
func pieceBytes(t *testing.T, image []byte) map[blockmap.Key][]byte {
	pieces := map[blockmap.Key][]byte{}
	m := mapOf(t, image, image)
	for i := range m.Len() {
		p := m.Piece(i)
		pieces[p.Key] = image[p.Offset:][:p.Length]
	}
	return pieces
}

// TestLyingBlockmap: keys that nothing has are of no consequence as long as the bytes under way can
// be awaited, for the hash of the image tells that they are right; else they are given up with the
// route. Keys that lead to other pieces of the seed are found out from the image that was made.
func TestLyingBlockmap(t *testing.T) {
	w := patchedWorld(t, 2, 1)
	old, new := readFile(t, w.image[0]), readFile(t, w.image[1])
	damaged := bytes.Clone(new)
	for i := 96; i < 96+200<<10; i += 999 {
		damaged[i] ^= 1
	}
	mixed := bytes.Clone(new) // of the seed's pieces, some in the place of those that changed
	had, m, changed := pieceBytes(t, old), mapOf(t, new, new), 0
	for i := range m.Len() {
		p := m.Piece(i)
		if had[p.Key] != nil {
			continue
		}
		for _, b := range had {
			if len(b) == p.Length {
				changed += copy(mixed[p.Offset:], b)
				break
			}
		}
	}
	if changed == 0 {
		t.Fatal("no piece of the seed is as long as one that changed")
	}
	for _, tt := range []struct {
		name   string
		other  []byte
		line   delta.Line
		blocks bool // the route is kept
	}{
		{"damaged", damaged, fast, true},
		{"damaged, nothing awaited", damaged, delta.Line{}, false},
		{"mixed", mixed, fast, false},
		{"mixed, nothing awaited", mixed, delta.Line{}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newTargetOf(t, lyingMap(t, w, tt.other))
			m.with = func(r *apply.Request) { r.Line, r.CPU = tt.line, slowCPU }
			if _, r := m.mustPull(); (r.Route == "blocks") != tt.blocks || (len(m.warnings) == 0) != tt.blocks {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}
