package patchset

import (
	"context"
	"sync"
)

// roomMax is how many bytes of memory all searches and coders of one Make take together, on any
// number of processors. The bases at hand, and the streams that wait, come on top: how much a
// search takes is known once its contents are read and transformed.
const roomMax = 768 << 20

// room shares roomMax and the processors among goroutines. Who asks for less than is left need not
// wait for one who asks for more.
type room struct {
	mu      sync.Mutex
	changed *sync.Cond // something of what follows, or of work
	left    int64      // bytes
	idle    int        // processors
	waiting int        // goroutines that wait in take
}

func newRoom(processors int) *room {
	r := &room{left: roomMax, idle: processors}
	r.changed = sync.NewCond(&r.mu)
	return r
}

// fits tells whether bytes are free. What takes more than there is has all for itself. The caller
// holds mu.
func (r *room) fits(bytes int64) bool { return bytes <= r.left || r.left == roomMax }

// take waits until bytes are free, and leaves its processor to others meanwhile. release gives them
// back. The error is ctx's.
func (r *room) take(ctx context.Context, bytes int64) (release func(), err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.fits(bytes) {
		stop := context.AfterFunc(ctx, r.wake)
		defer stop()
		r.waiting++
		r.idle++
		r.changed.Broadcast()
		for ctx.Err() == nil && !(r.fits(bytes) && r.idle > 0) {
			r.changed.Wait()
		}
		r.idle--
		r.waiting--
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.left -= bytes
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.left += bytes
		r.changed.Broadcast()
	}, nil
}

// wake has all look again.
func (r *room) wake() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changed.Broadcast()
}

// searchRoom is about how many bytes the patches from an old content, or a window of one, to a new
// content take: the index, the search, and the streams of both gains.
func searchRoom(old, new int) int64 { return 10*int64(old) + 12*int64(new) }

// coderRoom is about how many bytes brotli takes for a stream.
func coderRoom(plain int) int64 { return 24*int64(plain) + 16<<20 }
