package mkimage

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"deltaup/chunkstore"
)

// lacking gives r without the chunks of two thirds of its contents with data, and without the ids
// of half of these.
func lacking(r *Recipe) *Recipe {
	part := *r
	made := map[*chunkstore.Content]*chunkstore.Content{}
	part.Entries = changed(&r.Entries, func(_ int, e *Entry) {
		if e.Content == nil || e.Size == 0 || !hasData(e.Content) {
			return
		}
		c := made[e.Content]
		if c == nil {
			c = &chunkstore.Content{ID: e.Content.ID, Size: e.Size}
			switch len(made) % 3 {
			case 0:
				c.Chunks = e.Content.Chunks
			case 1:
				c.ID = chunkstore.StandIn(c.ID)
			}
			made[e.Content] = c
		}
		e.Content = c
	})
	return &part
}

func keptText(t *testing.T, r *Recipe, whole chunkstore.ID) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteKept(&b, whole); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestKept writes a recipe that lacks chunks and ids, and one that lacks nothing, and reads them.
// Derive believes the first, and completes it.
func TestKept(t *testing.T) {
	r, image, _ := makeImage(t, zoo(64<<10),
		Options{BlockSize: 64 << 10, Level: "fastest", Order: []string{"usr/lib/size-5"}})
	id, err := r.ID()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []*Recipe{r, lacking(r)} {
		text := keptText(t, want, id)
		got, whole, err := ParseKept(strings.NewReader(text))
		if err != nil || whole != id || got.Unlisted() != want.Unlisted() {
			t.Fatalf("read: whole %v, %v", whole, err)
		}
		if keptText(t, got, id) != text {
			t.Error("it is written otherwise the second time")
		}
		d := derive(t, withoutData(t, image), DeriveOptions{Known: got, Unlisted: true})
		if keptText(t, d.Recipe, id) != text {
			t.Error("from a kept recipe and no data comes another recipe")
		}
		var read int64
		d = derive(t, image, DeriveOptions{Known: d.Recipe, Progress: func(done, _ int64) { read = done }})
		if recipeText(t, d.Recipe) != recipeText(t, r) || read != want.Unlisted() {
			t.Errorf("completed: %d bytes read, %d were lacking, or another recipe", read, want.Unlisted())
		}
	}
	if lacking(r).Unlisted() == 0 || r.Unlisted() != 0 {
		t.Errorf("%d bytes are lacking, and %d of the whole recipe", lacking(r).Unlisted(), r.Unlisted())
	}
}

const keptSample = `deltaup-kept-recipe 1
image block-size=4096 codec=x mtime=0
chunks min=64 average=64 max=64
text 1111111111111111111111111111111111111111111111111111111111111111
d 0755 0 0 0 /
f 0644 0 0 0 9 ?00000000000000010000000000000002 /a
f 0644 0 0 0 9 ?00000000000000010000000000000002 /b
f 0644 0 0 0 70 ?3333333333333333333333333333333333333333333333333333333333333333 /c
f 0644 0 0 0 5 4444444444444444444444444444444444444444444444444444444444444444 /d
end 9
`

// TestParseKeptRefuses: nothing but what WriteKept writes is a kept recipe, and a recipe that lacks
// something is no recipe.
func TestParseKeptRefuses(t *testing.T) {
	if r, _, err := ParseKept(strings.NewReader(keptSample)); err != nil || r.Unlisted() != 79 ||
		r.Entries.Content(1) != r.Entries.Content(2) {
		t.Fatalf("the sample: %v", err)
	}
	for name, c := range map[string][2]string{
		"no stand-in":             {"?00000000000000010000000000000002 /b", "?00000000000000000000000000000000 /b"},
		"a digit less":            {"?00000000000000010000000000000002 /b", "?0000000000000001000000000000002 /b"},
		"upper case":              {"?3333", "?ABCD"},
		"a stand-in in full":      {"?3333333333333333333333333333333333", "?0000000000000000000000000000000033"},
		"chunks all the same":     {" /d\nend 9", " /d\nf 0644 0 0 0 90 ?" + strings.Repeat("5", 64) + " /e\n+ 90 -\nend 11"},
		"another size":            {"9 ?00000000000000010000000000000002 /b", "8 ?00000000000000010000000000000002 /b"},
		"known before":            {" /d\nend 9", " /d\nf 0644 0 0 0 5 ?" + strings.Repeat("4", 64) + " /e\nend 10"},
		"no text":                 {"text 1111111111111111111111111111111111111111111111111111111111111111\n", ""},
		"nothing lacks":           {"?", ""},
		"the magic of a recipe":   {"deltaup-kept-recipe 1", "deltaup-recipe 1"},
		"an empty one that lacks": {"9 ?00000000000000010000000000000002 /b", "0 ?00000000000000010000000000000002 /b"},
	} {
		text := strings.ReplaceAll(keptSample, c[0], c[1])
		if text == keptSample {
			t.Fatalf("%s: the case changes nothing", name)
		}
		if _, _, err := ParseKept(strings.NewReader(text)); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range len(keptSample) {
		if _, _, err := ParseKept(strings.NewReader(keptSample[:n])); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
	_, _, err := ParseKept(strings.NewReader(strings.Replace(keptSample, "recipe 1", "recipe 2", 1)))
	if !errors.Is(err, chunkstore.ErrVersion) {
		t.Errorf("a later version: %v", err)
	}
	if _, _, err := ParseKept(io.MultiReader()); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("nothing: %v", err)
	}
}

func FuzzParseKept(f *testing.F) {
	f.Add([]byte(keptSample))
	f.Add([]byte(sample))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, whole, err := ParseKept(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		if got := keptText(t, r, whole); got != string(text) {
			t.Errorf("encodes to %q", got)
		}
	})
}
