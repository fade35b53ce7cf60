package apply_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/blockmap"
	"deltaup/mkimage/squashfs"
)

// TestBlocksSeedChanges changes a seed between quote and run.
func TestBlocksSeedChanges(t *testing.T) {
	m := newTarget(t)
	m.take("blocks")
	good := readFile(t, m.seeds[0])
	seed := m.seeds[0] + "-that-changes"
	m.seeds = []string{seed}
	if err := os.WriteFile(seed, good, 0o644); err != nil {
		t.Fatal(err)
	}
	u, done, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	bad := bytes.Clone(good)
	for i := 96; i < len(bad); i += 1000 {
		bad[i] ^= 0xff
	}
	if err := os.WriteFile(seed, bad, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = u.Run(t.Context())
	done()
	if !errors.Is(err, apply.ErrSeed) || !strings.Contains(err.Error(), seed) {
		t.Errorf("got %v, want ErrSeed with the seed's path", err)
	}
	m.checkUnbootable()
	if err := os.WriteFile(seed, good, 0o644); err != nil {
		t.Fatal(err)
	}
	m.mustPull()
}

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

// TestLyingBlockmap: a map whose image is another one of the same size. What it says of fetched bytes is found to be wrong, and
// the image comes by another route.
func TestLyingBlockmap(t *testing.T) {
	w := patchedWorld(t, 2, 1)
	other := readFile(t, w.image[1])
	for i := 96; i < 96+200<<10; i += 999 {
		other[i] ^= 1
	}
	image, err := squashfs.Open(bytes.NewReader(other), int64(len(other)))
	if err != nil {
		t.Fatal(err)
	}
	lies, err := blockmap.Make(t.Context(), image, bytes.NewReader(other), int64(len(other)))
	if err != nil {
		t.Fatal(err)
	}
	file, err := lies.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	m := newTargetOf(t, altered(t, w, func(r *mirror.Release, put func([]byte, func(chunkstore.ID) string) mirror.Object) {
		o := put(file, mirror.BlockmapPath)
		r.Artifacts[0].Blockmap = &o
	}))
	m.with = func(r *apply.Request) { r.Line, r.CPU = fast, slowCPU }
	if _, r := m.mustPull(); r.Route == "blocks" || len(m.warnings) == 0 {
		t.Errorf("route %s, warnings %q", r.Route, m.warnings)
	}
}

// TestOtherBlocks: a map that agrees with the seed and not with the image: what is built is not the published image, and another way is gone.
func TestOtherBlocks(t *testing.T) {
	w := patchedWorld(t, 2, 1)
	old := readFile(t, w.image[0])
	new := readFile(t, w.image[1])
	// The image's first blocks with those of the seed in their place, where these differ.
	mixed := bytes.Clone(new)
	copy(mixed[96:512<<10], old[96:])
	if bytes.Equal(mixed, new) {
		t.Fatal("the images begin alike")
	}
	image, err := squashfs.Open(bytes.NewReader(mixed), int64(len(mixed)))
	if err != nil {
		t.Fatal(err)
	}
	lies, err := blockmap.Make(t.Context(), image, bytes.NewReader(mixed), int64(len(mixed)))
	if err != nil {
		t.Fatal(err)
	}
	file, err := lies.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	m := newTargetOf(t, altered(t, w, func(r *mirror.Release, put func([]byte, func(chunkstore.ID) string) mirror.Object) {
		o := put(file, mirror.BlockmapPath)
		r.Artifacts[0].Blockmap = &o
	}))
	m.with = func(r *apply.Request) { r.Line, r.CPU = fast, slowCPU }
	if _, r := m.mustPull(); r.Route == "blocks" || len(m.warnings) == 0 {
		t.Errorf("route %s, warnings %q", r.Route, m.warnings)
	}
}
