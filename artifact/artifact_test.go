package artifact

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/internal/test/cpiotest"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
)

var update = flag.Bool("update", false, "write the golden set anew")

// golden are sets of each version. go test ./artifact -run Golden -update makes the last one.
var golden = []string{"testdata/v1.set", "testdata/v3.set"}

// kind is what the tests take apart.
var kind = ByName("initrd")

// side is an initrd that was taken apart; it stores its chunks.
type side struct {
	recipe Recipe
	files  map[chunkstore.ID][]byte // also those of single chunks
}

// Chunk implements chunkstore.Store.
func (s *side) Chunk(_ context.Context, c chunkstore.Chunk) ([]byte, error) {
	if b, ok := s.files[c.ID]; ok {
		return b, nil
	}
	return nil, chunkstore.ErrNotFound
}

// Locate implements chunkstore.Store.
func (s *side) Locate(chunkstore.ID) (chunkstore.Location, bool) { return chunkstore.Location{}, false }

func takeApart(t testing.TB, files map[string][]byte) *side {
	t.Helper()
	r, _, err := kind.TakeApart(t.Context(), bytes.NewReader(cpiotest.Initrd(files)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &side{recipe: r, files: map[chunkstore.ID][]byte{}}
	for _, b := range files {
		c, err := chunkstore.NewSplitter(r.Chunking()).Split(bytes.NewReader(b), func(k chunkstore.Chunk, plain []byte) error {
			s.files[k.ID] = bytes.Clone(plain)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		s.files[c.ID] = b
	}
	return s
}

// both is a store of two initrds' chunks.
func both(a, b *side) *side {
	s := &side{files: maps.Clone(a.files)}
	maps.Copy(s.files, b.files)
	return s
}

func imageOf(files map[string][]byte) *mkimage.Recipe {
	r := &mkimage.Recipe{Chunking: chunkstore.DefaultParams, Entries: mkimage.PackEntries(mkimage.Entry{Entry: tree.Entry{Attr: tree.Attr{Type: tree.Directory}}})}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		c := &chunkstore.Content{ID: chunkstore.Sum(files[name]), Size: int64(len(files[name]))}
		r.Entries.Append(mkimage.Entry{Content: c, Entry: tree.Entry{
			Path: name, Size: c.Size, Attr: tree.Attr{Type: tree.Regular, Mode: 0o644, ModTime: 1_700_000_000},
		}})
	}
	return r
}

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// fixture is two initrds and the image beside the second.
func fixture(t testing.TB) (old, new *side, image *mkimage.Recipe) {
	t.Helper()
	rest := map[string][]byte{"bin": noise(1, 90<<10), "lib": noise(2, 3000)}
	own := noise(3, 300<<10)
	first := map[string][]byte{"init": own, "conf": []byte("old\n"), "same": noise(4, 5000), "lib/modules/6.1.0-50/dep": bytes.Repeat([]byte("abc def\n"), 900)}
	maps.Copy(first, rest)
	changed := bytes.Clone(own)
	copy(changed[100<<10:], "changed")
	second := map[string][]byte{"init": changed, "conf": []byte("new\n"), "same": first["same"],
		"lib/modules/6.1.0-56/dep": append([]byte("first\n"), first["lib/modules/6.1.0-50/dep"]...)}
	rest["lib"] = noise(5, 3100)
	maps.Copy(second, rest)
	return takeApart(t, first), takeApart(t, second), imageOf(rest)
}

func mustMake(t testing.TB, old, new *side, image *mkimage.Recipe) []byte {
	t.Helper()
	var b bytes.Buffer
	pair := Pair{kind, old.recipe, new.recipe, image, patchset.FromStore(old), both(old, new)}
	if _, err := Make(t.Context(), &b, pair, patchset.MakeOptions{}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// open is Open of a whole set.
func open(t testing.TB, set []byte, old Recipe, image *mkimage.Recipe) (*patchset.Head, *Set, error) {
	t.Helper()
	size, err := patchset.HeadSize(set)
	if err != nil {
		t.Fatal(err)
	}
	h, err := patchset.ReadHead(set[:size])
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(h, kind, old, image)
	if err == nil {
		err = s.ReadRecipe(stored(set, h, 0))
	}
	return h, s, err
}

func stored(set []byte, h *patchset.Head, n int) []byte {
	return set[h.Groups[n].Offset:][:h.Groups[n].Length]
}

// wantApplied demands that a set gives the new initrd's recipe and what image and old initrd lack.
func wantApplied(t testing.TB, set []byte, old, new *side, image *mkimage.Recipe) {
	t.Helper()
	h, s, err := open(t, set, old.recipe, image)
	if err != nil {
		t.Fatal(err)
	}
	want, err := recipeText(new.recipe)
	if err != nil {
		t.Fatal(err)
	}
	got, err := recipeText(s.Recipe)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the recipe is\n%s\nwant\n%s\nerror %v", got, want, err)
	}
	made := map[chunkstore.ID][]byte{}
	_, err = s.Apply(t.Context(),
		func(n int) ([]byte, error) { return stored(set, h, n), nil },
		func(c *chunkstore.Content) (io.ReaderAt, error) { return bytes.NewReader(old.files[c.ID]), nil },
		func(c *chunkstore.Content, piece []byte) error {
			made[c.ID] = append(made[c.ID], piece...)
			return nil
		})
	if err != nil {
		t.Fatal(err)
	}
	has := byID(old.recipe)
	for c := range image.Contents() {
		has[c.ID] = c
	}
	for c := range new.recipe.Contents() {
		if has[c.ID] == nil && chunkstore.Sum(made[c.ID]) != c.ID {
			t.Errorf("content %v of %d bytes: %d bytes were made", c.ID, c.Size, len(made[c.ID]))
		}
		if has[c.ID] != nil && made[c.ID] != nil {
			t.Errorf("content %v of %d bytes is in the set for nothing", c.ID, c.Size)
		}
	}
}

func TestSet(t *testing.T) {
	old, new, image := fixture(t)
	set := mustMake(t, old, new, image)
	if len(set) > 1500 {
		t.Errorf("%d bytes for two changed lines", len(set))
	}
	wantApplied(t, set, old, new, image)
	// Taken apart otherwise, it is the same initrd.
	r := *old.recipe.(initrdRecipe).Recipe
	r.Codec, r.Chunking = "another.1", chunkstore.Params{Min: 1 << 10, Average: 2 << 10, Max: 4 << 10}
	if _, _, err := open(t, set, initrdRecipe{&r}, image); err != nil {
		t.Errorf("another codec and other chunks: %v", err)
	}
	if _, _, err := open(t, set, new.recipe, image); !errors.Is(err, patchset.ErrFrom) {
		t.Errorf("from another initrd: %v", err)
	}
	if _, _, err := open(t, set, old.recipe, imageOf(nil)); !errors.Is(err, patchset.ErrFrom) {
		t.Errorf("beside another image: %v", err)
	}
}

// TestGolden opens a set that an earlier version made.
func TestGolden(t *testing.T) {
	old, new, image := fixture(t)
	if *update {
		if err := os.WriteFile(golden[1], mustMake(t, old, new, image), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range golden {
		set, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		wantApplied(t, set, old, new, image)
	}
}

// TestOddNames has names that are no paths of a tree, or are in each other's way.
func TestOddNames(t *testing.T) {
	files := map[string][]byte{}
	for i, name := range []string{".", "..", "/", "a", "a/b", "a//c", "../../x", "x\x00y", strings.Repeat("n", 300), strings.Repeat("d/", 400) + "e", "./a/b", "-"} {
		files[name] = noise(byte(10+i), 100+i)
	}
	old, new := takeApart(t, map[string][]byte{"a/b": noise(10, 99), "zzz": noise(30, 10)}), takeApart(t, files)
	image := imageOf(nil)
	wantApplied(t, mustMake(t, old, new, image), old, new, image)
	wantApplied(t, mustMake(t, new, old, image), new, old, image)
}

// TestDamage flips each byte of a set: it gives an error, or all that it should.
func TestDamage(t *testing.T) {
	old, new, image := fixture(t)
	set := mustMake(t, old, new, image)
	size, err := patchset.HeadSize(set)
	if err != nil {
		t.Fatal(err)
	}
	h, err := patchset.ReadHead(bytes.Clone(set[:size]))
	if err != nil {
		t.Fatal(err)
	}
	for i := range h.Groups[0].Length {
		group := bytes.Clone(stored(set, h, 0))
		group[i] ^= 0x10
		s, err := Open(h, kind, old.recipe, image)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.ReadRecipe(group); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Fatalf("byte %d of the group: %v", i, err)
		}
	}
	_, s, err := open(t, set, old.recipe, image)
	if err != nil {
		t.Fatal(err)
	}
	none := func(*chunkstore.Content, []byte) error { return nil }
	wrong := func(c *chunkstore.Content) (io.ReaderAt, error) { return bytes.NewReader(make([]byte, c.Size)), nil }
	if _, err := s.Apply(t.Context(), nil, wrong, none); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("another base: %v", err)
	}
	fail := errors.New("fail")
	if _, err := s.Apply(t.Context(), nil, func(*chunkstore.Content) (io.ReaderAt, error) { return nil, fail }, none); !errors.Is(err, fail) {
		t.Errorf("no base: %v", err)
	}
}

// TestIncomplete has a set whose recipe needs a content that nobody has.
func TestIncomplete(t *testing.T) {
	old, new, image := fixture(t)
	set := mustMake(t, old, new, image)
	_, s, err := open(t, set, old.recipe, image)
	if err != nil {
		t.Fatal(err)
	}
	s.Step.Entries = s.Step.Entries[:len(s.Step.Entries)-1]
	if err := s.complete(image); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("error %v", err)
	}
}

func TestTakeChunks(t *testing.T) {
	_, new, image := fixture(t)
	for c := range image.Contents() {
		c.Size++
	}
	if err := takeChunks(new.recipe, image); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("contents of other sizes: %v", err)
	}
}

// FuzzParse: a recipe that a set gives, whatever its text, can be listed and is what it was parsed
// from.
func FuzzParse(f *testing.F) {
	_, new, image := fixture(f)
	text, err := recipeText(named(new.recipe, image))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	odd := takeApart(f, map[string][]byte{"a\x00": noise(1, 10), "a/../..": noise(2, 70<<10), "a": noise(3, 10), "a/b": noise(4, 10)})
	if text, err = recipeText(odd.recipe); err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(fmt.Sprintf("deltaup-initrd 1\ncodec x\nchunks min=64 average=64 max=64\nframe\ncpio newc upper\nf 0644 0 0 1 1 1 70 %v x\n+ 70 -\nt 0 0 0 0 1 0\nend 8\n", chunkstore.Sum(text))))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parse(kind, text, image)
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		if _, err := newListing(r, image); err != nil {
			t.Errorf("new listing: %v", err)
		}
		if _, err := oldListing(kind, r, image, true); err != nil {
			t.Errorf("old listing: %v", err)
		}
		again, err := recipeText(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parse(kind, again, image); err != nil {
			t.Errorf("%v of\n%s", err, again)
		}
	})
}
