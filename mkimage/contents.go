package mkimage

import (
	"iter"

	"deltaup/chunkstore"
)

// emptyContent is the content of empty files. It has no data and no chunks.
var emptyContent = &chunkstore.Content{ID: chunkstore.Sum(nil)}

// hasData reports whether anything of c is stored in an image: it is neither empty nor all holes.
// A content whose chunks are not known yet is taken for one that has data.
func hasData(c *chunkstore.Content) bool {
	if c.Chunks == nil {
		return c.Size > 0
	}
	for _, k := range c.Chunks {
		if !k.IsHole() {
			return true
		}
	}
	return false
}

// Contents gives the distinct contents that are not empty, in order of first appearance.
func (r *Recipe) Contents() iter.Seq[*chunkstore.Content] {
	return func(yield func(*chunkstore.Content) bool) {
		for c := range r.firstPaths() {
			if !yield(c) {
				return
			}
		}
	}
}

// firstPaths gives what Contents gives, with the first path of each.
func (r *Recipe) firstPaths() iter.Seq2[*chunkstore.Content, string] {
	return func(yield func(*chunkstore.Content, string) bool) {
		seen := make(map[*chunkstore.Content]bool)
		for i := range r.Entries {
			c := r.Entries[i].Content
			if c == nil || c.Size == 0 || seen[c] {
				continue
			}
			seen[c] = true
			if !yield(c, r.Entries[i].Path) {
				return
			}
		}
	}
}

// Chunks gives the distinct chunks of all contents, holes left out, in order of first appearance.
func (r *Recipe) Chunks() []chunkstore.Chunk { return chunkstore.Distinct(r.Contents()) }

// DataOrder gives the contents that have data in the image, in the order in which Build lays them out.
func (r *Recipe) DataOrder() []*chunkstore.Content {
	var order []*chunkstore.Content
	for _, it := range planLayout(r) {
		for _, m := range it.members {
			order = append(order, m.content)
		}
	}
	return order
}

// DataStart is the offset of an image's first block, behind the superblock; images made here have no compressor options.
const DataStart = 96

// Stretch is a piece of an image's data area: all data blocks of one content, or one fragment block.
type Stretch struct {
	Contents []*chunkstore.Content // in the order of their bytes; exactly one unless Fragment
	Fragment bool
}

// Blocks is how many blocks a stretch has in an image of that block size, holes included.
func (s *Stretch) Blocks(blockSize int) int {
	if s.Fragment {
		return 1
	}
	return int((s.Contents[0].Size + int64(blockSize) - 1) / int64(blockSize))
}

// Layout gives the data area of the image in the order in which Build lays it out. Blocks follow
// each other without gaps from offset [DataStart] on; holes take no room.
func (r *Recipe) Layout() []Stretch {
	items := planLayout(r)
	out := make([]Stretch, len(items))
	for i, it := range items {
		out[i].Fragment = it.fragment
		for _, m := range it.members {
			out[i].Contents = append(out[i].Contents, m.content)
		}
	}
	return out
}
