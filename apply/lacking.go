package apply

import (
	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// lacking is what the seeds lack of the image.
type lacking struct {
	contents []*chunkstore.Content // that no seed has whole
	plain    int64                 // bytes of contents
	made     int64                 // those of them whose blocks earlier runs have made
	// plain bytes of the blocks that no seed has as the image stores them
	blocks int64
	stored int64 // about their stored bytes
	// about the stored bytes of the chunks that no seed has; like stored when these are not known
	chunks int64
}

// lacking finds out what the seeds lack.
func (u *Update) lacking() lacking {
	if u.recipe == nil {
		return u.guessLacking()
	}
	var l lacking
	var total int64
	for c := range u.recipe.Contents() {
		if u.seeds.of(c.ID) == nil {
			l.contents = append(l.contents, c)
			l.plain += c.Size
		}
		total += c.Size
	}
	stored := u.storedStretches()
	made := u.madeBlocks()
	for _, s := range u.recipe.Layout() {
		key := s.Key()
		if stored[key] {
			continue
		}
		done := made.HasAll(key, blockCount(&s, u.recipe.BlockSize))
		for _, c := range s.Contents {
			if !done {
				l.blocks += c.Size
			} else if u.seeds.of(c.ID) == nil {
				l.made += c.Size
			}
		}
	}
	if total > 0 {
		ratio := float64(u.image.Size) / float64(total)
		l.stored = int64(float64(l.blocks) * ratio)
		if l.chunks = l.stored; u.ownRecipe {
			l.chunks = int64(float64(u.seeds.lacking(u.recipe)) * ratio)
		}
	}
	// of one set the release knows it better
	if chain := u.patch.chain; chain.fits() && len(chain.sets) == 1 && !u.noCopies {
		l.stored = min(l.stored, chain.sets[0].patch.Blocks)
	}
	return l
}

// guessLacking goes, as long as the recipe is not known, by what the release says of a target that
// has nothing but what the patch sets lead from.
func (u *Update) guessLacking() lacking {
	var l lacking
	if chain := u.patch.chain; chain.fits() {
		for _, s := range chain.sets {
			l.stored += s.patch.Blocks
			l.blocks += s.patch.Compress
		}
		l.plain, l.chunks = l.blocks, l.stored
		return l
	}
	switch {
	case len(u.r.Seeds) == 0 && len(u.seeds.list) == 0:
		l.stored = u.image.Size
	case len(u.seeds.list) == 0 && len(u.release.Patches) > 0:
		// they are not read yet: they may be of the release before
		l.stored = u.release.Patches[0].Blocks
	case len(u.seeds.list) == 0:
		l.stored = u.image.Size / unknownShare
	default: // seeds save no more than they have
		l.stored = max(u.image.Size/unknownShare, u.image.Size-u.seeds.plain())
	}
	l.chunks = l.stored
	l.plain = l.stored * usualRatio
	l.blocks = l.plain
	return l
}

// blockCount is how many blocks a stretch has.
func blockCount(s *mkimage.Stretch, blockSize int) int {
	size := int64(0)
	for _, c := range s.Contents {
		size += c.Size
	}
	return int((size + int64(blockSize) - 1) / int64(blockSize))
}

const (
	unknownShare = 4 // the part of an image that an unknown seed is taken to lack
	usualRatio   = 3 // plain bytes for a stored one
)
