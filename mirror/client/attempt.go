package client

import (
	"context"
	"io"
	"time"
)

// attempt is one request's answer while it is read, counted and held to the limits.
type attempt struct {
	ctx     context.Context
	c       *Client
	body    io.ReadCloser
	skip    int64 // bytes to drop first: the server began before the place asked for
	granted int64 // bytes that the budget still holds for it
	whole   bool  // a range was asked for, and the whole file comes
	total   int64 // bytes of the whole file, as the server says; -1: it does not
	rest    int64 // bytes that the server announced and has not sent; below 0: unknown
	active  int64 // what it adds to the client's
}

// open sends one request to s. The budget is asked before anything is sent.
func (c *Client) open(ctx context.Context, s *site, q request, retry bool) (*attempt, error) {
	a := &attempt{ctx: ctx, c: c}
	if err := a.grant(max(q.length, 0)); err != nil {
		return nil, err
	}
	c.count(retry)
	if !q.aside {
		a.active = 1
	}
	c.active.Add(a.active)
	start := time.Now()
	ans, err := s.open(ctx, q)
	took := time.Since(start)
	if err != nil {
		a.Close()
		return nil, err
	}
	a.body, a.skip, a.whole, a.total = ans.body, ans.skip, ans.whole, ans.total
	a.rest = ans.skip + ans.length
	if err := c.learnRanges(s, q, ans); err != nil {
		a.Close()
		return nil, err
	}
	switch {
	case q.length < 0 && ans.length > q.limit:
		err = corruptf("%w: it has %d bytes, and at most %d are expected", ErrTooLong, ans.length,
			q.limit)
	case q.length < 0 && ans.length < 0:
		err = a.grant(q.limit + 1)
	case q.length < 0:
		err = a.grant(ans.length)
	default:
		err = a.grant(ans.skip)
	}
	if err != nil {
		a.Close()
		return nil, err
	}
	c.mu.Lock()
	if s.proof == "" {
		s.proof = q.name
	}
	if c.rtt == 0 || took < c.rtt {
		c.rtt = took
	}
	c.mu.Unlock()
	return a, nil
}

func (a *attempt) grant(n int64) error {
	if err := a.c.budget.reserve(n); err != nil {
		return err
	}
	a.granted += n
	return nil
}

// Read ends with io.EOF when all that was granted has been read.
func (a *attempt) Read(p []byte) (int, error) {
	if a.skip > 0 {
		buf := make([]byte, min(a.skip, 32<<10))
		for a.skip > 0 {
			n, err := a.take(buf[:min(int64(len(buf)), a.skip)])
			a.skip -= int64(n)
			if err != nil {
				return 0, err
			}
		}
	}
	return a.take(p)
}

func (a *attempt) take(p []byte) (int, error) {
	p = p[:min(int64(len(p)), a.granted)]
	if a.c.limiter != nil {
		p = p[:min(len(p), a.c.limiter.Burst())]
	}
	if len(p) == 0 {
		return 0, io.EOF
	}
	n, err := a.body.Read(p)
	a.granted -= int64(n)
	a.rest -= int64(n)
	a.c.budget.spend(int64(n))
	a.c.received(n)
	if a.c.limiter != nil && n > 0 && (err == nil || err == io.EOF) {
		if wait := a.c.limiter.WaitN(a.ctx, n); wait != nil {
			err = wait
		}
	}
	return n, err
}

// complete tells whether the server has sent what it announced, be it less than it was asked for.
func (a *attempt) complete() bool { return a.rest == 0 }

func (a *attempt) Close() error {
	a.c.active.Add(-a.active)
	a.c.budget.release(a.granted)
	a.granted = 0
	if a.body == nil {
		return nil
	}
	return a.body.Close()
}

func (c *Client) count(retry bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.Requests++
	if retry {
		c.stats.Retries++
	}
}

func (c *Client) received(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.BytesBody += int64(n)
}
