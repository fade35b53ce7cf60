package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"deltaup/apply/slotwriter"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage/blockmap"
)

// layPieces writes the image into the slot, piece by piece, from the seeds and from what was
// fetched, and proves it. While fetching, unless it is nil, still counts, pieces are waited for,
// and none is verified by itself: when the image is wrong it is laid once more.
func (u *Update) layPieces(ctx context.Context, result *Result,
	fetching *counter) (*slotwriter.Held, error) {
	var copied, done atomic.Int64
	held, err := u.fill(ctx, false, func(ctx context.Context, w io.WriterAt) error {
		err := eachPiece(
			ctx,
			u.pieces.image,
			func(ctx context.Context, x blockmap.Piece, buf []byte) error {
				if at, ok := u.pieces.at[x.Key]; ok {
					n, err := at.seed.ReadAt(buf, at.offset)
					if n < len(buf) || fetching == nil && blockmap.KeyOf(buf) != x.Key {
						return fmt.Errorf("seed %s: %w", at.seed.Name(), errors.Join(ErrSeed, err))
					}
					copied.Add(1)
				} else if err := u.fetchedPiece(ctx, x, buf, fetching != nil); err != nil {
					return err
				}
				// else the stage is that one
				if n := done.Add(int64(x.Length)); fetching == nil || fetching.left() <= 0 {
					u.events.progress(StageRebuild, mirror.ImageName, n, u.image.Size)
				}
				_, err := w.WriteAt(buf, x.Offset)
				return err
			},
		)
		if err != nil {
			return fmt.Errorf("copy into slot %s: %w", u.r.Slot.Name(), err)
		}
		return nil
	})
	result.BlocksCopied, result.BlocksCompressed = int(copied.Load()), 0
	if errors.Is(err, slotwriter.ErrOtherImage) {
		if medium := u.holdsPieces(ctx); medium != nil {
			err = medium
		}
	}
	return held, err
}

// fetchedPiece reads a piece from the cache. One that may still be on its way is waited for.
func (u *Update) fetchedPiece(ctx context.Context, x blockmap.Piece, buf []byte,
	fetching bool) error {
	if fetching {
		err := u.state.Cache.Await(ctx,
			func() bool { return u.state.Cache.Lacks(u.image.ID, pieceExtent(x)) == 0 })
		if err != nil {
			return err
		}
	}
	return u.state.Cache.ReadAt(u.image.ID, buf, x.Offset)
}

// holdsPieces fails with ErrVerify when the slot holds other pieces than were written to it.
func (u *Update) holdsPieces(ctx context.Context) error {
	return eachPiece(
		ctx,
		u.pieces.image,
		func(_ context.Context, x blockmap.Piece, buf []byte) error {
			if x.Offset < slotwriter.HeadSize {
				return nil // not written yet
			}
			if n, err := u.r.Slot.ReadMedium(buf, x.Offset); n < len(buf) ||
				blockmap.KeyOf(buf) != x.Key {
				return fmt.Errorf("slot %s: at %d: %w", u.r.Slot.Name(), x.Offset,
					errors.Join(ErrVerify, err))
			}
			return nil
		},
	)
}

// badPieces holds the pieces that were fetched against their keys.
func (u *Update) badPieces(ctx context.Context) ([]badExtent, error) {
	var found badExtents
	err := eachPiece(
		ctx,
		u.pieces.image,
		func(_ context.Context, x blockmap.Piece, buf []byte) error {
			if _, ok := u.pieces.at[x.Key]; ok {
				return nil
			}
			if err := u.state.Cache.ReadAt(u.image.ID, buf, x.Offset); err != nil {
				return err
			}
			if blockmap.KeyOf(buf) != x.Key {
				found.add(badExtent{file: u.imageFile(), Extent: pieceExtent(x),
					cause: fmt.Errorf("%s: piece at %d: %w", mirror.ImagePath(u.image.ID), x.Offset,
						chunkstore.ErrCorrupt)})
			}
			return nil
		},
	)
	return found.list, err
}

func pieceExtent(x blockmap.Piece) delta.Extent {
	return delta.Extent{Offset: x.Offset, Length: int64(x.Length)}
}

// pieceBuffers are *[]byte that hold a piece.
var pieceBuffers = sync.Pool{New: func() any { b := make([]byte, blockmap.PieceMax); return &b }}

// eachPiece calls fn for all pieces, in about the order in which they lie, on all processors, with
// a buffer of the piece's length.
func eachPiece(ctx context.Context, m *blockmap.Map,
	fn func(ctx context.Context, x blockmap.Piece, buf []byte) error) error {
	const batch = 16
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < m.Len() && groupCtx.Err() == nil; first += batch {
		g.Go(func() error {
			buf := pieceBuffers.Get().(*[]byte)
			defer pieceBuffers.Put(buf)
			for i := first; i < min(first+batch, m.Len()); i++ {
				x := m.Piece(i)
				if err := fn(groupCtx, x, (*buf)[:x.Length]); err != nil {
					return err
				}
			}
			return groupCtx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
