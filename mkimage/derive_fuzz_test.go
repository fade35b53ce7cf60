package mkimage

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// FuzzDerive reads damaged images made by Build. If the recipe validates, it must also parse.
func FuzzDerive(f *testing.F) {
	small := newTree(folder("a"), regular("a/b", []byte("some bytes")), regular("a/c", realistic(1, 5000)),
		regular("empty", nil), regular("zeros", make([]byte, 9000)))
	link := small.files[2]
	link.Path, link.Link, link.data = "link", "a/b", nil
	for _, tree := range []*memTree{small, newTree(append(small.files[1:], link)...), newTree()} {
		_, image, _ := makeImage(f, tree, Options{BlockSize: 4096, Level: "fastest", Order: []string{"a/c"}})
		f.Add(image)
	}
	f.Fuzz(func(t *testing.T, image []byte) {
		m, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			return
		}
		_, err = Derive(context.Background(), m, chunkstore.DefaultParams, DeriveOptions{})
		if err != nil && !errors.Is(err, squashfs.ErrCorrupt) && !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, squashfs.ErrUnsupported) {
			t.Errorf("error %v", err)
		}
		d, err := Derive(context.Background(), m, chunkstore.DefaultParams, DeriveOptions{Tolerant: true})
		if err != nil {
			t.Fatalf("tolerant: %v", err)
		}
		if d.Recipe.Validate() != nil {
			return
		}
		text := recipeText(t, d.Recipe)
		parsed, err := ParseRecipe(strings.NewReader(text))
		if err != nil {
			t.Fatalf("a valid recipe does not parse: %v\n%s", err, text)
		}
		if recipeText(t, parsed) != text {
			t.Error("a valid recipe parses to another one")
		}
	})
}
