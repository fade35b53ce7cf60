package state

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"deltaup/internal/test/mirrortest"
	"deltaup/mkimage"
)

// TestKeptRecipesAreFew keeps more recipes than there is to be, each time with a clock that went
// back.
func TestKeptRecipesAreFew(t *testing.T) {
	dir := t.TempDir()
	kept := Recipes{dir: filepath.Join(dir, "recipes"), tmp: filepath.Join(dir, "tmp")}
	if err := kept.Clear(); err != nil {
		t.Errorf("nothing is kept yet: %v", err)
	}
	for n := range keptRecipes + 3 {
		image := filepath.Join(dir, fmt.Sprintf("%d.squashfs", n))
		tree := filepath.Join(dir, fmt.Sprint(n))
		if err := mirrortest.WriteFiles(tree, map[string][]byte{fmt.Sprint("file", n): mirrortest.Noise(uint64(n), 1000)}); err != nil {
			t.Fatal(err)
		}
		if err := mirrortest.Image(t.Context(), tree, image, "fastest"); err != nil {
			t.Fatal(err)
		}
		text, err := os.Open(image + ".recipe")
		if err != nil {
			t.Fatal(err)
		}
		defer text.Close()
		recipe, err := mkimage.ParseRecipe(text)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(image)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		size, err := f.Seek(0, 2)
		if err != nil {
			t.Fatal(err)
		}
		id, err := recipe.ID()
		if err != nil {
			t.Fatal(err)
		}
		if err := kept.Put(f, size, recipe, id); err != nil {
			t.Fatal(err)
		}
		if !kept.Knows(image) {
			t.Fatalf("recipe %d is not kept", n)
		}
		files, err := filepath.Glob(filepath.Join(kept.dir, "*"))
		if err != nil || len(files) != min(n+1, keptRecipes) {
			t.Fatalf("after %d: %d files, %v", n+1, len(files), err)
		}
		for _, f := range files {
			later := time.Now().Add(time.Hour)
			if err := os.Chtimes(f, later, later); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := kept.Clear(); err != nil {
		t.Error(err)
	}
	if files, _ := filepath.Glob(filepath.Join(kept.dir, "*")); len(files) > 0 {
		t.Errorf("%d files are left", len(files))
	}
}
