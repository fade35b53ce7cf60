package apply

import (
	"fmt"
	"iter"
	"slices"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// needed is what is known so far of the contents that an update needs, and where their chunks lie
// on the mirror; load.go finds it out. Contents that come by patch lack their chunks unless
// ownRecipe is set.
type needed struct {
	recipe      *mkimage.Recipe     // the image's; nil: not known
	ownRecipe   bool                // recipe is the mirror's own
	rawImage    *chunkstore.Content // of an image that was published raw
	indexed     bool                // at, imageChunks and other are there
	at          map[chunkstore.ID]chunkstore.Location
	imageChunks delta.List
	other       delta.List // chunks of raw artifacts, and of what is built beside the image
}

// needRaw finds a raw artifact in the index and adds its chunks to what is needed.
func (k *needed) needRaw(x *chunkstore.Index, a *mirror.Artifact) (*chunkstore.Content, error) {
	i := slices.IndexFunc(x.Raw, func(l chunkstore.RawList) bool { return l.Name == a.Name })
	if i < 0 {
		return nil, fmt.Errorf("artifact %s: %w: not in the index", a.Name, chunkstore.ErrCorrupt)
	}
	c := &x.Raw[i].Content
	if c.ID != a.ID || c.Size != a.Size {
		return nil, fmt.Errorf("artifact %s: %w: not the one that the release names", a.Name,
			chunkstore.ErrCorrupt)
	}
	for _, chunk := range chunkstore.Distinct(one(c)) {
		k.needOther(chunk)
	}
	return c, nil
}

// needOther adds a chunk that is needed besides the image.
func (k *needed) needOther(c chunkstore.Chunk) {
	k.other.Chunks = append(k.other.Chunks, c)
	k.other.Locations = append(k.other.Locations, k.at[c.ID])
}

// checkChunks bounds the memory that one chunk of the release takes.
func (k *needed) checkChunks(release *mirror.Release) error {
	for _, list := range []delta.List{k.imageChunks, k.other} {
		for _, c := range list.Chunks {
			if c.Size > chunkstore.ChunkMax {
				return fmt.Errorf("release %s: chunk %s of %d bytes: %w: %w", release.Version,
					c.ID, c.Size, mirror.ErrDamaged, chunkstore.ErrCorrupt)
			}
		}
	}
	return nil
}

// one is a sequence of one content.
func one(c *chunkstore.Content) iter.Seq[*chunkstore.Content] {
	return slices.Values([]*chunkstore.Content{c})
}
