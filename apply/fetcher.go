package apply

import (
	"context"
	"errors"
	"io"
	"math"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"deltaup/apply/cache"
	"deltaup/apply/internal/nospace"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mirror/client"
)

// fetcher brings bytes of the mirror's files to the cache.
type fetcher struct {
	client   *client.Client
	cache    *cache.Cache
	meta     *metadata // which knows the line
	parallel int       // requests under way at once
	events   *events

	wholeFiles bool                    // the mirrors send only whole files
	sizes      map[chunkstore.ID]int64 // of the mirror's files, as far as they are known
}

// fetched is a range that came in this run, with the reader that it came through.
type fetched struct {
	delta.Range
	r io.Reader
}

// rangeError is the failure of one file's range.
type rangeError struct {
	file delta.File
	err  error
}

func (e *rangeError) Error() string { return e.err.Error() }
func (e *rangeError) Unwrap() error { return e.err }

// ranges fetches a plan's ranges, some at once. Total counts what comes.
func (f *fetcher) ranges(ctx context.Context, ranges []delta.Range,
	total *counter) ([]fetched, error) {
	var mu sync.Mutex
	var got []fetched
	size := f.underWay()
	room := semaphore.NewWeighted(size)
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(f.parallel)
	for _, r := range ranges {
		share := &share{room: room, size: min(r.Length, size)}
		if room.Acquire(groupCtx, share.size) != nil {
			break
		}
		g.Go(func() error {
			defer share.keep(0)
			reader, err := f.one(groupCtx, r, func(n, left int64) {
				total.add(n)
				share.keep(left)
			})
			if err != nil {
				return nospace.Mark(err)
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

// What may be under way at once: so many times what the line holds, and no less than so many bytes.
const (
	underWayTrips = 4
	underWayMin   = 2 << 20
)

// underWay is how many bytes may be under way at once: enough to fill the line, and no more, so
// that they come about in the order in which they lie, which is that in which an image is written.
func (f *fetcher) underWay() int64 {
	line := f.meta.line
	if line.Rate <= 0 || line.RTT <= 0 {
		return math.MaxInt64
	}
	return max(underWayMin, int64(underWayTrips*line.Rate*line.RTT.Seconds()))
}

// share is the part of what may be under way that one range takes.
type share struct {
	room *semaphore.Weighted
	size int64
}

// keep gives back what is more than left.
func (s *share) keep(left int64) {
	if left < s.size {
		s.room.Release(s.size - left)
		s.size = left
	}
}

// one appends a range to the cache as it comes. Unless it is nil, came is told of the bytes that
// came and of those that are left.
func (f *fetcher) one(ctx context.Context, r delta.Range,
	came func(n, left int64)) (reader io.Reader, err error) {
	read := f.client.ReadPart
	if f.wholeFiles {
		read = f.client.ReadRange
		// What is on disk behind the first gap comes once more.
		if err := f.cache.Cut(r.File.ID, delta.Extent{Offset: r.Offset, Length: r.Length}); err != nil {
			return nil, err
		}
	}
	body, err := read(ctx, objectPath(r.File), r.Offset, r.Length)
	if err != nil {
		return nil, &rangeError{r.File, err}
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	part, err := f.cache.Create(r.File.ID, r.Offset)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	left := r.Length
	if came != nil && r.Skip > 0 {
		came(r.Skip, left)
	}
	for {
		n, readErr := body.Read(buf)
		if n > 0 {
			if _, err := part.Write(buf[:n]); err != nil {
				return nil, errors.Join(err, part.Close())
			}
			if left -= int64(n); came != nil {
				came(int64(n), left)
			}
		}
		if readErr == io.EOF {
			return body, part.Close()
		}
		if readErr != nil {
			if err := part.Close(); err != nil {
				return nil, errors.Join(readErr, err)
			}
			return nil, &rangeError{r.File, readErr}
		}
	}
}

// extent fetches what is missing of one run of bytes, for the plan's sake. It is not counted as
// progress.
func (f *fetcher) extent(ctx context.Context, file delta.File, e delta.Extent) ([]fetched, error) {
	var got []fetched
	for _, r := range f.missing(file, e) {
		start := time.Now()
		reader, err := f.one(ctx, r, nil)
		if err != nil {
			return nil, nospace.Mark(err)
		}
		f.meta.measure(r.Skip+r.Length, time.Since(start))
		got = append(got, fetched{r, reader})
	}
	return got, nil
}

func objectPath(f delta.File) string {
	switch f.Kind {
	case delta.ImageFile:
		return mirror.ImagePath(f.ID)
	case delta.SetFile:
		return mirror.PatchPath(f.ID)
	}
	return mirror.PackPath(f.ID)
}
