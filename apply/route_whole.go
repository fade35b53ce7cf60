package apply

import (
	"context"
	"errors"
	"fmt"

	"deltaup/apply/slotwriter"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
)

// wholeRoute fetches the finished image. It is written twice: to the state folder, and from there
// to the slot.
type wholeRoute struct{ u *Update }

func (r *wholeRoute) name() delta.Route { return "whole" }

func (r *wholeRoute) traits() traits { return traits{takesImage: true, proven: true} }

func (r *wholeRoute) laysCopy() bool { return false }

func (r *wholeRoute) offer(lacking) delta.Offer {
	size := r.u.image.Size
	return delta.Offer{
		Route:  r.name(),
		Whole:  true,
		Pieces: []delta.Piece{{File: r.u.imageFile(), Extent: delta.Extent{Length: size}}},
		Work:   delta.Work{Write: size},
	}
}

func (r *wholeRoute) guess(l lacking) delta.Offer { return r.offer(l) }

func (r *wholeRoute) load(context.Context) error { return nil }

func (r *wholeRoute) describe(*Quote) {}

// verify hashes the image as the cache has it.
func (r *wholeRoute) verify(ctx context.Context) ([]badExtent, error) {
	image := r.u.image
	h := chunkstore.NewHasher()
	err := r.eachPart(ctx, func(p []byte, _ int64) error {
		_, err := h.Write(p)
		return err
	})
	if err != nil || h.ID() == image.ID {
		return nil, err
	}
	return []badExtent{{
		file:   r.u.imageFile(),
		Extent: delta.Extent{Length: image.Size},
		cause:  fmt.Errorf("%s: %w", mirror.ImagePath(image.ID), chunkstore.ErrCorrupt),
	}}, nil
}

// write copies the image that was fetched, and whose hash is right.
func (r *wholeRoute) write(ctx context.Context, result *Result,
	_ *counter) (*slotwriter.Held, error) {
	result.BlocksCopied, result.BlocksCompressed = 0, 0
	held, err := r.u.copyInto(ctx, func(write func(p []byte, off int64) error) error {
		return r.eachPart(ctx, write)
	})
	// the state folder gives other bytes than when they were verified
	if errors.Is(err, slotwriter.ErrOtherImage) {
		err = fmt.Errorf("slot %s: %w: %w", r.u.r.Slot.Name(), ErrVerify, err)
	}
	return held, err
}

// lost leaves the routes that need no image's file.
func (r *wholeRoute) lost(file delta.File, err error) bool {
	if file.Kind != delta.ImageFile || r.u.route != route(r) {
		return false
	}
	r.u.closeImage(r, err)
	return true
}

// failed ends the run: there is nothing else to be tried.
func (r *wholeRoute) failed(_ context.Context, err error, _ *Result) error { return err }

// eachPart calls fn with the parts of the whole image in the cache, in order.
func (r *wholeRoute) eachPart(ctx context.Context, fn func(p []byte, off int64) error) error {
	image := r.u.image
	buf := make([]byte, 1<<20)
	for off := int64(0); off < image.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := buf[:min(int64(len(buf)), image.Size-off)]
		if err := r.u.state.Cache.ReadAt(image.ID, p, off); err != nil {
			return err
		}
		if err := fn(p, off); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}
