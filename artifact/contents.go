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

// dictionaryMax is how many bytes Dictionary gives at most. A recipe that is compressed with it
// needs as large a window.
const dictionaryMax = 8 << 20

// Dictionary gives what a recipe of a kind resembles most: the lines of Kind.AppendLine for the
// files of the image beside it, and of more than 8 MiB the last 8 MiB. The lines do not depend on
// how contents are cut, because a target that learns of an image by a patch set does not know its
// chunks.
func Dictionary(k Kind, image *mkimage.Recipe) []byte { return dictionary(k, image, false) }

// dictionary is Dictionary, with names instead of ids when it is for a set that has them.
func dictionary(k Kind, image *mkimage.Recipe, byName bool) []byte {
	var b []byte
	for _, e := range image.Entries.All() {
		if e.Content == nil || e.Link != "" {
			continue
		}
		id := e.Content.ID
		if byName {
			id = nameOf(e.Path)
		}
		b = k.AppendLine(b, &e, id)
		if len(b) > 2*dictionaryMax {
			b = append(b[:0], b[len(b)-dictionaryMax:]...)
		}
	}
	return b[max(0, len(b)-dictionaryMax):]
}

// Own gives the contents of a recipe that the image beside it lacks.
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

// OwnChunks lists the chunks of the contents of Own. The artifact's own index locates these.
func OwnChunks(r Recipe, image *mkimage.Recipe) []chunkstore.Chunk {
	return chunkstore.Distinct(Own(r, image))
}

// Encode gives the text of a recipe as a mirror has it beside the image's recipe. For a content
// that the image has too, one hole stands for several chunks. [Complete] undoes that.
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

// Complete completes a recipe that was parsed from what [Encode] gave, as takeChunks says, and
// validates it. Errors wrap chunkstore.ErrCorrupt.
func Complete(r Recipe, image *mkimage.Recipe) error {
	if err := takeChunks(r, image); err != nil {
		return err
	}
	return r.Validate()
}

// takeChunks gives those contents of a recipe that the image has too the chunks that they have
// there. When these are not known, a content gets the list of anyChunks. The error for a content
// that has another size in the image wraps chunkstore.ErrCorrupt.
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

// stripped gives the text of a recipe without what depends on how the artifact was taken apart.
func stripped(r Recipe) ([]byte, error) { return text(withoutChunks(r, math.MaxInt64).Bare()) }

// recipeText gives the text of a recipe as a set has it: without chunks.
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

// parse reads what recipeText gives, of a recipe with ids or names.
func parse(k Kind, text []byte, image *mkimage.Recipe) (Recipe, error) {
	r, err := k.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	named := map[chunkstore.ID]*chunkstore.Content{}
	for _, e := range image.Entries.All() {
		if e.Content != nil {
			named[nameOf(e.Path)] = e.Content
		}
	}
	for c := range r.Contents() {
		if same := named[c.ID]; same != nil {
			c.ID = same.ID
		}
		c.Chunks = anyChunks(c, r.Chunking())
	}
	return r, Complete(r, image)
}

// withoutChunks copies a recipe. A content of more than most bytes gets one hole for its chunks.
// Any other content gets one chunk, which takes no line in the text.
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

// withChunk copies a content, with k as its only chunk.
func withChunk(c *chunkstore.Content, k chunkstore.Chunk) *chunkstore.Content {
	return &chunkstore.Content{ID: c.ID, Size: c.Size, Chunks: []chunkstore.Chunk{k}}
}

// anyChunks gives a valid list for a content whose chunks are not known: nothing can be fetched by
// it.
func anyChunks(c *chunkstore.Content, cut chunkstore.Params) []chunkstore.Chunk {
	n := min(c.Size, int64(cut.Max))
	list := []chunkstore.Chunk{{ID: c.ID, Size: n}}
	if n < c.Size {
		list = append(list, chunkstore.Chunk{Size: c.Size - n})
	}
	return list
}
