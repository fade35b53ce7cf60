package client

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

// readyFor is how long a connection waits for a request. Servers give connections without one up
// after a minute or less.
const readyFor = 10 * time.Second

// dialer dials for the requests to a mirror. It opens some connections before there are requests
// for them.
type dialer struct {
	dial func(ctx context.Context, network, addr string) (net.Conn, error)

	mu     sync.Mutex
	dialed map[string]int // connections by address, those that were opened ahead too
	ready  []*readyConn   // that no request has taken
	closed bool
}

// readyConn is a connection that was opened ahead, or is being opened.
type readyConn struct {
	addr   string
	cancel context.CancelFunc
	done   chan struct{} // closed when what follows is there
	conn   net.Conn      // nil: it failed
	opened time.Time
}

// DialContext gives a connection that was opened ahead, or a new one.
func (d *dialer) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	for r := d.take(addr); r != nil; r = d.take(addr) {
		select {
		case <-r.done:
			if r.conn != nil && time.Since(r.opened) < readyFor {
				return r.conn, nil
			}
			r.drop()
		case <-ctx.Done():
			r.drop()
			return nil, ctx.Err()
		}
	}
	d.mu.Lock()
	d.dialed[addr]++
	d.mu.Unlock()
	return d.dial(ctx, network, addr)
}

// take removes a connection to an address from those that wait; nil: none does.
func (d *dialer) take(addr string) *readyConn {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.ready, func(r *readyConn) bool { return r.addr == addr })
	if i < 0 {
		return nil
	}
	r := d.ready[i]
	d.ready = slices.Delete(d.ready, i, i+1)
	return r
}

// ahead opens connections to an address, beside each other, until so many have been opened in all.
// It does not wait for them.
func (d *dialer) ahead(ctx context.Context, network, addr string, connections int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.closed && d.dialed[addr] < connections {
		d.dialed[addr]++
		r := &readyConn{addr: addr, done: make(chan struct{})}
		// the request that it is opened beside may end before
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readyFor)
		r.cancel = cancel
		d.ready = append(d.ready, r)
		go func() {
			defer close(r.done)
			defer cancel()
			if conn, err := d.dial(ctx, network, addr); err == nil {
				r.conn, r.opened = conn, time.Now()
			} // else whoever takes it dials anew, and sees why
		}()
		time.AfterFunc(readyFor, func() { d.expire(r) })
	}
}

// expire drops a connection that nobody has taken.
func (d *dialer) expire(r *readyConn) {
	d.mu.Lock()
	i := slices.Index(d.ready, r)
	if i >= 0 {
		d.ready = slices.Delete(d.ready, i, i+1)
	}
	d.mu.Unlock()
	if i >= 0 {
		r.drop()
	}
}

// close drops all that wait, and opens none ahead any more.
func (d *dialer) close() {
	d.mu.Lock()
	ready := d.ready
	d.ready, d.closed = nil, true
	d.mu.Unlock()
	for _, r := range ready {
		r.drop()
	}
}

// drop closes a connection that no request gets.
func (r *readyConn) drop() {
	r.cancel()
	<-r.done
	if r.conn != nil {
		_ = r.conn.Close() // nothing was written
	}
}
