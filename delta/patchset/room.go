package patchset

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// roomMax is the memory, in bytes, that searches and coders of one Make take together, on however
// many processors. Beside it are the contents and streams of one batch.
const roomMax = 1 << 30

// room shares roomMax out among goroutines.
type room struct{ left *semaphore.Weighted }

func newRoom() room { return room{semaphore.NewWeighted(roomMax)} }

// take waits until so many bytes are free. The error is the context's.
func (r room) take(ctx context.Context, bytes int64) (release func(), err error) {
	bytes = min(bytes, roomMax)
	if err := r.left.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	return func() { r.left.Release(bytes) }, nil
}

// searchRoom is about what the patches from an old content, or a window of one, to a new one take:
// the index while it is made; what was looked up, and the streams of both gains.
func searchRoom(old, new int) int64 { return 14*int64(old) + 12*int64(new) }

// coderRoom is about what brotli takes for a group.
func coderRoom(plain int) int64 { return 24 * int64(plain) }
