package mkimage

import "deltaup/chunkstore"

// Stretch is one part of an image's data area: all data blocks of one content, or one fragment
// block.
type Stretch struct {
	Contents []*chunkstore.Content // in the order of their bytes
}

// Key names a stretch by its contents. In images of one codec and one block size, stretches with
// equal keys have the same stored bytes.
func (s *Stretch) Key() chunkstore.ID {
	ids := make([]chunkstore.ID, len(s.Contents))
	for i, c := range s.Contents {
		ids[i] = c.ID
	}
	return KeyOf(ids)
}

// KeyOf is the key of the stretch with these contents.
func KeyOf(contents []chunkstore.ID) chunkstore.ID {
	h := chunkstore.NewHasher()
	for i := range contents {
		h.Write(contents[i][:])
	}
	return h.ID()
}

// Layout gives the data area of the image in the order of Build. From the end of the superblock on,
// blocks follow each other without gaps. Holes take no room.
func (r *Recipe) Layout() []Stretch {
	items := planLayout(r)
	out := make([]Stretch, len(items))
	for i, it := range items {
		for _, m := range it.members {
			out[i].Contents = append(out[i].Contents, m.content)
		}
	}
	return out
}

// DataOrder gives the contents with data, in the order in which they lie in the image.
func (r *Recipe) DataOrder() []*chunkstore.Content {
	var order []*chunkstore.Content
	for _, it := range planLayout(r) {
		for _, m := range it.members {
			order = append(order, m.content)
		}
	}
	return order
}

// Lacking sums the plain bytes of the blocks of r's image that an image of old does not store in
// the same way. A target that has old alone compresses these again. Holes do not count. old may be
// nil.
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
