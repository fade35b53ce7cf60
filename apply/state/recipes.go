package state

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/internal/durable"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
)

// Recipes keeps the recipes of images that were read or written, so that the next update need not
// read all of a seed to know what is in it. The folder, which all slots share, has a file for each,
// by the image's fingerprint: what mkimage.Recipe.WriteKept writes, in zstd.
//
// A kept recipe is no proof: an image whose data were damaged later has the fingerprint that it had
// before. So callers keep only what a publisher has published, never what they read of a damaged
// image.
type Recipes struct{ dir, tmp string }

// recipesName is the folder of the recipes in the state folder.
const recipesName = "recipes"

// keptRecipes is how many are kept, those that were used last: of the slots of a machine, and of
// what else is tried on it.
const keptRecipes = 6

// keptWindow is the memory that one takes to be compressed and decompressed.
const keptWindow = 1 << 20

func (r Recipes) path(fingerprint chunkstore.ID) string {
	return filepath.Join(r.dir, fingerprint.String()+".zst")
}

// RecipesOf gives the kept recipes of a state folder that need not be locked: to be read.
func RecipesOf(base string) Recipes { return Recipes{dir: filepath.Join(base, recipesName)} }

// Knows tells whether the recipe of the image in a file seems to be kept.
func (r Recipes) Knows(path string) bool {
	image, err := squashfs.OpenFile(path)
	if err != nil {
		return false
	}
	defer image.Close() // read only
	return r.Has(image.Image)
}

// Has tells whether the recipe of an image seems to be kept.
func (r Recipes) Has(image *squashfs.Image) bool {
	fingerprint, err := mkimage.Fingerprint(image)
	if err != nil {
		return false
	}
	_, err = os.Stat(r.path(fingerprint))
	return err == nil
}

// KeptRecipe is a kept recipe.
type KeptRecipe struct {
	*mkimage.Recipe               // contents may lack their chunks, see mkimage.Recipe.Unlisted
	Text            chunkstore.ID // of the text of the whole recipe
	Fingerprint     chunkstore.ID // of the image
}

// Of gives the kept recipe of an image. Any error means that the image has to be read.
func (r Recipes) Of(image *squashfs.Image) (*KeptRecipe, error) {
	fingerprint, err := mkimage.Fingerprint(image)
	if err != nil {
		return nil, err
	}
	kept, err := r.read(r.path(fingerprint))
	if err != nil {
		return nil, err
	}
	kept.Fingerprint = fingerprint
	return kept, nil
}

func (r Recipes) read(path string) (*KeptRecipe, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > mirror.MaxRecipeSize {
		return nil, chunkstore.ErrCorrupt
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	dec, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(keptWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	kept := &KeptRecipe{}
	kept.Recipe, kept.Text, err = mkimage.ParseKept(io.LimitReader(dec, mirror.MaxPlainRecipeSize))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	os.Chtimes(path, now, now) // should it fail, the recipe is only dropped sooner
	return kept, nil
}

// Put keeps the recipe of an image of size bytes, and drops those that were not used for longest.
// Text is the id of the whole recipe's text.
func (r Recipes) Put(f io.ReaderAt, size int64, recipe *mkimage.Recipe, text chunkstore.ID) error {
	image, err := squashfs.Open(f, size)
	if err != nil {
		return err
	}
	fingerprint, err := mkimage.Fingerprint(image)
	if err != nil {
		return err
	}
	if err := durable.MkdirAll(r.dir); err != nil {
		return err
	}
	path := r.path(fingerprint)
	err = durable.WriteFile(r.tmp, path, func(w io.Writer) error {
		enc, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1),
			zstd.WithWindowSize(keptWindow))
		if err != nil {
			return err
		}
		err = recipe.WriteKept(enc, text)
		return errors.Join(err, enc.Close())
	})
	if err != nil {
		return err
	}
	return r.prune(keptRecipes-1, path)
}

// Forget drops the recipe of the image with that fingerprint.
func (r Recipes) Forget(fingerprint chunkstore.ID) error {
	return durable.Remove(r.path(fingerprint))
}

// Clear drops all recipes.
func (r Recipes) Clear() error { return r.prune(0, "") }

// prune leaves newest, whatever the clock says, and so many others.
func (r Recipes) prune(others int, newest string) error {
	entries, err := os.ReadDir(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	type kept struct {
		name string
		used time.Time
	}
	var old []*kept
	for _, e := range entries {
		if info, err := e.Info(); err == nil && filepath.Ext(e.Name()) == ".zst" &&
			e.Name() != filepath.Base(newest) {
			old = append(old, &kept{e.Name(), info.ModTime()})
		}
	}
	slices.SortFunc(old, func(a, b *kept) int {
		return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.name, b.name))
	})
	for _, k := range old[min(others, len(old)):] {
		// Another process may do the same.
		if e := os.Remove(filepath.Join(r.dir, k.name)); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
