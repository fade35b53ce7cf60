package apply

import (
	"context"
	"errors"
	"fmt"

	"deltaup/apply/slotwriter"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mirror/client"
	"deltaup/mkimage"
)

// route is a way to get the image and to put it into the slot. A new route is a file that
// implements this interface, and an entry of the table in newRoutes.
type route interface {
	// name is what plans, quotes and messages call it.
	name() delta.Route
	// traits is the same in every update.
	traits() traits
	// laysCopy tells whether it can lay the image from the request's copy of it. As long as a route
	// can, no other one is taken.
	laysCopy() bool

	// offer says what the route costs as far as that is known, or why it cannot be taken. L is what
	// the seeds lack. The caller adds the writing of the image, which each route costs.
	offer(l lacking) delta.Offer
	// guess is the offer as long as the files in the seeds are not known. It takes the seeds for
	// images of the release before.
	guess(l lacking) delta.Offer
	// load fetches metadata that the offer lacks to be exact. When they are of no use, it closes
	// the route.
	load(ctx context.Context) error
	// describe adds to the quote what only this route has.
	describe(q *Quote)

	// verify gives the fetched pieces of the offer that are not what they have to be. The caller
	// verifies the chunks.
	verify(ctx context.Context) ([]badExtent, error)
	// write puts the image into the slot, all but its head, and proves it. Fetching is nil unless
	// the offer has a time Beside. Unless it is nil, bytes are still on their way, and none has
	// been verified.
	write(ctx context.Context, result *Result, fetching *counter) (*slotwriter.Held, error)

	// lost closes the route if it needs a file that the mirrors cannot give. It tells whether it
	// has closed the route.
	lost(file delta.File, err error) bool
	// failed decides what becomes of the run after an error of write. It gives something up and
	// returns nil, so that a new plan can go on, or it returns the error that ends the run.
	failed(ctx context.Context, err error, result *Result) error
}

// traits is what the run has to know of a route to treat it like others.
type traits struct {
	// readsFiles: the route needs to know the files in the seeds. One that does not only copies
	// bytes of the image.
	readsFiles bool
	// takesImage: the route fetches from the image's file, and goes when that file is lost.
	takesImage bool
	// proven: verify hashes all of the image. Such a route stays when the image that another one
	// wrote is not the published one.
	proven bool
}

// offers says what each route of the table costs as far as that is known; nothing when the image is
// not rebuilt. A raw image's chunks are among those of the other artifacts.
func (u *Update) offers() []delta.Offer {
	if !u.rebuilds() {
		return nil
	}
	l := u.lacking()
	var offers []delta.Offer
	for _, r := range u.table {
		o := r.offer(l)
		o.Work.Write += u.image.Size
		if why := u.closedFor(r); why != "" {
			o.Closed = why
		} else if o.Closed == "" && r.traits().readsFiles {
			o.Closed = u.unreadable()
		}
		offers = append(offers, o)
	}
	return offers
}

// guesses are the offers before anybody knows the files in the seeds.
func (u *Update) guesses() []delta.Offer {
	l := u.lacking()
	var offers []delta.Offer
	for _, r := range u.table {
		o := r.guess(l)
		o.Work.Write += u.image.Size
		if why := u.closed[r.name()]; why != nil && !r.traits().readsFiles {
			o.Closed = why.Error()
		}
		offers = append(offers, o)
	}
	return offers
}

// unreadable says why no route can be taken that reads files; "" when one can.
func (u *Update) unreadable() string {
	switch {
	case u.filesUnread:
		return "reading the seeds' files takes longer than another way in all"
	case u.recipe != nil && !mkimage.KnownCodec(u.recipe.Codec):
		return fmt.Sprintf("its codec %q is not known here", u.recipe.Codec)
	}
	return ""
}

// searchShare is the part of the whole image that is spent on finding out whether another route
// costs less, when nothing but that can tell. When the search is in vain, its bytes are spent
// beside the image.
const searchShare = 16

// limitSearch closes an offer of which it is only hoped that it costs less than the whole image,
// when finding out costs too much. Most is what the route may fetch at worst.
func (u *Update) limitSearch(o *delta.Offer, most int64) {
	if o.Closed != "" || u.r.Route != "" || o.MetaBytes+most <= u.image.Size {
		return
	}
	if u.meta.spent()+o.MetaBytes > u.image.Size/searchShare {
		o.Closed = "to find out whether it costs less takes too much of what it could save"
	}
}

func (u *Update) imageFile() delta.File { return delta.File{Kind: delta.ImageFile, ID: u.image.ID} }

// closeOn closes a route, with a warning, when err says that its files are of no use: missing,
// damaged or of a later format. It passes other errors on.
func closeOn(close func(error), err error) error {
	if err == nil || !unusable(err) {
		return err
	}
	close(err)
	return nil
}

// unusable tells whether an error is about a file that is missing on the mirror or not what it
// should be.
func unusable(err error) bool {
	return errors.Is(err, client.ErrMissing) || errors.Is(err, client.ErrLacking) ||
		errors.Is(err, mirror.ErrDamaged) || errors.Is(err, chunkstore.ErrVersion) ||
		errors.Is(err, chunkstore.ErrCorrupt)
}

// ignoreUnusable drops an error that says that a file is of no use. A route that needs the file
// meets the error again.
func ignoreUnusable(err error) error {
	if err != nil && unusable(err) {
		return nil
	}
	return err
}
