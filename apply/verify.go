package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"deltaup/apply/internal/nospace"
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

// verify gives what is wrong of everything in the cache that the plan uses. An image that was
// written while it was fetched has proved what its route fetched.
func (u *Update) verify(ctx context.Context) ([]badExtent, error) {
	bad, err := u.badFrames(ctx, u.other)
	if err != nil || u.route == nil {
		return bad, err
	}
	more, err := u.badFrames(ctx, u.offer.Chunks)
	bad = append(bad, more...)
	if err != nil {
		return nil, err
	}
	if u.written != nil {
		return bad, nil
	}
	more, err = u.route.verify(ctx)
	return append(bad, more...), err
}

// badFrames decodes the frames of all chunks of the list that no seed has.
func (u *Update) badFrames(ctx context.Context, list delta.List) ([]badExtent, error) {
	var found badExtents
	src := newSource(&seeds{}, u.state.Cache, u.at, nil)
	err := inParallel(ctx, len(list.Chunks), func(i int) error {
		c := list.Chunks[i]
		if _, ok := u.seeds.chunk(c.ID); ok {
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
		found.add(badExtent{
			file:   delta.File{Kind: delta.PackFile, ID: at.Pack},
			Extent: delta.Extent{Offset: at.Offset, Length: at.Length},
			cause: fmt.Errorf("%s: chunk %s at %d: %w", mirror.PackPath(at.Pack), c.ID, at.Offset,
				err),
		})
		return nil
	})
	return found.list, err
}

// discard cuts bad bytes out of the cache and blames the mirrors that they came from. Bytes that an
// earlier run left are given one more chance, others as many as there are mirrors. After that a
// patch set's group is left out, with a warning; what else is wrong is the error.
func (f *fetcher) discard(bad []badExtent, got []fetched) error {
	for _, b := range bad {
		// Cut before blaming: when all mirrors fail, a later run has to fetch it again.
		if err := f.cache.Cut(b.file.ID, b.Extent); err != nil {
			return nospace.Mark(err)
		}
	}
	blamed := map[io.Reader]error{}
	for _, b := range bad {
		for _, r := range got {
			if r.File != b.file || r.Offset >= b.End() || b.Offset >= r.Offset+r.Length {
				continue
			}
			err, known := blamed[r.r]
			if !known {
				err = f.client.Blame(r.r, b.cause)
				blamed[r.r] = err
			}
			if err != nil && b.set == nil {
				return &rangeError{b.file, err}
			}
			if err != nil && !b.set.unusable[b.group] {
				b.set.giveUp(b.group)
				f.events.warn("%v; what the group was to give is fetched otherwise", err)
			}
		}
	}
	return nil
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
