package patchset

import (
	"errors"
	"runtime"
	"slices"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

// TestHugeHole has a hole whose length no number of 32 bits holds.
func TestHugeHole(t *testing.T) {
	from, _ := smallFixture(t)
	const size = 5 << 30
	hole := &chunkstore.Content{
		ID: chunkstore.Sum([]byte("hole")), Size: size, Chunks: []chunkstore.Chunk{{Size: size}},
	}
	to := *from.recipe
	to.Entries = with(from, mkimage.Entry{Content: hole, Entry: tree.Entry{
		Path: "zz", Size: size, Attr: tree.Attr{Type: tree.Regular, Mode: 0o644},
	}})
	if err := to.Validate(); err != nil {
		t.Fatal(err)
	}
	var c columns
	writeRecipe(&c, from.recipe, &to, nil, nil, version)
	got, _, err := (&Head{version: version}).readRecipe(readColumns(c[:]), from.recipe)
	if err != nil || recipeText(t, got) != recipeText(t, &to) {
		t.Errorf("read %v, error %v", got, err)
	}
}

// TestCountsTakeNoMemory has a patch that claims as many entries, and paths in an order, as its
// columns have bytes, which a few compressed bytes can make.
func TestCountsTakeNoMemory(t *testing.T) {
	const many = 16 << 20
	from, _ := smallFixture(t)
	r := from.recipe
	for _, order := range []bool{false, true} {
		var c columns
		writeRecipe(&c, r, r, nil, nil, version)
		c[colHeader] = nil
		c.number(colHeader, uint64(r.BlockSize))
		c.text(colHeader, r.Codec)
		c.number(colHeader, uint64(r.ModTime))
		for _, n := range []int{r.Chunking.Min, r.Chunking.Average, r.Chunking.Max} {
			c.number(colHeader, uint64(n))
		}
		if order {
			c.number(colHeader, uint64(r.Entries.Len()))
			c.number(colHeader, many)
			c[colOrder] = slices.Repeat([]byte{1}, many)
		} else {
			c.number(colHeader, many)
			c.number(colHeader, uint64(len(r.First)))
			c[colFlags] = make([]byte, many)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := (&Head{version: version}).readRecipe(readColumns(c[:]), r)
		runtime.ReadMemStats(&after)
		if !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("order %v: error %v", order, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("order %v: it took %d bytes", order, n)
		}
	}
}
