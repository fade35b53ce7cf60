package apply

import (
	"fmt"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// ways describes all routes to the image as far as they are known, those that are as
// good as others in the order in which they are preferred.
func (u *Update) ways() []delta.Way {
	if !u.rebuilds() {
		return nil // a raw image's chunks are among those of the other artifacts
	}
	m := u.missing()
	ways := []delta.Way{u.patchWay(m), u.blocksWay(m), u.chunksWay(m), u.wholeWay()}
	for i := range ways {
		w := &ways[i]
		w.Work.Write += u.image.Size
		if why := u.closed[w.Route]; why != nil {
			w.Closed = why.Error()
		} else if u.copies() && w.Route != delta.RouteBlocks {
			w.Closed = "a copy of the image has nearly all of it"
		} else if u.r.Route != "" && w.Route != u.r.Route {
			w.Closed = fmt.Sprintf("only the route %s was asked for", u.r.Route)
		} else if !rebuilds(w.Route) || w.Closed != "" {
			continue
		} else if u.seedless {
			w.Closed = "reading the seeds' files takes longer than another way in all"
		} else if u.recipe != nil && !mkimage.KnownCodec(u.recipe.Codec) {
			w.Closed = fmt.Sprintf("its codec %q is not known here", u.recipe.Codec)
		}
	}
	return ways
}

// copies tells whether the image is to be laid from the copy of it that there is.
func (u *Update) copies() bool {
	return u.r.Copy != "" && u.r.Route == "" && u.image.Blockmap != nil &&
		u.closed[delta.RouteBlocks] == nil &&
		!u.prove
}

// rebuilds tells whether a route makes the image of contents; the others copy bytes of it.
func rebuilds(r delta.Route) bool { return r == delta.RoutePatch || r == delta.RouteChunks }

// wholeWay describes the route of the whole image, which is written twice: to the state folder, and
// from there to the slot.
func (u *Update) wholeWay() delta.Way {
	return delta.Way{
		Route:  delta.RouteWhole,
		Pieces: []delta.Piece{{File: u.imageFile(), Extent: delta.Extent{Length: u.image.Size}}},
		Work:   delta.Work{Write: u.image.Size},
	}
}

func (u *Update) imageFile() delta.File { return delta.File{Kind: delta.ImageFile, ID: u.image.ID} }

// missing is what the seeds lack of the image.
type missing struct {
	contents []*chunkstore.Content // that no seed has whole
	plain    int64                 // bytes of contents
	// plain bytes of the blocks that no seed has as the image stores them
	blocks int64
	stored int64 // about their stored bytes
	// about the stored bytes of the chunks that no seed has; like stored when these are not known
	chunks int64
}

// missing finds out what the seeds lack. Before the recipe is known it tells what the release
// says about a target that has nothing but what the patch sets lead from.
func (u *Update) missing() missing {
	var m missing
	if u.recipe == nil {
		switch {
		case u.chain != nil:
			for _, s := range u.chain.sets {
				m.stored += s.patch.Blocks
				m.blocks += s.patch.Compress
			}
			m.plain, m.chunks = m.blocks, m.stored
			return m
		case len(u.r.Seeds) == 0 && len(u.seeds.list) == 0:
			m.stored = u.image.Size
		case len(u.seeds.list) == 0 && len(u.release.Patches) > 0: // not read yet: they may be of the release before
			m.stored = u.release.Patches[0].Blocks
		case len(u.seeds.list) == 0:
			m.stored = u.image.Size / unknownShare
		default: // seeds save no more than they have
			m.stored = max(u.image.Size/unknownShare, u.image.Size-u.seeds.plain())
		}
		m.chunks = m.stored
		m.plain = m.stored * usualRatio
		m.blocks = m.plain
		return m
	}
	var total int64
	for c := range u.recipe.Contents() {
		if u.seeds.contents[c.ID] == nil {
			m.contents = append(m.contents, c)
			m.plain += c.Size
		}
		total += c.Size
	}
	stored := u.seeds.stretches(u.recipe, u.prove)
	for _, s := range u.recipe.Layout() {
		if !stored[s.Key()] {
			for _, c := range s.Contents {
				m.blocks += c.Size
			}
		}
	}
	if total > 0 {
		ratio := float64(u.image.Size) / float64(total)
		m.stored = int64(float64(m.blocks) * ratio)
		if m.chunks = m.stored; u.whole {
			m.chunks = int64(float64(u.lackingChunks()) * ratio)
		}
	}
	if u.chain != nil && len(u.chain.sets) == 1 && !u.prove { // the release knows it better
		m.stored = min(m.stored, u.chain.sets[0].patch.Blocks)
	}
	return m
}

const (
	unknownShare = 4 // the part of an image that an unknown seed is taken to lack
	usualRatio   = 3 // plain bytes for a stored one
)

// chunksWay describes the route by chunks.
func (u *Update) chunksWay(m missing) delta.Way {
	// verified, then used
	w := delta.Way{
		Route: delta.RouteChunks,
		Work:  delta.Work{Compress: m.blocks, Decode: 2 * m.plain},
	}
	if u.indexed {
		w.Chunks = u.chunks
		return w
	}
	u.addIndex(&w)
	w.Guess = m.chunks
	if u.chain != nil {
		w.Guess = u.chain.chunks()
	}
	switch {
	case u.wholeFiles: // packs have more in them
		if u.chain == nil && !u.whole {
			w.Guess = u.image.Size
		}
		u.gamble(&w, u.image.Size)
	case u.chain == nil && !u.whole:
		u.gamble(&w, u.image.Size)
	}
	return w
}

// lackingChunks is how many plain bytes the chunks have that no seed has.
func (u *Update) lackingChunks() (n int64) {
	for _, c := range u.recipe.Chunks() {
		if _, ok := u.seeds.chunks[c.ID]; !ok {
			n += c.Size
		}
	}
	return n
}

// addIndex adds what is to be fetched before chunks can be.
func (u *Update) addIndex(w *delta.Way) {
	u.addMeta(w, u.release.Index)
	if r := u.image.Recipe; r != nil && !u.whole {
		u.addMeta(w, r.Object)
	}
}

// addMeta adds a metadata file.
func (u *Update) addMeta(w *delta.Way, o mirror.Object) {
	w.MetaRequests++
	if !u.meta.has(o) {
		w.MetaBytes += o.Size
	}
}

// blocksWay describes the route by stored blocks. What is fetched is written twice: to the state
// folder, and from there to the slot.
func (u *Update) blocksWay(m missing) delta.Way {
	w := delta.Way{Route: delta.RouteBlocks}
	if u.meta.line.Rate > 0 {
		w.Early = earlyTime
	}
	switch {
	case u.image.Blockmap == nil:
		w.Closed = "the release has no block map"
	case len(u.r.Seeds) == 0 && u.r.Copy == "":
		w.Closed = "there is no seed"
	case u.prove:
		w.Closed = "blocks are not taken as they are any more"
	case u.wholeFiles && u.r.Route == "" && u.r.Copy == "":
		w.Closed = "the server sends whole files"
	case u.pieces.image == nil:
		u.addMeta(&w, *u.image.Blockmap)
		if u.r.Copy != "" { // which lacks next to nothing
			w.Work = delta.Work{Scan: u.image.Size}
			break
		}
		w.Guess = m.stored
		w.Work = delta.Work{Write: m.stored, Scan: u.seedBytes}
		if u.chain == nil && u.recipe == nil && u.r.Copy == "" {
			u.gamble(&w, u.image.Size)
		}
	default:
		for x := range u.pieces.lacking {
			w.Pieces = append(w.Pieces, delta.Piece{File: u.imageFile(), Extent: pieceExtent(x)})
			w.Work.Write += int64(x.Length)
		}
	}
	return w
}

// patchWay describes the route through patch sets.
func (u *Update) patchWay(m missing) delta.Way {
	w := delta.Way{Route: delta.RoutePatch, Work: delta.Work{Compress: m.blocks, Patch: m.plain}}
	switch {
	case u.chain == nil:
		w.Closed = "no patch set leads here from what the seeds hold"
	case u.closed[delta.RoutePatch] != nil: // what the chain knows may be wrong
	case !u.chain.loaded():
		u.addHeads(&w)
		for _, s := range u.chain.sets {
			if !u.fetchedWhole(s) {
				w.Guess += u.state.Cache.Lacks(
					s.patch.Set.ID,
					delta.Extent{
						Offset: s.patch.Head.Size,
						Length: s.patch.Set.Size - s.patch.Head.Size,
					},
				)
			}
		}
		if u.wholeFiles { // at worst what they give is known to be little when they are there
			var left delta.Way
			u.addIndex(&left)
			u.gamble(&w, left.MetaBytes+u.chain.chunks())
		}
	default:
		n := u.chain.needs(m.contents)
		w.Pieces = n.pieces()
		u.addLeftOut(&w, n)
	}
	// without the mirror's recipe keepRecipe reads what was patched
	if !u.whole && w.Work.Decode == 0 {
		w.Work.Decode = m.plain
	}
	return w
}

// addLeftOut adds the contents that come by chunks because no patch gives them.
func (u *Update) addLeftOut(w *delta.Way, n needs) {
	if len(n.leftOut) == 0 {
		return
	}
	var plain int64
	for _, c := range n.leftOut {
		plain += c.Size
	}
	w.Work.Decode += plain
	w.Work.Patch -= plain
	if !u.indexed {
		u.addIndex(w)
		w.Guess = plain / usualRatio
		w.Guess += u.lacksPieces(w.Pieces)
		w.Pieces = nil
		return
	}
	for _, chunk := range chunkstore.Distinct(u.complete(n.leftOut)) {
		w.Chunks.Chunks = append(w.Chunks.Chunks, chunk)
		w.Chunks.Locations = append(w.Chunks.Locations, u.at[chunk.ID])
	}
}

// addHeads adds what is to be fetched before patches can be.
func (u *Update) addHeads(w *delta.Way) {
	for _, s := range u.chain.sets {
		if s.step != nil {
			continue
		}
		w.MetaRequests++
		w.MetaBytes += u.lacks(s.file(), delta.Extent{Length: u.headBytes(s)})
	}
}
