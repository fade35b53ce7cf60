package client

import (
	"bytes"
	"context"
	"errors"
	"io"

	"golang.org/x/sync/errgroup"
)

// ahead is a request for a small file that was sent before its turn.
type ahead struct {
	site *site
	done chan struct{} // closed when the others are set
	b    []byte
	err  error
}

// Ahead sends the mirror that is asked first a request for a file of at most limit bytes, before
// anybody knows how to judge the file. The next [Client.FetchLatest] of that name takes the answer
// for that of its first request. Release, which the caller has to call, ends the request if nobody
// has.
func (c *Client) Ahead(ctx context.Context, name string, limit int64) (release func()) {
	order := c.newTries(ctx, name).order(0)
	if len(order) == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	a := &ahead{site: order[0], done: make(chan struct{})}
	c.mu.Lock()
	c.ahead[name] = a
	c.mu.Unlock()
	go func() {
		defer close(a.done)
		a.b, a.err = c.readUnknown(ctx, a.site,
			request{name: name, length: -1, limit: limit, fresh: true, aside: true}, false)
	}()
	return func() {
		cancel()
		<-a.done
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.ahead, name)
	}
}

// takeAhead gives the answer of s that was asked for ahead, once. What may have been a passing
// failure is asked for again.
func (t *tries) takeAhead(s *site) (b []byte, came bool, err error) {
	t.c.mu.Lock()
	a := t.c.ahead[t.name]
	delete(t.c.ahead, t.name)
	t.c.mu.Unlock()
	if a == nil || a.site != s {
		return nil, false, nil
	}
	<-a.done // it ends with the context
	if a.err != nil && asFailure(a.err).kind == passingFailure {
		return nil, false, nil
	}
	return a.b, true, a.err
}

// firstWindow is how many bytes of a body a server sends on a new connection before it waits for
// the client: ten segments (RFC 6928), less a header.
const firstWindow = 14_000

// FetchOnce reads the first bytes of a file that is of use only when it comes at once: what the
// first mirror that answers says is the end of it. A broken answer is taken up again. The bytes are
// not verified. Where several connections are open, each brings a part, so that what is more than a
// connection carries at first does not take several round trips.
func (c *Client) FetchOnce(ctx context.Context, name string, length int64) ([]byte, error) {
	parts := min(c.spread(ctx, name), int((length+firstWindow-1)/firstWindow))
	if parts > 1 {
		b, err := c.fetchParts(ctx, name, length, parts)
		if !errors.Is(err, ErrWholeFiles) {
			return b, err
		}
	}
	return c.fetchPart(ctx, name, 0, length, false)
}

// spread is over how many connections the mirror that is asked first for a file can send it.
func (c *Client) spread(ctx context.Context, name string) int {
	order := c.newTries(ctx, name).order(0)
	if len(order) == 0 {
		return 1
	}
	c.mu.Lock()
	ranges := order[0].ranges
	c.mu.Unlock()
	w, ok := order[0].source.(*webSource)
	if !ok || ranges != sendsRanges {
		return 1
	}
	return w.spread()
}

// fetchParts reads a file's first bytes in so many parts at once.
func (c *Client) fetchParts(ctx context.Context, name string, length int64, parts int) ([]byte,
	error) {
	each := (length + int64(parts) - 1) / int64(parts)
	all := make([][]byte, parts)
	g, ctx := errgroup.WithContext(ctx)
	for i := range all {
		g.Go(func() (err error) {
			first := int64(i) * each
			all[i], err = c.fetchPart(ctx, name, first, min(each, length-first), true)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return bytes.Join(all, nil), nil
}

// fetchPart reads bytes of a file once. With part set a mirror that sends the whole file fails.
func (c *Client) fetchPart(ctx context.Context, name string, offset, length int64,
	part bool) ([]byte, error) {
	r := &rangeReader{tries: c.newTries(ctx, name), offset: offset, left: length}
	r.optional, r.once, r.part = true, true, part
	defer r.Close() // it never fails
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return b, nil
}
