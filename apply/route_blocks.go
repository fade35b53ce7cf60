package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"deltaup/apply/slotwriter"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage/blockmap"
)

// blocksRoute fetches the stored pieces of the finished image that no seed has as they are, and
// copies the others. Before that it needs the block map. It reads no files in the seeds, and goes
// on beside the end of fetching.
type blocksRoute struct {
	u      *Update
	pieces pieces
}

// besideTime is for how long an image is written while its last bytes are still fetched, at the
// rate that the line has. A mirror that falls silent before costs nothing of what the slot holds,
// and one that does so then leaves little to fetch.
const besideTime = 3 * time.Second

func (r *blocksRoute) name() delta.Route { return "blocks" }

func (r *blocksRoute) traits() traits { return traits{takesImage: true} }

func (r *blocksRoute) laysCopy() bool { return r.u.image.Blockmap != nil && !r.u.noCopies }

// offer reckons that what is fetched is written twice: to the state folder, and from there to the
// slot.
func (r *blocksRoute) offer(l lacking) delta.Offer {
	u := r.u
	o := delta.Offer{Route: r.name()}
	if u.meta.line.Rate > 0 {
		o.Beside = besideTime
	}
	switch {
	case u.image.Blockmap == nil:
		o.Closed = "the release has no block map"
	case len(u.r.Seeds) == 0 && u.r.Copy == "":
		o.Closed = "there is no seed"
	case u.noCopies:
		o.Closed = "blocks are not taken as they are any more"
	case u.fetcher.wholeFiles && u.r.Route == "" && u.r.Copy == "":
		o.Closed = "the server sends whole files"
	case r.pieces.image != nil:
		for x := range r.pieces.lacking {
			piece := delta.Piece{File: u.imageFile(), Extent: pieceExtent(x)}
			o.Pieces = append(o.Pieces, piece)
			o.Work.Write += int64(x.Length)
		}
	case u.r.Copy != "": // which lacks next to nothing
		u.meta.addTo(&o, *u.image.Blockmap)
		o.Work = delta.Work{Scan: u.image.Size}
	default:
		u.meta.addTo(&o, *u.image.Blockmap)
		o.Guess = l.stored
		o.Work = delta.Work{Write: l.stored, Scan: u.seedBytes}
		if !u.patch.chain.fits() && u.recipe == nil {
			u.limitSearch(&o, u.image.Size)
		}
	}
	return o
}

func (r *blocksRoute) guess(l lacking) delta.Offer { return r.offer(l) }

func (r *blocksRoute) load(ctx context.Context) error {
	return closeOn(r.close, r.loadPieces(ctx))
}

func (r *blocksRoute) close(err error) { r.u.closeRoute(r, err) }

func (r *blocksRoute) describe(*Quote) {}

// verify holds the pieces that were fetched against their keys.
func (r *blocksRoute) verify(ctx context.Context) ([]badExtent, error) {
	u := r.u
	var found badExtents
	err := r.pieces.each(ctx, func(_ context.Context, x blockmap.Piece, buf []byte) error {
		if _, ok := r.pieces.at[x.Key]; ok {
			return nil
		}
		if err := u.state.Cache.ReadAt(u.image.ID, buf, x.Offset); err != nil {
			return err
		}
		if blockmap.KeyOf(buf) != x.Key {
			found.add(badExtent{
				file:   u.imageFile(),
				Extent: pieceExtent(x),
				cause: fmt.Errorf("%s: piece at %d: %w", mirror.ImagePath(u.image.ID), x.Offset,
					chunkstore.ErrCorrupt),
			})
		}
		return nil
	})
	return found.list, err
}

// write lays the image in the slot, piece by piece, from the seeds and from what was fetched.
// Beside fetching it waits for pieces and verifies none: when the image is wrong it is laid once
// more.
func (r *blocksRoute) write(ctx context.Context, result *Result,
	fetching *counter) (*slotwriter.Held, error) {
	u := r.u
	var copied, done atomic.Int64
	held, err := u.fill(ctx, false, func(ctx context.Context, w io.WriterAt) error {
		err := r.pieces.each(ctx, func(ctx context.Context, x blockmap.Piece, buf []byte) error {
			if at, ok := r.pieces.at[x.Key]; ok {
				if err := at.read(x, buf, fetching == nil); err != nil {
					return err
				}
				copied.Add(1)
			} else if err := r.fetchedPiece(ctx, x, buf, fetching != nil); err != nil {
				return err
			}
			// else the stage is that one
			if n := done.Add(int64(x.Length)); fetching == nil || fetching.left() <= 0 {
				u.events.progress(StageRebuild, mirror.ImageName, n, u.image.Size)
			}
			_, err := w.WriteAt(buf, x.Offset)
			return err
		})
		if err != nil {
			return fmt.Errorf("copy into slot %s: %w", u.r.Slot.Name(), err)
		}
		return nil
	})
	result.BlocksCopied, result.BlocksCompressed = int(copied.Load()), 0
	if errors.Is(err, slotwriter.ErrOtherImage) {
		if medium := r.checkMedium(ctx); medium != nil {
			err = medium
		}
	}
	return held, err
}

// fetchedPiece reads a piece from the cache. One that may still be on its way is waited for.
func (r *blocksRoute) fetchedPiece(ctx context.Context, x blockmap.Piece, buf []byte,
	fetching bool) error {
	image, cache := r.u.image.ID, r.u.state.Cache
	if fetching {
		err := cache.Await(ctx, func() bool { return cache.Lacks(image, pieceExtent(x)) == 0 })
		if err != nil {
			return err
		}
	}
	return cache.ReadAt(image, buf, x.Offset)
}

// checkMedium fails with ErrVerify when the slot holds other pieces than were written to it.
func (r *blocksRoute) checkMedium(ctx context.Context) error {
	slot := r.u.r.Slot
	return r.pieces.each(ctx, func(_ context.Context, x blockmap.Piece, buf []byte) error {
		if x.Offset < slotwriter.HeadSize {
			return nil // not written yet
		}
		n, err := slot.ReadMedium(buf, x.Offset)
		if n < len(buf) || blockmap.KeyOf(buf) != x.Key {
			return fmt.Errorf("slot %s: at %d: %w", slot.Name(), x.Offset,
				because(ErrVerify, err))
		}
		return nil
	})
}

func (r *blocksRoute) lost(file delta.File, err error) bool {
	if file.Kind != delta.ImageFile || r.u.route != route(r) {
		return false
	}
	r.u.closeImage(r, err)
	return true
}

func (r *blocksRoute) failed(ctx context.Context, err error, result *Result) error {
	return r.u.otherImage(ctx, err, result)
}
