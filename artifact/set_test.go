package artifact

import (
	"io"
	"runtime"
	"testing"
	"weak"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
)

// TestOneGroupInMemory applies a set of several groups twice. It keeps no two of them, and none in
// the end.
func TestOneGroupInMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	files := map[string][]byte{"conf": []byte("new\n")}
	for i, name := range []string{"a", "b"} {
		files[name] = noise(byte(100+i), 4200<<10)
	}
	old, new := takeApart(t, map[string][]byte{"conf": []byte("old\n")}), takeApart(t, files)
	image := imageOf(nil)
	set := mustMake(t, old, new, image)
	h, s, err := open(t, set, old.recipe, image)
	if err != nil || len(h.Groups) < 2 {
		t.Fatalf("%d groups, error %v", len(h.Groups), err)
	}
	var before weak.Pointer[patchset.Group]
	for range 2 {
		made := map[chunkstore.ID][]byte{}
		group := func(n int) ([]byte, error) {
			before = weak.Make(s.open)
			return stored(set, h, n), nil
		}
		base := func(c *chunkstore.Content) (io.ReaderAt, error) {
			return patchset.Bytes(old.files[c.ID]), nil
		}
		_, err := s.Apply(t.Context(), group, base, func(c *chunkstore.Content, piece []byte) error {
			if runtime.GC(); before.Value() != nil {
				t.Error("two groups are in memory")
			}
			made[c.ID] = append(made[c.ID], piece...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for name, b := range files {
			if id := chunkstore.Sum(b); chunkstore.Sum(made[id]) != id {
				t.Errorf("%s: %d bytes", name, len(made[id]))
			}
		}
		if s.open != nil {
			t.Error("a group is kept")
		}
	}
}

// TestGives compares what a set gives with recipes, however their contents are cut.
func TestGives(t *testing.T) {
	old, new, image := fixture(t)
	_, s, err := open(t, mustMake(t, old, new, image), old.recipe, image)
	if err != nil {
		t.Fatal(err)
	}
	whole := new.recipe.With(func(c *chunkstore.Content) *chunkstore.Content {
		return withChunk(c, chunkstore.Chunk{ID: c.ID, Size: c.Size})
	})
	for name, c := range map[string]struct {
		r    Recipe
		want bool
	}{
		"its own":       {new.recipe, true},
		"cut otherwise": {whole, true},
		"the old one":   {old.recipe, false},
		"bare":          {new.recipe.Bare(), false},
	} {
		if got, err := s.Gives(c.r); err != nil || got != c.want {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}
