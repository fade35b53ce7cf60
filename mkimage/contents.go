package mkimage

import (
	"iter"

	"deltaup/chunkstore"
)

// emptyContent is the content of empty files. It has neither data nor chunks.
var emptyContent = &chunkstore.Content{ID: chunkstore.Sum(nil)}

// unlisted tells whether c's chunks are not known, nor perhaps its id.
func unlisted(c *chunkstore.Content) bool { return c.Chunks == nil && c.Size > 0 }

// Unlisted is how many bytes the contents of r have whose chunks are not known.
func (r *Recipe) Unlisted() (bytes int64) {
	for c := range r.Contents() {
		if unlisted(c) {
			bytes += c.Size
		}
	}
	return bytes
}

// hasData reports whether an image stores bytes of c: c is neither empty nor all holes. A content
// whose chunks are not known yet counts as having data.
func hasData(c *chunkstore.Content) bool {
	if unlisted(c) {
		return true
	}
	for _, k := range c.Chunks {
		if !k.IsHole() {
			return true
		}
	}
	return false
}

// Contents gives the distinct contents of r that are not empty, in order of first appearance.
func (r *Recipe) Contents() iter.Seq[*chunkstore.Content] {
	return func(yield func(*chunkstore.Content) bool) {
		for _, c := range r.Entries.Contents() {
			if !yield(c) {
				return
			}
		}
	}
}

// Chunks gives the distinct chunks of all contents, without holes, in order of first appearance.
func (r *Recipe) Chunks() []chunkstore.Chunk { return chunkstore.Distinct(r.Contents()) }
