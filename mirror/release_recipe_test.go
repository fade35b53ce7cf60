package mirror

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
)

// someRecipe is a recipe as a file.
func someRecipe(t testing.TB) []byte {
	t.Helper()
	t1, _ := trees()
	plain, err := os.ReadFile(makeImage(t, t1) + RecipeSuffix)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestRecipeRoundTrip(t *testing.T) {
	plain := someRecipe(t)
	stored, o, err := encodeRecipe(plain)
	if err != nil {
		t.Fatal(err)
	}
	r, err := o.Decode(stored)
	if err != nil {
		t.Fatal(err)
	}
	var again bytes.Buffer
	if _, err := r.WriteTo(&again); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Bytes(), plain) {
		t.Error("the decoded recipe is another one")
	}
}

func TestDamagedRecipes(t *testing.T) {
	plain := someRecipe(t)
	stored, o, err := encodeRecipe(plain)
	if err != nil {
		t.Fatal(err)
	}
	compress := func(plain []byte, o ...zstd.EOption) []byte {
		enc, err := zstd.NewWriter(nil, o...)
		if err != nil {
			t.Fatal(err)
		}
		defer enc.Close()
		return enc.EncodeAll(plain, nil)
	}
	// A bomb: 1 GiB of nothing in little more than 32 KiB.
	bomb := bytes.Repeat(compress(make([]byte, 4<<20)), 256)
	for what, c := range map[string]struct {
		stored []byte
		plain  int64
	}{
		"shorter than said":      {stored, o.Plain + 1},
		"longer than said":       {stored, o.Plain - 1},
		"cut":                    {stored[:len(stored)-1], o.Plain},
		"more behind":            {append(bytes.Clone(stored), 0), o.Plain},
		"no zstd":                {plain, o.Plain},
		"nothing":                {nil, o.Plain},
		"an empty frame":         {compress(nil), o.Plain},
		"another recipe":         {compress(plain[1:]), o.Plain - 1},
		"a second recipe behind": {append(bytes.Clone(stored), stored...), 2 * o.Plain},
		"a bomb":                 {append(bytes.Clone(stored), bomb...), o.Plain},
		"a window too large":     {compress(make([]byte, 40<<20), zstd.WithWindowSize(32<<20), zstd.WithSingleSegment(false)), 40 << 20},
	} {
		bad := RecipeObject{Object: Object{ID: chunkstore.Sum(c.stored), Size: int64(len(c.stored))}, Plain: c.plain}
		if r, err := bad.Decode(c.stored); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: recipe %v, error %v", what, r, err)
		}
	}
}

func FuzzRecipeDecode(f *testing.F) {
	plain := someRecipe(f)
	stored, o, err := encodeRecipe(plain)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stored, o.Plain)
	f.Add(stored[:len(stored)/2], o.Plain)
	f.Fuzz(func(t *testing.T, stored []byte, plain int64) {
		if plain < 1 || plain > 1<<20 {
			return
		}
		o := RecipeObject{Object: Object{ID: chunkstore.Sum(stored), Size: int64(len(stored))}, Plain: plain}
		r, err := o.Decode(stored)
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		var again bytes.Buffer
		if _, err := r.WriteTo(&again); err != nil {
			t.Fatal(err)
		}
		if int64(again.Len()) != plain {
			t.Errorf("a recipe of %d bytes decodes where %d are said", again.Len(), plain)
		}
	})
}
