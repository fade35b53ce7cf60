package patchset

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// roomMax is how many bytes of memory all searches and coders of one Make take together, on any
// number of processors. The contents and streams of one batch, and the bases at hand, come on top:
// how much a search takes is known once they are read and transformed.
const roomMax = 1 << 30

// room shares roomMax among goroutines.
type room struct{ left *semaphore.Weighted }

func newRoom() room { return room{semaphore.NewWeighted(roomMax)} }

// take waits until bytes are free. release gives them back. The error is ctx's.
func (r room) take(ctx context.Context, bytes int64) (release func(), err error) {
	bytes = min(bytes, roomMax)
	if err := r.left.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	return func() { r.left.Release(bytes) }, nil
}

// searchRoom is about how many bytes the patches from an old content, or a window of one, to a new
// content take: the index while it is made, the search, and the streams of both gains.
func searchRoom(old, new int) int64 { return 14*int64(old) + 12*int64(new) }

// coderRoom is about how many bytes brotli takes for a group.
func coderRoom(plain int) int64 { return 24 * int64(plain) }
