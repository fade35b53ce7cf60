package patchset

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"deltaup/chunkstore"
)

// noise gives n bytes that do not compress.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(b)
	return b
}

// frames gives the stored bytes of the missing chunks of a content, as on a mirror.
func frames(from, to *release) func(c *chunkstore.Content) int64 {
	has := make(map[chunkstore.ID]bool)
	for _, k := range from.recipe.Chunks() {
		has[k.ID] = true
	}
	return func(c *chunkstore.Content) (n int64) {
		plain := to.plain[c.ID]
		for _, k := range c.Chunks {
			if !has[k.ID] {
				n += int64(len(chunkstore.EncodeFrame(nil, plain[:k.Size])))
			}
			plain = plain[k.Size:]
		}
		return n
	}
}

// TestLeftOut has a content that joins several old contents. A patch knows only one of them as
// base, whereas the old release has nearly all of its chunks.
func TestLeftOut(t *testing.T) {
	var parts [][]byte
	var old []file
	for i := range 4 {
		parts = append(parts, noise(uint64(i), 400<<10))
		old = append(old, file{path: "old/" + string(rune('a'+i)), plain: parts[i]})
	}
	readme := text(1, 50_000)
	from := newRelease(t, 1, chunkstore.DefaultParams, append(old, file{path: "readme", plain: readme}))
	joined := file{path: "joined", plain: slices.Concat(parts...)}
	fresh := file{path: "fresh", plain: noise(9, 100<<10)}
	to := newRelease(t, 1, chunkstore.DefaultParams, []file{joined, fresh, {path: "readme", plain: changed(readme, 9000)}, {path: "words", plain: text(2, 70_000)}})
	paths := func(o MakeOptions) (list []string) {
		o.ChunkCost = frames(from, to)
		set, stats := makeSet(t, from, to, o)
		s := checkSet(t, set, from, to)
		if len(s.Entries) != len(stats.Entries) {
			t.Errorf("%d entries, but statistics of %d", len(s.Entries), len(stats.Entries))
		}
		for _, e := range stats.Entries {
			list = append(list, e.Path)
		}
		return list
	}
	all := paths(MakeOptions{LeftOutCost: 10 << 20})
	if len(all) != 4 {
		t.Fatalf("no content saves 10 MiB, but the set has %q", all)
	}
	// New random bytes cost the same in the set as by chunks, and need no further request there.
	if got := paths(MakeOptions{LeftOutCost: 600 << 10}); !slices.Equal(got, slices.DeleteFunc(all, func(p string) bool { return p == "joined" })) {
		t.Errorf("the set has %q", got)
	}
	with, _ := makeSet(t, from, to, MakeOptions{})
	without, _ := makeSet(t, from, to, MakeOptions{ChunkCost: frames(from, to), LeftOutCost: 600 << 10})
	if saved := len(with) - len(without); saved < 1000<<10 {
		t.Errorf("%d bytes are saved", saved)
	}
	again, _ := makeSet(t, from, to, MakeOptions{ChunkCost: frames(from, to), LeftOutCost: 600 << 10, workers: 7})
	if !bytes.Equal(again, without) {
		t.Error("another set with more goroutines")
	}
}
