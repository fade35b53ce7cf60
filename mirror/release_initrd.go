package mirror

import (
	"bytes"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// initrdDictionaryID is in the frame header of an initrd's stored recipe.
const initrdDictionaryID = 1

// initrdDictionary is what an initrd's recipe is compressed with: lines as an initrd's recipe has them for the
// files of the image, the last of them if they are more than the window takes. They do not depend
// on how contents are cut, for who learns of an image by a patch set does not know its chunks.
func initrdDictionary(image *mkimage.Recipe) []byte {
	var b []byte
	for i := range image.Entries {
		e := &image.Entries[i]
		if e.Content == nil || e.Link != "" {
			continue
		}
		b = fmt.Appendf(b, "f %04o %d %d %d 1 1 %d %s %s\n", e.Mode, e.UID, e.GID, e.ModTime, e.Content.Size, e.Content.ID, e.Path)
		if len(b) > 2*recipeWindow {
			b = append(b[:0], b[len(b)-recipeWindow:]...)
		}
	}
	return b[max(0, len(b)-recipeWindow):]
}

// encodeInitrdRecipe compresses an initrd's recipe for the mirror. Contents that the image has, too,
// lose their chunk lists: one hole stands for several chunks.
func encodeInitrdRecipe(r *initrd.Recipe, image *mkimage.Recipe) (stored []byte, o RecipeObject, err error) {
	has := contentsOf(image)
	chunks := map[*chunkstore.Content][]chunkstore.Chunk{}
	for c := range r.Contents() {
		if has[c.ID] != nil && len(c.Chunks) > 1 {
			chunks[c] = c.Chunks
			c.Chunks = []chunkstore.Chunk{{Size: c.Size}}
		}
	}
	var plain bytes.Buffer
	_, err = r.WriteTo(&plain)
	for c, list := range chunks {
		c.Chunks = list
	}
	if err != nil {
		return nil, o, err
	}
	return encodeRecipe(plain.Bytes(), zstd.WithEncoderDictRaw(initrdDictionaryID, initrdDictionary(image)))
}

// DecodeInitrd is Decode for an initrd's recipe, beside the recipe of the release's image. Contents that
// the image has, too, have the chunks that they have there; when these are not known, a list of the right size.
func (o RecipeObject) DecodeInitrd(stored []byte, image *mkimage.Recipe) (r *initrd.Recipe, err error) {
	err = o.decode(stored, func(in io.Reader) (err error) {
		r, err = initrd.ParseRecipe(in)
		return err
	}, zstd.WithDecoderDictRaw(initrdDictionaryID, initrdDictionary(image)))
	if err != nil {
		return nil, err
	}
	has := contentsOf(image)
	for c := range r.Contents() {
		same := has[c.ID]
		switch {
		case same == nil:
		case same.Size != c.Size:
			return nil, fmt.Errorf("recipe %s: %w: content %s has another size in the image", o.ID, chunkstore.ErrCorrupt, c.ID)
		case len(same.Chunks) > 0 && r.Chunking == image.Chunking:
			c.Chunks = same.Chunks
		default:
			n := min(c.Size, int64(r.Chunking.Max))
			c.Chunks = []chunkstore.Chunk{{ID: c.ID, Size: n}}
			if n < c.Size {
				c.Chunks = append(c.Chunks, chunkstore.Chunk{Size: c.Size - n})
			}
		}
	}
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("recipe %s: %w", o.ID, err)
	}
	return r, nil
}

// InitrdChunks lists the chunks of the contents that an initrd has and the image has not, which is what
// the initrd's own index locates.
func InitrdChunks(r *initrd.Recipe, image *mkimage.Recipe) []chunkstore.Chunk {
	has := contentsOf(image)
	return chunkstore.Distinct(func(yield func(*chunkstore.Content) bool) {
		for c := range r.Contents() {
			if has[c.ID] == nil && !yield(c) {
				return
			}
		}
	})
}

func contentsOf(image *mkimage.Recipe) map[chunkstore.ID]*chunkstore.Content {
	has := map[chunkstore.ID]*chunkstore.Content{}
	for c := range image.Contents() {
		has[c.ID] = c
	}
	return has
}

// validateInitrd looks at what only an initrd that is rebuilt has.
func (a *Artifact) validateInitrd() error {
	if a.Recipe == nil || a.Blockmap != nil {
		return fmt.Errorf("has no recipe, or a block map")
	}
	if err := a.Recipe.validate(); err != nil {
		return err
	}
	if a.Index != nil {
		if err := a.Index.validate(MaxIndexSize); err != nil {
			return fmt.Errorf("index: %w", err)
		}
	}
	return nil
}
