package client

import (
	"context"
	"io"
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

// FetchOnce reads the first bytes of a file that is of use only when it comes at once: what the
// first mirror that answers says is the end of it. A broken answer is taken up again. The bytes are
// not verified.
func (c *Client) FetchOnce(ctx context.Context, name string, length int64) ([]byte, error) {
	r := &rangeReader{tries: c.newTries(ctx, name), left: length}
	r.optional, r.once = true, true
	defer r.Close() // it never fails
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return b, nil
}
