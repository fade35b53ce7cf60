package apply

import (
	"cmp"
	"context"
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

// recipes keeps the recipes of images that were read or written, so that the next update need not read all of a seed to know what is in
// it. The folder, which all slots share, has a file for each: zstd, by the image's fingerprint.
//
// A recipe is believed: an image whose data were damaged has the fingerprint that it had before. Whoever uses a content finds out, and
// Update.startOver forgets the recipe then.
type recipes struct{ dir, tmp string }

// keptRecipes is how many are kept, those that were used last: of the slots of a machine, and of what else is tried on it.
const keptRecipes = 6

// keptWindow is the memory that one takes to be compressed and decompressed.
const keptWindow = 1 << 20

func (r recipes) path(fingerprint chunkstore.ID) string {
	return filepath.Join(r.dir, fingerprint.String()+".zst")
}

// has tells whether there seems to be one.
func (r recipes) has(fingerprint chunkstore.ID) bool {
	_, err := os.Stat(r.path(fingerprint))
	return err == nil
}

// knows tells whether there seems to be one of an image.
func (r recipes) knows(image string) bool {
	f, err := os.Open(image)
	if err != nil {
		return false
	}
	defer f.Close() // read only
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return false
	}
	m, err := squashfs.Open(f, size)
	if err != nil {
		return false
	}
	fingerprint, err := mkimage.Fingerprint(m)
	return err == nil && r.has(fingerprint)
}

// get reads one; any error means that the image is to be read.
func (r recipes) get(fingerprint chunkstore.ID) (*mkimage.Recipe, error) {
	f, err := os.Open(r.path(fingerprint))
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	dec, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(keptWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, err
	}
	defer dec.Close()
	recipe, err := mkimage.ParseRecipe(io.LimitReader(dec, mirror.MaxPlainRecipeSize))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return recipe, os.Chtimes(f.Name(), now, now)
}

// recall gives an image's fingerprint, zero when it cannot be read, and its recipe, nil when none is kept that is cut by params (zero: any).
func (r recipes) recall(image *squashfs.Image, params chunkstore.Params) (fingerprint chunkstore.ID, recipe *mkimage.Recipe) {
	fingerprint, err := mkimage.Fingerprint(image)
	if err != nil {
		return chunkstore.ID{}, nil
	}
	if recipe, err = r.get(fingerprint); err != nil || params != (chunkstore.Params{}) && params != recipe.Chunking {
		return fingerprint, nil
	}
	return fingerprint, recipe
}

// put keeps one, and drops those that were used least lately.
func (r recipes) put(fingerprint chunkstore.ID, recipe *mkimage.Recipe) error {
	if err := durable.MkdirAll(r.dir); err != nil {
		return noSpace(err)
	}
	err := durable.WriteFile(r.tmp, r.path(fingerprint), func(w io.Writer) error {
		enc, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(keptWindow))
		if err != nil {
			return err
		}
		_, err = recipe.WriteTo(enc)
		return errors.Join(err, enc.Close())
	})
	if err != nil {
		return noSpace(err)
	}
	return r.prune()
}

// forget drops one.
func (r recipes) forget(fingerprint chunkstore.ID) error {
	return durable.Remove(r.path(fingerprint))
}

// prune leaves keptRecipes files.
func (r recipes) prune() error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	var kept []fs.FileInfo
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && filepath.Ext(e.Name()) == ".zst" {
			kept = append(kept, info)
		}
	}
	slices.SortFunc(kept, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), cmp.Compare(a.Name(), b.Name()))
	})
	for _, info := range kept[min(keptRecipes, len(kept)):] {
		err = errors.Join(err, os.Remove(filepath.Join(r.dir, info.Name())))
	}
	return err
}

// keepRecipe keeps the recipe of the image that the slot holds, when it is known. The contents that came by patch, of which it has no chunks,
// are read and cut for it.
func (u *Update) keepRecipe(ctx context.Context) error {
	if u.recipe == nil || !u.rebuilds() {
		return nil
	}
	image, err := squashfs.Open(u.r.Slot, u.image.Size)
	if err != nil {
		return err
	}
	fingerprint, err := mkimage.Fingerprint(image)
	if err != nil || u.state.kept.has(fingerprint) {
		return err
	}
	d, err := mkimage.Derive(ctx, image, chunkstore.Params{}, mkimage.DeriveOptions{Known: u.recipe})
	if err != nil {
		return err
	}
	h := chunkstore.NewHasher()
	if _, err := d.Recipe.WriteTo(h); err != nil {
		return err
	}
	if h.ID() != u.image.Recipe.Text {
		return nil // the release's recipe is another one
	}
	return u.state.kept.put(fingerprint, d.Recipe)
}
