package artifact

import (
	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// InImage gives the file of the image that an artifact is, with this id and size, as `publish
// --kernel auto` publishes one; nil when none is known to be. text is BLAKE3-256 of the artifact's
// recipe as [Encode] gives it, which this recipe has, too. The mirror must have no index of chunks
// for the artifact. A content whose id the image's recipe does not know yet is the artifact if no
// other has that size.
func InImage(id chunkstore.ID, size int64, recipe chunkstore.ID,
	image *mkimage.Recipe) (file *mkimage.Entry, r Recipe) {
	c := &chunkstore.Content{ID: id, Size: size}
	if !isText(recipe, AsItIs(c, image.Chunking)) &&
		!isText(recipe, AsItIs(withChunk(c, chunkstore.Chunk{Size: size}), image.Chunking)) {
		return nil, nil
	}
	for _, e := range image.Entries.All() {
		switch {
		case e.Content == nil || e.Link != "" || e.Content.Size != size:
		case e.Content.ID == id:
			file = &e
		case e.Content.ID.IsStandIn() && file == nil:
			file = &e
		case e.Content.ID.IsStandIn() && file.Content.ID != e.Content.ID && file.Content.ID != id:
			return nil, nil
		}
	}
	if file == nil {
		return nil, nil
	}
	c.Chunks = anyChunks(c, image.Chunking)
	if file.Content.ID == id && len(file.Content.Chunks) > 0 {
		c.Chunks = file.Content.Chunks
	}
	return file, AsItIs(c, image.Chunking)
}

// isText tells whether the text of r has that hash.
func isText(want chunkstore.ID, r Recipe) bool {
	b, err := text(r)
	return err == nil && chunkstore.Sum(b) == want
}
