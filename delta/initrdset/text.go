package initrdset

import (
	"bytes"
	"fmt"
	"math"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// dictionaryMax is the most bytes that Dictionary gives, and what a recipe that is compressed with
// it needs as window.
const dictionaryMax = 8 << 20

// Dictionary is what the recipe of an initrd resembles most: lines as it has them for the files of
// the image beside it, the last of them if they are more than 8 MiB. They do not depend on how
// contents are cut, for who learns of an image by a patch set does not know its chunks.
func Dictionary(image *mkimage.Recipe) []byte {
	var b []byte
	for i := range image.Entries {
		e := &image.Entries[i]
		if e.Content == nil || e.Link != "" {
			continue
		}
		b = fmt.Appendf(b, "f %04o %d %d %d 1 1 %d %s %s\n", e.Mode, e.UID, e.GID, e.ModTime,
			e.Content.Size, e.Content.ID, e.Path)
		if len(b) > 2*dictionaryMax {
			b = append(b[:0], b[len(b)-dictionaryMax:]...)
		}
	}
	return b[max(0, len(b)-dictionaryMax):]
}

// stripped is the text of an initrd's recipe without what depends on how it was taken apart.
func stripped(r *initrd.Recipe) ([]byte, error) {
	bare := withoutChunks(r, math.MaxInt64)
	bare.Codec, bare.Chunking = "", chunkstore.Params{}
	return text(bare)
}

// recipeText is the text of an initrd's recipe as a set gives it: without chunks.
func recipeText(r *initrd.Recipe) ([]byte, error) {
	b, err := text(withoutChunks(r, int64(r.Chunking.Max)))
	if err == nil && len(b) > patchset.PieceMax {
		err = fmt.Errorf("%w: %d bytes", ErrTooLarge, len(b))
	}
	return b, err
}

func text(r *initrd.Recipe) ([]byte, error) {
	var b bytes.Buffer
	_, err := r.WriteTo(&b)
	return b.Bytes(), err
}

// withoutChunks copies a recipe. A content of more than most bytes gets one hole for its chunks,
// any other is one chunk, which takes no line.
func withoutChunks(r *initrd.Recipe, most int64) *initrd.Recipe {
	bare := *r
	bare.Segments = append([]initrd.Segment(nil), r.Segments...)
	contents := map[*chunkstore.Content]*chunkstore.Content{}
	for i := range bare.Segments {
		s := &bare.Segments[i]
		s.Archives = append([]initrd.Archive(nil), s.Archives...)
		for j := range s.Archives {
			a := &s.Archives[j]
			a.Members = append([]initrd.Member(nil), a.Members...)
			for k := range a.Members {
				m := &a.Members[k]
				if m.Content == nil {
					continue
				}
				if contents[m.Content] == nil {
					contents[m.Content] = oneChunk(m.Content, most)
				}
				m.Content = contents[m.Content]
			}
		}
	}
	return &bare
}

func oneChunk(c *chunkstore.Content, most int64) *chunkstore.Content {
	k := chunkstore.Chunk{ID: c.ID, Size: c.Size}
	if c.Size > most {
		k.ID = chunkstore.ID{}
	}
	return &chunkstore.Content{ID: c.ID, Size: c.Size, Chunks: []chunkstore.Chunk{k}}
}

// parse reads what recipeText gave.
func parse(text []byte, image *mkimage.Recipe) (*initrd.Recipe, error) {
	r, err := initrd.ParseRecipe(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	for c := range r.Contents() {
		c.Chunks = anyChunks(c, r.Chunking)
	}
	if err := TakeChunks(r, image); err != nil {
		return nil, err
	}
	return r, r.Validate()
}

// TakeChunks gives the contents of an initrd that the image beside it has, too, the chunks that
// they have there; when these are not known, a list of the right size. The error, when a content
// has another size there, wraps chunkstore.ErrCorrupt.
func TakeChunks(r *initrd.Recipe, image *mkimage.Recipe) error {
	has := map[chunkstore.ID]*chunkstore.Content{}
	for c := range image.Contents() {
		has[c.ID] = c
	}
	for c := range r.Contents() {
		same := has[c.ID]
		switch {
		case same == nil:
		case same.Size != c.Size:
			return fmt.Errorf("%w: content %s has another size in the image", chunkstore.ErrCorrupt,
				c.ID)
		case len(same.Chunks) > 0 && r.Chunking == image.Chunking:
			c.Chunks = same.Chunks
		default:
			c.Chunks = anyChunks(c, r.Chunking)
		}
	}
	return nil
}
