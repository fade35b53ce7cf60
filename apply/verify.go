package apply

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
)

// badExtent is bytes in the cache that are not what they have to be.
type badExtent struct {
	file delta.File
	delta.Extent
	cause error

	set   *set // of a group; nil: something else
	group int
}

// badExtents verifies everything in the cache that will be used.
func (u *Update) badExtents(ctx context.Context) ([]badExtent, error) {
	bad, err := u.badFrames(ctx, u.other)
	if err != nil || !u.rebuilds() {
		return bad, err
	}
	more, err := u.badFrames(ctx, u.way.Chunks)
	bad = append(bad, more...)
	if err != nil {
		return nil, err
	}
	switch u.plan.Route {
	case delta.RoutePatch:
		more, err = u.badGroups(ctx)
	case delta.RouteBlocks:
		if u.early == nil { // else they have proved themselves
			more, err = u.badPieces(ctx)
		}
	case delta.RouteWhole:
		more, err = u.badImage(ctx)
	default:
		return bad, nil
	}
	return append(bad, more...), err
}

// badImage hashes the image that was fetched whole.
func (u *Update) badImage(ctx context.Context) ([]badExtent, error) {
	id, err := u.hashCached(ctx)
	if err != nil || id == u.image.ID {
		return nil, err
	}
	return []badExtent{{file: u.imageFile(), Extent: delta.Extent{Length: u.image.Size},
		cause: fmt.Errorf("%s: %w", mirror.ImagePath(u.image.ID), chunkstore.ErrCorrupt)}}, nil
}

// badFrames decodes the frames of all chunks of the list that no seed has.
func (u *Update) badFrames(ctx context.Context, list delta.List) ([]badExtent, error) {
	var found badExtents
	src := newSource(&seeds{}, u.state.Cache, u.at, nil)
	err := inParallel(ctx, len(list.Chunks), func(i int) error {
		c := list.Chunks[i]
		if _, ok := u.seeds.chunks[c.ID]; ok {
			return nil
		}
		b := src.buffers.Get().(*buffers)
		defer src.buffers.Put(b)
		plain, err := src.fetched(c, b)
		b.plain = plain[:0]
		if !errors.Is(err, chunkstore.ErrCorrupt) {
			return err
		}
		at := list.Locations[i]
		found.add(
			badExtent{
				file:   delta.File{Kind: delta.PackFile, ID: at.Pack},
				Extent: delta.Extent{Offset: at.Offset, Length: at.Length},
				cause: fmt.Errorf(
					"%s: chunk %s at %d: %w",
					mirror.PackPath(at.Pack),
					c.ID,
					at.Offset,
					err,
				),
			},
		)
		return nil
	})
	return found.list, err
}

// badGroups hashes the groups that the plan needs.
func (u *Update) badGroups(ctx context.Context) ([]badExtent, error) {
	wanted := map[delta.Piece]bool{}
	for _, p := range u.way.Pieces {
		wanted[p] = true
	}
	var bad []badExtent
	for _, s := range u.chain.sets {
		for n, g := range s.head.Groups {
			e := delta.Extent{Offset: g.Offset, Length: g.Length}
			if !wanted[delta.Piece{File: s.file(), Extent: e}] {
				continue
			}
			stored := make([]byte, g.Length)
			if err := u.state.Cache.ReadAt(s.patch.Set.ID, stored, g.Offset); err != nil {
				return nil, err
			}
			if chunkstore.Sum(stored) != g.Hash {
				bad = append(bad, badExtent{file: s.file(), Extent: e, set: s, group: n,
					cause: fmt.Errorf("%s: group %d: %w", s.name(), n, chunkstore.ErrCorrupt)})
			}
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
	}
	return bad, nil
}

// badExtents collects what several goroutines find.
type badExtents struct {
	mu   sync.Mutex
	list []badExtent
}

func (b *badExtents) add(x badExtent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, x)
}

// inParallel calls fn for 0 to n-1, on all processors.
func inParallel(ctx context.Context, n int, fn func(i int) error) error {
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range n {
		if groupCtx.Err() != nil {
			break
		}
		g.Go(func() error { return fn(i) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
