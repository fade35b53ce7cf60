package artifact

import (
	"bytes"
	"fmt"
	"iter"
	"math"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mkimage"
)

// dictionaryMax is the most bytes that Dictionary gives, and what a recipe that is compressed with
// it needs as window.
const dictionaryMax = 8 << 20

// Dictionary is what the recipe of a kind resembles most: lines as it has them for the files of the
// image beside it, the last of them if they are more than 8 MiB. They do not depend on how contents
// are cut, for who learns of an image by a patch set does not know its chunks.
func Dictionary(k Kind, image *mkimage.Recipe) []byte {
	var b []byte
	for i := range image.Entries {
		e := &image.Entries[i]
		if e.Content == nil || e.Link != "" {
			continue
		}
		b = k.AppendLine(b, e)
		if len(b) > 2*dictionaryMax {
			b = append(b[:0], b[len(b)-dictionaryMax:]...)
		}
	}
	return b[max(0, len(b)-dictionaryMax):]
}

// Own gives the contents that a recipe has and the image beside it has not.
func Own(r Recipe, image *mkimage.Recipe) iter.Seq[*chunkstore.Content] {
	has := byID(image)
	return func(yield func(*chunkstore.Content) bool) {
		for c := range r.Contents() {
			if has[c.ID] == nil && !yield(c) {
				return
			}
		}
	}
}

// OwnChunks lists the chunks of those contents, which is what the artifact's own index locates.
func OwnChunks(r Recipe, image *mkimage.Recipe) []chunkstore.Chunk {
	return chunkstore.Distinct(Own(r, image))
}

// Encode writes the text of a recipe that lies on a mirror beside the image's: contents that the
// image has, too, have no chunk lists in it, one hole stands for several chunks. See Complete.
func Encode(r Recipe, image *mkimage.Recipe) ([]byte, error) {
	has := byID(image)
	same := map[*chunkstore.Content]*chunkstore.Content{}
	return text(r.With(func(c *chunkstore.Content) *chunkstore.Content {
		switch {
		case has[c.ID] == nil || len(c.Chunks) <= 1:
			return c
		case same[c] == nil:
			same[c] = withChunk(c, chunkstore.Chunk{Size: c.Size})
		}
		return same[c]
	}))
}

// Complete makes a recipe whole that was parsed from what Encode gave: contents that the image has,
// too, get the chunks that they have there; when these are not known, a list of the right size. The
// error, when the recipe is none then, wraps chunkstore.ErrCorrupt.
func Complete(r Recipe, image *mkimage.Recipe) error {
	if err := takeChunks(r, image); err != nil {
		return err
	}
	return r.Validate()
}

// takeChunks gives the contents of a recipe that the image beside it has, too, the chunks that they
// have there; when these are not known, a list of the right size. The error, when a content has
// another size there, wraps chunkstore.ErrCorrupt.
func takeChunks(r Recipe, image *mkimage.Recipe) error {
	has := byID(image)
	for c := range r.Contents() {
		same := has[c.ID]
		switch {
		case same == nil:
		case same.Size != c.Size:
			return fmt.Errorf("%w: content %s has another size in the image", chunkstore.ErrCorrupt,
				c.ID)
		case len(same.Chunks) > 0 && r.Chunking() == image.Chunking:
			c.Chunks = same.Chunks
		default:
			c.Chunks = anyChunks(c, r.Chunking())
		}
	}
	return nil
}

// stripped is the text of a recipe without what depends on how the artifact was taken apart.
func stripped(r Recipe) ([]byte, error) { return text(withoutChunks(r, math.MaxInt64).Bare()) }

// recipeText is the text of a recipe as a set gives it: without chunks.
func recipeText(r Recipe) ([]byte, error) {
	b, err := text(withoutChunks(r, int64(r.Chunking().Max)))
	if err == nil && len(b) > patchset.PieceMax {
		err = fmt.Errorf("a recipe of %d bytes is too large for a patch set", len(b))
	}
	return b, err
}

func text(r Recipe) ([]byte, error) {
	var b bytes.Buffer
	_, err := r.WriteTo(&b)
	return b.Bytes(), err
}

// parse reads what recipeText gave.
func parse(k Kind, text []byte, image *mkimage.Recipe) (Recipe, error) {
	r, err := k.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	for c := range r.Contents() {
		c.Chunks = anyChunks(c, r.Chunking())
	}
	return r, Complete(r, image)
}

// withoutChunks copies a recipe. A content of more than most bytes gets one hole for its chunks,
// any other is one chunk, which takes no line.
func withoutChunks(r Recipe, most int64) Recipe {
	contents := map[*chunkstore.Content]*chunkstore.Content{}
	return r.With(func(c *chunkstore.Content) *chunkstore.Content {
		if contents[c] == nil {
			k := chunkstore.Chunk{ID: c.ID, Size: c.Size}
			if c.Size > most {
				k.ID = chunkstore.ID{}
			}
			contents[c] = withChunk(c, k)
		}
		return contents[c]
	})
}

// withChunk copies a content with one chunk for all of it.
func withChunk(c *chunkstore.Content, k chunkstore.Chunk) *chunkstore.Content {
	return &chunkstore.Content{ID: c.ID, Size: c.Size, Chunks: []chunkstore.Chunk{k}}
}

// anyChunks gives a valid list for a content whose chunks are not known.
func anyChunks(c *chunkstore.Content, cut chunkstore.Params) []chunkstore.Chunk {
	n := min(c.Size, int64(cut.Max))
	list := []chunkstore.Chunk{{ID: c.ID, Size: n}}
	if n < c.Size {
		list = append(list, chunkstore.Chunk{Size: c.Size - n})
	}
	return list
}
