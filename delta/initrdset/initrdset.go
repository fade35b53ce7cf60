// Package initrdset is the patch set of an initrd: what leads from an older initrd to a new one,
// for a target that has, or is about to have, the image beside the new one. It holds the new
// initrd's recipe and those of its contents that neither the image nor the older initrd has.
// Format: doc/initrd.md.
//
// The file is a set of package patchset between two listings of contents that both sides make for
// themselves, see listing. A publisher calls [Make]. A target calls [Open] with the set's head and
// first group, and gets the recipe; with the other groups, [Set.Apply] makes the contents.
package initrdset

import (
	"context"
	"errors"
	"io"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// ErrTooLarge is wrapped when the text of an initrd's recipe is larger than one entry of a set.
var ErrTooLarge = errors.New("the initrd's recipe is too large for a patch set")

// Make writes the set that leads from the initrd old to the initrd new. image is the one beside
// new; its chunks need not be known. store has the chunks of all contents of old, and those of new
// that image lacks.
func Make(ctx context.Context, w io.Writer, old, new *initrd.Recipe, image *mkimage.Recipe,
	store chunkstore.Store, o patchset.MakeOptions) (*patchset.Stats, error) {
	from, err := oldListing(old, image)
	if err != nil {
		return nil, err
	}
	to, err := newListing(new, image)
	if err != nil {
		return nil, err
	}
	o.ChunkLists = true // both sides know those of a listing
	packs := patchset.FromStore(store)
	return patchset.Make(ctx, w, from.recipe, to.recipe, &contents{from, byID(old), packs},
		&contents{to, byID(new), packs}, o)
}

// contents opens the contents of a listing. It is a patchset.Contents.
type contents struct {
	*listing
	known map[chunkstore.ID]*chunkstore.Content // with their chunks, which a listing lacks
	packs patchset.Contents
}

func byID(r *initrd.Recipe) map[chunkstore.ID]*chunkstore.Content {
	known := map[chunkstore.ID]*chunkstore.Content{}
	for c := range r.Contents() {
		known[c.ID] = c
	}
	return known
}

// Open implements patchset.Contents.
func (c *contents) Open(ctx context.Context, x *chunkstore.Content) (patchset.Reading, error) {
	if x.ID == c.textID {
		return textReading{c.reader()}, nil
	}
	return c.packs.Open(ctx, c.known[x.ID])
}

type textReading struct{ io.ReaderAt }

// Close implements patchset.Reading.
func (textReading) Close() error { return nil }
