package client

import (
	"fmt"
	"sync"

	"golang.org/x/time/rate"

	"deltaup/internal/human"
)

// newLimiter returns a token bucket that holds a quarter of a second's bytes, so that the rate is
// smooth; nil when there is no limit.
func newLimiter(bytesPerSecond int64) *rate.Limiter {
	if bytesPerSecond <= 0 {
		return nil
	}
	burst := min(max(bytesPerSecond/4, 1), 64<<10)
	return rate.NewLimiter(rate.Limit(bytesPerSecond), int(burst))
}

// budget is a number of bytes that all requests of a client share. What a request will read is
// reserved before it is sent: a limit that does not suffice costs nothing.
type budget struct {
	max int64

	mu       sync.Mutex
	used     int64
	reserved int64
}

// reserve sets n bytes aside or returns an error that wraps ErrBudget.
func (b *budget) reserve(n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left := b.max - b.used - b.reserved; n > left {
		return fmt.Errorf("%w: %s are needed, %s more than are left of %s", ErrBudget,
			human.Size(n), human.Size(n-left), human.Size(b.max))
	}
	b.reserved += n
	return nil
}

// spend turns n reserved bytes into used ones.
func (b *budget) spend(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved -= n
	b.used += n
}

// release gives n reserved bytes back.
func (b *budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved -= n
}
