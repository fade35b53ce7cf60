package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"deltaup/apply/internal/nospace"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/human"
	"deltaup/mirror"
)

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

// fetchAll fetches until all that is planned is on disk and verified. What cannot be had
// changes the plan as long as there is another way.
func (u *Update) fetchAll(ctx context.Context, total *counter) error {
	for {
		early := u.layEarly(ctx, total)
		got, err := u.fetchRanges(ctx, total)
		if early.end(err) {
			u.early = early
		}
		if err == nil {
			var bad []badExtent
			if bad, err = u.badExtents(ctx); err != nil || len(bad) == 0 {
				return err
			}
			u.events.warn("%d pieces of what was fetched are corrupt, the first of them: %v",
				len(bad), bad[0].cause)
			err = u.discard(bad, got)
		}
		if err != nil {
			if err = u.giveUp(ctx, err); err != nil {
				return err
			}
		}
		if err := u.replan(ctx); err != nil {
			return err
		}
		total.total = total.done.Load() + u.plan.Bytes
	}
}

// giveUp closes what an error of fetching or of making contents says is of no use, with a warning.
// It returns the error when no other way is left open by that.
func (u *Update) giveUp(ctx context.Context, err error) error {
	var patch *patchError
	if errors.As(err, &patch) {
		if u.believes() { // a base may be another one
			return &beliedError{err}
		}
		return u.tryPatches(ctx)
	}
	if u.turnsWhole(err) {
		return nil
	}
	var r *rangeError
	if !errors.As(err, &r) || !unusable(err) {
		return err
	}
	switch {
	case r.file.Kind == delta.SetFile:
		u.close(delta.RoutePatch, err)
	case r.file.Kind == delta.ImageFile && (u.plan.Route == delta.RouteBlocks || u.seedless):
		u.close(u.plan.Route, err)
		u.closed[delta.RouteBlocks], u.closed[delta.RouteWhole] = err, err
	default:
		return err
	}
	return nil
}

// tryPatches makes everything that the plan makes by patch, to leave out at once all that
// comes out wrong, with a warning.
func (u *Update) tryPatches(ctx context.Context) error {
	failed := 0
	var first error
	for _, c := range u.missing().contents {
		for u.chain.gives(c.ID, len(u.chain.sets)) {
			_, err := io.Copy(io.Discard, u.chain.reader(ctx, c.ID))
			var patch *patchError
			if err == nil {
				break
			}
			if !errors.As(err, &patch) {
				return err
			}
			if failed++; failed == 1 {
				first = err
			}
			patch.leaveOut()
		}
	}
	if failed == 0 {
		return fmt.Errorf("%w: a patch failed and then did not", ErrSeed)
	}
	u.events.warn(
		"%d patches are of no use, and what they were to give is fetched otherwise; the first of them: %v",
		failed,
		first,
	)
	return nil
}

// fetchRanges fetches the plan's ranges, some at once.
func (u *Update) fetchRanges(ctx context.Context, total *counter) ([]fetched, error) {
	var mu sync.Mutex
	var got []fetched
	size := u.underWay()
	room := semaphore.NewWeighted(size)
	g, groupCtx := errgroup.WithContext(ctx)
	g.SetLimit(u.r.Parallel)
	for _, r := range u.plan.Ranges {
		share := &share{room: room, size: min(r.Length, size)}
		if room.Acquire(groupCtx, share.size) != nil {
			break
		}
		g.Go(func() error {
			defer share.keep(0)
			reader, err := u.fetchRange(groupCtx, r, func(n int, left int64) {
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
func (u *Update) underWay() int64 {
	line := u.meta.line
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

// fetchRange appends a range to the cache as it comes. Unless it is nil, came is told of the bytes
// that came and of those that are left.
func (u *Update) fetchRange(ctx context.Context, r delta.Range,
	came func(n int, left int64)) (reader io.Reader, err error) {
	read := u.r.Client.ReadPart
	if u.wholeFiles {
		read = u.r.Client.ReadRange
		// What is on disk behind the first gap comes once more.
		if err := u.state.Cache.Cut(r.File.ID, delta.Extent{Offset: r.Offset, Length: r.Length}); err != nil {
			return nil, err
		}
	}
	body, err := read(ctx, objectPath(r.File), r.Offset, r.Length)
	if err != nil {
		return nil, &rangeError{r.File, err}
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	part, err := u.state.Cache.Create(r.File.ID, r.Offset)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, 64<<10)
	left := r.Length
	if came != nil && r.Skip > 0 {
		came(int(r.Skip), left)
	}
	for {
		n, readErr := body.Read(buf)
		if n > 0 {
			if _, err := part.Write(buf[:n]); err != nil {
				return nil, errors.Join(err, part.Close())
			}
			if left -= int64(n); came != nil {
				came(n, left)
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

// fetchExtent fetches what is missing of one run of bytes, for the plan's sake. It is not counted
// as progress.
func (u *Update) fetchExtent(ctx context.Context, f delta.File, e delta.Extent) ([]fetched, error) {
	var got []fetched
	for _, r := range u.toFetch(f, e) {
		start := time.Now()
		reader, err := u.fetchRange(ctx, r, nil)
		if err != nil {
			return nil, nospace.Mark(err)
		}
		u.meta.measure(r.Skip+r.Length, time.Since(start))
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

// discard cuts bad bytes out of the cache and blames the mirrors that they came from. Bytes that an
// earlier run left are given one more chance, others as many as there are mirrors; then groups are
// left out, with a warning, and the error says what else is wrong.
func (u *Update) discard(bad []badExtent, got []fetched) error {
	for _, b := range bad {
		// Cut before blaming: when all mirrors fail, a later run has to fetch it again.
		if err := u.state.Cache.Cut(b.file.ID, b.Extent); err != nil {
			return nospace.Mark(err)
		}
	}
	blamed := map[io.Reader]error{}
	for _, b := range bad {
		for _, f := range got {
			if f.File != b.file || f.Offset >= b.End() || b.Offset >= f.Offset+f.Length {
				continue
			}
			err, known := blamed[f.r]
			if !known {
				err = u.r.Client.Blame(f.r, b.cause)
				blamed[f.r] = err
			}
			if err != nil && b.set == nil {
				return &rangeError{b.file, err}
			}
			if err != nil && !b.set.dead[b.group] {
				b.set.dead[b.group] = true
				u.events.warn("%v; what the group was to give is fetched otherwise", err)
			}
		}
	}
	return nil
}

// cachedImage calls fn with the pieces of the whole image in the cache, in order.
func (u *Update) cachedImage(ctx context.Context, fn func(p []byte, off int64) error) error {
	buf := make([]byte, 1<<20)
	for off := int64(0); off < u.image.Size; {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := buf[:min(int64(len(buf)), u.image.Size-off)]
		if err := u.state.Cache.ReadAt(u.image.ID, p, off); err != nil {
			return err
		}
		if err := fn(p, off); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
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

// noRoom says that the state folder's file system is too small for a plan.
func (u *Update) noRoom(free int64) error {
	return fmt.Errorf("state folder %s: %w: %s are to be fetched, %s more than are free",
		u.state.Name(), ErrNoSpace, human.Size(u.plan.Bytes), human.Size(u.plan.Bytes-free))
}
