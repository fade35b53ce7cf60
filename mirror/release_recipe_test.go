package mirror

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/internal/test/mirrortest"
	"deltaup/mkimage"
)

// someRecipe is a recipe as a file.
func someRecipe(t testing.TB) []byte {
	t.Helper()
	folder, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	files := map[string][]byte{"bin/big": mirrortest.Noise(10, 500<<10), "etc/small": []byte("one\n")}
	if err := mirrortest.WriteFiles(folder, files); err != nil {
		t.Fatal(err)
	}
	if err := mirrortest.Image(t.Context(), folder, image, "fastest"); err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile(image + ".recipe")
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestRecipeRoundTrip(t *testing.T) {
	plain := someRecipe(t)
	stored, o, err := EncodeRecipe(plain)
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
	stored, o, err := EncodeRecipe(plain)
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

// shortRecipe is the least that is a recipe: the fuzzer's seed.
const shortRecipe = "deltaup-recipe 1\nimage block-size=4096 codec=x mtime=0\nchunks min=64 average=64 max=64\nd 0755 0 0 0 /\nend 4\n"

// quickEncoder compresses what a fuzzer changes, so that the changes lie behind the compression.
func quickEncoder(f *testing.F) *zstd.Encoder {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(1<<16), zstd.WithEncoderConcurrency(1))
	if err != nil {
		f.Fatal(err)
	}
	return enc
}

// FuzzRecipeDecode gives a target a recipe of any text, or any bytes in the place of the compressed
// ones. The text counts when its length is as the release says, more bytes than it has aside, and
// when it is a recipe.
func FuzzRecipeDecode(f *testing.F) {
	enc := quickEncoder(f)
	f.Add([]byte(shortRecipe), int64(0), false)
	f.Add([]byte(shortRecipe), int64(-1), false)
	f.Add([]byte(shortRecipe), int64(1), false)
	f.Add(enc.EncodeAll([]byte(shortRecipe), nil), int64(0), true)
	f.Fuzz(func(t *testing.T, text []byte, more int64, raw bool) {
		plain := int64(len(text)) + more
		if plain < 1 || plain > 1<<20 {
			return
		}
		stored := text
		if !raw {
			stored = enc.EncodeAll(text, nil)
		}
		o := RecipeObject{Object: ObjectOf(stored), Plain: plain, Text: chunkstore.Sum(text)}
		r, err := o.Decode(stored)
		if err != nil && !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
			t.Errorf("error %v", err)
		}
		_, want := mkimage.ParseRecipe(bytes.NewReader(text))
		if good := want == nil && more == 0 && !raw; good != (err == nil) {
			t.Errorf("%q, %d bytes more: %v", text, more, err)
		}
		if err == nil {
			var again bytes.Buffer
			if _, err := r.WriteTo(&again); err != nil || !bytes.Equal(again.Bytes(), text) {
				t.Errorf("%q is read as %q: %v", text, again.Bytes(), err)
			}
		}
	})
}
