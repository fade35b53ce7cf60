package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"deltaup/apply/slotwriter"
	"deltaup/chunkstore"
	"deltaup/delta"
)

// patchRoute makes what the seeds lack by the patches of a chain of sets, fetches by chunks what
// the sets leave out, and rebuilds the image from contents. Before that it needs the sets' heads,
// which have the recipe too.
type patchRoute struct {
	rebuilding
	chain *chain // from a seed to the image; nil: there is none
}

func (r *patchRoute) name() delta.Route { return "patch" }

func (r *patchRoute) offer(l lacking) delta.Offer {
	u := r.u
	o := delta.Offer{
		Route:  r.name(),
		Work:   delta.Work{Compress: l.blocks, Patch: l.plain - l.made},
		Making: !u.noMaking,
	}
	switch {
	case r.chain == nil:
		o.Closed = "no patch set leads here from what the seeds hold"
	case u.closed[r.name()] != nil: // what the chain knows may be wrong
	case !r.chain.loaded():
		r.addHeads(&o)
		if from := r.chain.from; from != nil {
			u.meta.addTo(&o, from.Object)
			u.limitSearch(&o, u.image.Size)
		} else if u.fetcher.wholeFiles {
			// at worst what they give is known to be little when they are there
			var left delta.Offer
			u.addIndex(&left)
			u.limitSearch(&o, left.MetaBytes+r.chain.chunks())
		}
	default:
		n := r.chain.needs(l.contents)
		o.Pieces = n.pieces()
		o.Work.Patch += n.effort()
		for _, p := range o.Pieces {
			o.Lead = max(o.Lead, p.Length)
		}
		r.addLeftOut(&o, n)
	}
	return o
}

func (r *patchRoute) guess(lacking) delta.Offer {
	u := r.u
	if len(u.release.Patches) == 0 {
		return delta.Offer{Route: r.name(), Closed: "the release has no patch set"}
	}
	p := &u.release.Patches[0]
	return delta.Offer{
		Route:        r.name(),
		MetaRequests: 2,
		Guess:        p.Set.Size,
		Making:       true,
		Work: delta.Work{
			Decode:   u.unread * usualRatio,
			Patch:    p.Compress,
			Compress: p.Compress,
		},
	}
}

// addHeads adds what has to be fetched before patches can be, and as a guess the rest of the sets.
func (r *patchRoute) addHeads(o *delta.Offer) {
	f := r.u.fetcher
	for _, s := range r.chain.sets {
		if s.step == nil {
			o.MetaRequests++
			o.MetaBytes += f.lacks(s.file(), delta.Extent{Length: f.headBytes(s)})
		}
		if !f.comesWhole(s) {
			head, size := s.patch.Head.Size, s.patch.Set.Size
			o.Guess += f.cache.Lacks(s.patch.Set.ID,
				delta.Extent{Offset: head, Length: size - head})
		}
	}
}

// addLeftOut adds the contents that come by chunks because no patch gives them.
func (r *patchRoute) addLeftOut(o *delta.Offer, n needs) {
	u := r.u
	if len(n.leftOut) == 0 {
		return
	}
	var plain int64
	for _, c := range n.leftOut {
		plain += c.Size
	}
	o.Work.Decode += plain
	o.Work.Patch -= plain
	if !u.indexed {
		u.addIndex(o)
		o.Work.Decode += u.seeds.unlisted()
		o.Guess = plain / usualRatio
		o.Guess += u.fetcher.lacksPieces(o.Pieces)
		o.Pieces = nil
		return
	}
	for _, chunk := range chunkstore.Distinct(r.withChunks(n.leftOut)) {
		o.Chunks.Chunks = append(o.Chunks.Chunks, chunk)
		o.Chunks.Locations = append(o.Chunks.Locations, u.at[chunk.ID])
	}
}

// withChunks gives the same contents with their chunks, once the index was read.
func (r *patchRoute) withChunks(contents []*chunkstore.Content) iter.Seq[*chunkstore.Content] {
	wanted := map[chunkstore.ID]bool{}
	for _, c := range contents {
		wanted[c.ID] = true
	}
	return func(yield func(*chunkstore.Content) bool) {
		for c := range r.u.recipe.Contents() {
			if wanted[c.ID] && !yield(c) {
				return
			}
		}
	}
}

// load fetches the heads, and then the index for what the sets leave out.
func (r *patchRoute) load(ctx context.Context) error {
	if !r.chain.loaded() {
		return closeOn(r.close, r.loadSets(ctx))
	}
	return r.u.loadIndex(ctx)
}

// close gives up the recipe as well when it came from the sets: nothing else has proved it.
func (r *patchRoute) close(err error) {
	r.u.closeRoute(r, err)
	if !r.u.ownRecipe {
		r.u.setRecipe(nil)
	}
}

// making implements maker.
func (r *patchRoute) making() *chain { return r.chain }

func (r *patchRoute) describe(q *Quote) { q.Sets = len(r.chain.sets) }

// verify hashes the groups that the plan needs.
func (r *patchRoute) verify(ctx context.Context) ([]badExtent, error) {
	wanted := map[delta.Piece]bool{}
	for _, p := range r.u.offer.Pieces {
		wanted[p] = true
	}
	var bad []badExtent
	for _, s := range r.chain.sets {
		for n := range s.head.Groups {
			if !wanted[s.group(n)] {
				continue
			}
			_, ok, err := r.u.fetcher.cachedGroup(s, n)
			if err != nil {
				return nil, err
			}
			if !ok {
				group := s.badGroup(n)
				group.set, group.group = s, n
				bad = append(bad, group)
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
	}
	return bad, nil
}

func (r *patchRoute) write(ctx context.Context, result *Result,
	_ *counter) (*slotwriter.Held, error) {
	return r.build(ctx, r.chain, result)
}

func (r *patchRoute) lost(file delta.File, err error) bool {
	if r.chain == nil ||
		!slices.ContainsFunc(r.chain.sets, func(s *set) bool { return s.file() == file }) {
		return false
	}
	r.close(err)
	return true
}

// tryAll makes everything that the plan makes by patch, to leave out at once all that comes out
// wrong, with a warning.
func (r *patchRoute) tryAll(ctx context.Context) error {
	failed := 0
	var first error
	for _, c := range r.u.lacking().contents {
		for r.chain.gives(c.ID, len(r.chain.sets)) {
			_, err := io.Copy(io.Discard, r.chain.reader(ctx, c.ID))
			var patch *patchError
			if err == nil {
				break
			}
			if !errors.As(err, &patch) {
				return err
			}
			if failed++; failed == 1 {
				first = err
			}
			patch.leaveOut()
		}
	}
	if failed == 0 {
		return fmt.Errorf("%w: a patch failed and then did not", ErrSeed)
	}
	r.u.events.warn("%d patches are of no use, and what they were to give is fetched otherwise; "+
		"the first of them: %v", failed, first)
	return nil
}
