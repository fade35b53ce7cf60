package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// Recipes are compressed with a window of this size at most, which is what a target needs in memory
// beside the recipe.
const recipeWindow = 8 << 20

// EncodeRecipe compresses a recipe for the mirror.
func EncodeRecipe(plain []byte, more ...zstd.EOption) (stored []byte, o RecipeObject, err error) {
	enc, err := zstd.NewWriter(nil, append(more, zstd.WithEncoderLevel(zstd.SpeedBestCompression),
		zstd.WithWindowSize(recipeWindow), zstd.WithEncoderConcurrency(1))...)
	if err != nil {
		return nil, o, err
	}
	stored = enc.EncodeAll(plain, nil)
	if err := enc.Close(); err != nil {
		return nil, o, err
	}
	if len(stored) > MaxRecipeSize || len(plain) > MaxPlainRecipeSize {
		return nil, o, fmt.Errorf("recipe of %d bytes (%d compressed) is over the limit of %d (%d)",
			len(plain), len(stored), MaxPlainRecipeSize, MaxRecipeSize)
	}
	return stored, RecipeObject{
		Object: ObjectOf(stored),
		Plain:  int64(len(plain)),
		Text:   chunkstore.Sum(plain),
	}, nil
}

// Decode decompresses and parses a stored recipe, whose bytes the caller has verified against
// o.Object. At most o.Plain bytes are decompressed, and they are held against o.Text. Errors wrap
// chunkstore.ErrCorrupt or chunkstore.ErrVersion.
func (o RecipeObject) Decode(stored []byte) (r *mkimage.Recipe, err error) {
	err = o.decode(stored, func(in io.Reader) (err error) {
		r, err = mkimage.ParseRecipe(in)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// decode gives the text to parse.
func (o RecipeObject) decode(stored []byte, parse func(io.Reader) error,
	more ...zstd.DOption) error {
	dec, err := zstd.NewReader(bytes.NewReader(stored), append(more, zstd.WithDecoderConcurrency(1),
		zstd.WithDecoderMaxWindow(recipeWindow), zstd.WithDecoderLowmem(true))...)
	if err != nil {
		return fmt.Errorf("recipe %s: %w: %w", o.ID, chunkstore.ErrCorrupt, err)
	}
	defer dec.Close()
	plain := chunkstore.NewVerifier(dec, o.Text, o.Plain)
	err = parse(plain)
	// The parser may stop before the end of what it was given. Wrong bytes are the reason why they
	// do not parse.
	if _, wrong := io.Copy(io.Discard, plain); wrong != nil {
		err = decodeError(wrong)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, chunkstore.ErrCorrupt), errors.Is(err, chunkstore.ErrVersion):
		return fmt.Errorf("recipe %s: %w", o.ID, err)
	}
	return fmt.Errorf("recipe %s: %w: %w", o.ID, chunkstore.ErrCorrupt, err)
}

// decodeError says what a recipe's text is instead of the one that the release names.
func decodeError(err error) error {
	m, ok := errors.AsType[*chunkstore.Mismatch](err)
	switch {
	case !ok:
		return chunkstore.DecompressError(err)
	case m.GotSize > m.WantSize:
		return fmt.Errorf("%w: %w: longer than the release says", chunkstore.ErrCorrupt,
			chunkstore.ErrBomb)
	case m.GotSize < m.WantSize:
		return fmt.Errorf("%w: %d bytes shorter than the release says", chunkstore.ErrCorrupt,
			m.WantSize-m.GotSize)
	}
	return fmt.Errorf("%w: its text has the hash %s, not %s", chunkstore.ErrCorrupt, m.GotID,
		m.WantID)
}
