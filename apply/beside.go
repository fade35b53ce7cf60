package apply

import (
	"context"

	"deltaup/apply/slotwriter"
)

// writing is an image that is written and proved while its last bytes are still fetched.
type writing struct {
	cancel context.CancelFunc
	done   chan struct{} // closed when what follows is there
	result Result
	held   *slotwriter.Held
	err    error
}

// writeBeside has the plan's route write the image beside the fetching that total counts, as soon
// as that will take no longer than the route's offer says. It returns nil when the route does not
// write beside fetching, or has done so before.
func (u *Update) writeBeside(ctx context.Context, total *counter) *writing {
	if u.image == nil || u.written != nil || u.offer.Beside <= 0 {
		return nil
	}
	rate := u.meta.line.Rate
	if u.r.RateLimit > 0 {
		rate = min(rate, u.r.RateLimit)
	}
	near := int64(rate * u.offer.Beside.Seconds())
	ctx, cancel := context.WithCancel(ctx)
	route := u.route
	w := &writing{cancel: cancel, done: make(chan struct{})}
	w.result.Route = string(route.name())
	go func() {
		defer close(w.done)
		w.err = u.state.Cache.Await(ctx, func() bool { return total.left() <= near })
		if w.err == nil {
			w.held, w.err = route.write(ctx, &w.result, total)
		}
	}()
	return w
}

// end waits for the image when all of it was fetched, and otherwise gives it up. It tells whether
// the image is written. What went wrong is found out by writing it once more, after what was
// fetched has been verified.
func (w *writing) end(fetched error) (written bool) {
	if w == nil {
		return false
	}
	defer w.cancel()
	if fetched != nil {
		w.cancel()
	}
	<-w.done
	return w.err == nil && fetched == nil
}
