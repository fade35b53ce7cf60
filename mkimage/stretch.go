package mkimage

import "deltaup/chunkstore"

// Stretch is a piece of an image's data area: all data blocks of one content, or one fragment
// block.
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

// Key names a stretch by the contents in it. Stretches with equal keys in images of one codec and
// one block size are the same stored bytes.
func (s *Stretch) Key() chunkstore.ID {
	ids := make([]chunkstore.ID, len(s.Contents))
	for i, c := range s.Contents {
		ids[i] = c.ID
	}
	return fragmentKey(ids)
}

// fragmentKey names a fragment block by the contents in it.
func fragmentKey(contents []chunkstore.ID) chunkstore.ID {
	h := chunkstore.NewHasher()
	for i := range contents {
		h.Write(contents[i][:])
	}
	return h.ID()
}

// Layout gives the data area of the image in the order in which Build lays it out. Blocks follow
// each other without gaps, from the superblock's end on; holes take no room.
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

// DataOrder gives the contents that have data in the image, in the order in which Build lays them
// out.
func (r *Recipe) DataOrder() []*chunkstore.Content {
	var order []*chunkstore.Content
	for _, it := range planLayout(r) {
		for _, m := range it.members {
			order = append(order, m.content)
		}
	}
	return order
}

// Lacking sums the plain bytes of r's blocks that an image of old, which may be nil, does not have
// as r's image stores them: what a target that has old alone compresses again. Holes do not count.
func (r *Recipe) Lacking(old *Recipe) int64 {
	has := make(map[chunkstore.ID]bool)
	if old != nil && old.Codec == r.Codec && old.BlockSize == r.BlockSize {
		for _, s := range old.Layout() {
			has[s.Key()] = true
		}
	}
	plain := int64(0)
	for _, s := range r.Layout() {
		if has[s.Key()] {
			continue
		}
		for _, c := range s.Contents {
			for _, chunk := range c.Chunks {
				if !chunk.IsHole() {
					plain += chunk.Size
				}
			}
		}
	}
	return plain
}
