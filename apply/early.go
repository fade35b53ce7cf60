package apply

import (
	"context"
	"time"

	"deltaup/apply/slotwriter"
	"deltaup/delta"
)

// earlyTime is for how long an image is written while its last bytes are still fetched, at the rate
// that the line has. A mirror that falls silent before costs nothing of what the slot holds, and
// one that does so then leaves little to fetch.
const earlyTime = 3 * time.Second

// early is an image that is written and proved while its last bytes are fetched.
type early struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when what follows is there
	result Result
	held   *slotwriter.Held
	err    error
}

// layEarly lays the plan's pieces beside the fetching that total counts, as soon as that will take
// no more than earlyTime. It returns nil when that is not to be.
func (u *Update) layEarly(ctx context.Context, total *counter) *early {
	if u.image == nil || u.early != nil || u.plan.Route != delta.RouteBlocks ||
		u.meta.line.Rate <= 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	e := &early{cancel: cancel, done: make(chan struct{})}
	rate := u.meta.line.Rate
	if u.r.RateLimit > 0 {
		rate = min(rate, u.r.RateLimit)
	}
	near := int64(rate * earlyTime.Seconds())
	go func() {
		defer close(e.done)
		if e.err = u.state.Cache.Await(ctx, func() bool { return total.left() <= near }); e.err == nil {
			e.held, e.err = u.layPieces(ctx, &e.result, total)
		}
	}()
	return e
}

// end waits for the image when all of it was fetched, and otherwise gives it up. What went wrong
// will be found out by writing it once more, after what was fetched has been verified.
func (e *early) end(fetched error) (written bool) {
	if e == nil {
		return false
	}
	defer e.cancel()
	if fetched != nil {
		e.cancel()
	}
	<-e.done
	return e.err == nil && fetched == nil
}
