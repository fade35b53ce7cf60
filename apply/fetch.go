package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
)

// fetched is a range that came in this run, with the reader that it came through.
type fetched struct {
	delta.Range
	r io.Reader
}

// fetchAll fetches until all that is planned is on disk and verified.
func (u *Update) fetchAll(ctx context.Context, total *counter) error {
	for {
		got, err := u.fetchRanges(ctx, total)
		if err != nil {
			return err
		}
		bad, err := u.badExtents(ctx)
		if err != nil || len(bad) == 0 {
			return err
		}
		if err := u.fetchAgain(bad, got); err != nil {
			return err
		}
		total.total += u.plan.Bytes
	}
}

// fetchRanges fetches the plan's ranges, some at once.
func (u *Update) fetchRanges(ctx context.Context, total *counter) ([]fetched, error) {
	var mu sync.Mutex
	var got []fetched
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(u.r.Parallel)
	for _, r := range u.plan.Ranges {
		if groupCtx.Err() != nil {
			break
		}
		g.Go(func() error {
			reader, err := u.fetchRange(groupCtx, r, total)
			if err != nil {
				return noSpace(err)
			}
			mu.Lock()
			defer mu.Unlock()
			got = append(got, fetched{r, reader})
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return got, ctx.Err()
}

// fetchRange appends a range to the cache as it comes.
func (u *Update) fetchRange(ctx context.Context, r delta.Range, total *counter) (reader io.Reader, err error) {
	body, err := u.r.Client.ReadRange(ctx, objectPath(r.File, r.Image), r.Offset, r.Length)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	part, err := u.state.cache.create(r.File, r.Offset)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	for {
		n, readErr := body.Read(buf)
		if n > 0 {
			if _, err := part.Write(buf[:n]); err != nil {
				return nil, errors.Join(err, part.Close())
			}
			total.add(n)
		}
		if readErr == io.EOF {
			return body, part.Close()
		}
		if readErr != nil {
			return nil, errors.Join(readErr, part.Close())
		}
	}
}

func objectPath(id chunkstore.ID, image bool) string {
	if image {
		return mirror.ImagePath(id)
	}
	return mirror.PackPath(id)
}

// badExtent is bytes in the cache that are not what they have to be.
type badExtent struct {
	file  chunkstore.ID
	image bool
	delta.Extent
	cause error
}

// badExtents verifies everything in the cache that will be used.
func (u *Update) badExtents(ctx context.Context) ([]badExtent, error) {
	bad, err := u.badFrames(ctx, u.need.Other)
	if err != nil || u.image == nil {
		return bad, err
	}
	if u.plan.Route == delta.Rebuild {
		more, err := u.badFrames(ctx, u.need.Image)
		return append(bad, more...), err
	}
	id, err := u.hashCached(ctx)
	if err == nil && id != u.image.ID {
		bad = append(bad, badExtent{u.image.ID, true, delta.Extent{Length: u.image.Size},
			fmt.Errorf("%s: %w", mirror.ImagePath(u.image.ID), chunkstore.ErrCorrupt)})
	}
	return bad, err
}

// badFrames decodes the frames of all chunks of the list that no seed has.
func (u *Update) badFrames(ctx context.Context, list delta.List) ([]badExtent, error) {
	var mu sync.Mutex
	var bad []badExtent
	src := newSource(&seeds{}, u.state.cache, u.at, nil)
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, c := range list.Chunks {
		if groupCtx.Err() != nil {
			break
		}
		if _, ok := u.seeds.chunks[c.ID]; ok {
			continue
		}
		g.Go(func() error {
			b := src.buffers.Get().(*buffers)
			defer src.buffers.Put(b)
			plain, err := src.fetched(c, b)
			b.plain = plain[:0]
			if !errors.Is(err, chunkstore.ErrCorrupt) {
				return err
			}
			at := list.Locations[i]
			mu.Lock()
			defer mu.Unlock()
			bad = append(bad, badExtent{at.Pack, false, delta.Extent{Offset: at.Offset, Length: at.Length},
				fmt.Errorf("%s: chunk %s at %d: %w", mirror.PackPath(at.Pack), c.ID, at.Offset, err)})
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return bad, ctx.Err()
}

// hashCached hashes the image as the cache has it.
func (u *Update) hashCached(ctx context.Context) (chunkstore.ID, error) {
	h := chunkstore.NewHasher()
	err := u.cachedImage(ctx, func(p []byte, _ int64) error {
		_, err := h.Write(p)
		return err
	})
	return h.ID(), err
}

// cachedImage calls fn with the pieces of the whole image in the cache, in order.
func (u *Update) cachedImage(ctx context.Context, fn func(p []byte, off int64) error) error {
	buf := make([]byte, 1<<20)
	for off := int64(0); off < u.image.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := buf[:min(int64(len(buf)), u.image.Size-off)]
		if err := u.state.cache.readAt(u.image.ID, p, off); err != nil {
			return err
		}
		if err := fn(p, off); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}

// fetchAgain cuts bad bytes out of the cache, blames the mirrors that they came from,
// and plans anew. Bytes that an earlier run left are given one more chance, others as many as there are mirrors.
func (u *Update) fetchAgain(bad []badExtent, got []fetched) error {
	blamed := map[io.Reader]bool{}
	for _, b := range bad {
		// Cut before blaming: when all mirrors fail, a later run has to fetch it again.
		if err := u.state.cache.cut(b.file, b.Extent); err != nil {
			return noSpace(err)
		}
	}
	for _, b := range bad {
		for _, f := range got {
			if f.File != b.file || f.Offset >= b.End() || b.Offset >= f.Offset+f.Length || blamed[f.r] {
				continue
			}
			blamed[f.r] = true
			if err := u.r.Client.Blame(f.r, b.cause); err != nil {
				return err
			}
		}
	}
	u.events.warn("%d pieces of what was fetched are corrupt and fetched again, the first of them: %v", len(bad), bad[0].cause)
	return u.replan()
}
