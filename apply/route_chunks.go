package apply

import (
	"context"

	"deltaup/apply/slotwriter"
	"deltaup/delta"
)

// chunksRoute fetches the chunks that no seed has, and rebuilds the image from contents. Before
// that it needs the mirror's recipe and index.
type chunksRoute struct{ rebuilding }

func (r *chunksRoute) name() delta.Route { return "chunks" }

func (r *chunksRoute) offer(l lacking) delta.Offer {
	u := r.u
	o := delta.Offer{
		Route:  r.name(),
		Work:   delta.Work{Compress: l.blocks, Decode: 2 * l.plain}, // verified, then used
		Making: !u.noMaking,
	}
	if u.indexed {
		o.Chunks = u.imageChunks
		return o
	}
	u.addIndex(&o)
	o.Work.Decode += u.seeds.unlisted()
	o.Guess = l.chunks
	unknown := !u.patch.chain.fits() && !u.ownRecipe
	if u.patch.chain.fits() {
		o.Guess = u.patch.chain.chunks()
	}
	if u.fetcher.wholeFiles && unknown { // packs have more in them
		o.Guess = u.image.Size
	}
	if u.fetcher.wholeFiles || unknown {
		u.limitSearch(&o, u.image.Size)
	}
	return o
}

func (r *chunksRoute) guess(l lacking) delta.Offer {
	return delta.Offer{
		Route:        r.name(),
		MetaRequests: 2,
		Guess:        l.stored,
		Making:       true,
		Work:         delta.Work{Decode: r.u.unread*usualRatio + l.plain, Compress: l.plain},
	}
}

// load fetches the recipe first: it tells how much is needed, and so whether the index is.
func (r *chunksRoute) load(ctx context.Context) error {
	if !r.u.ownRecipe {
		return r.u.loadOwnRecipe(ctx)
	}
	return r.u.loadIndex(ctx)
}

func (r *chunksRoute) write(ctx context.Context, result *Result,
	_ *counter) (*slotwriter.Held, error) {
	return r.build(ctx, nil, result)
}

// addIndex adds what has to be fetched before chunks can be.
func (u *Update) addIndex(o *delta.Offer) {
	u.meta.addTo(o, u.release.Index)
	if recipe := u.image.Recipe; recipe != nil && !u.ownRecipe {
		u.meta.addTo(o, recipe.Object)
	}
}
