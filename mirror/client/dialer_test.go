package client

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deltaup/internal/test/faultserver"
	"deltaup/mirror/serve"
)

// counting starts a server that counts its connections: those made, and those that are open.
func counting(t *testing.T, h http.Handler, start func(*httptest.Server)) (*httptest.Server,
	*atomic.Int64, *atomic.Int64) {
	t.Helper()
	var made, open atomic.Int64
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			made.Add(1)
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
	}
	start(srv)
	t.Cleanup(srv.Close)
	return srv, &made, &open
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// TestConnections: with the first answer all connections are opened, requests take them, and what
// no request took is closed.
func TestConnections(t *testing.T) {
	s := newShelf(t)
	var together sync.WaitGroup // holds answers back until all have been asked for
	files := serve.Handler(s.dir)
	srv, made, open := counting(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "bytes=0-0" {
			together.Done()
			together.Wait()
		}
		files.ServeHTTP(w, r)
	}), (*httptest.Server).Start)
	o := quick()
	o.Connections = 5
	c := testClient(t, o, srv.URL)
	if n := made.Load(); n != 0 {
		t.Errorf("%d connections before there is a request", n)
	}
	if _, err := readRange(t.Context(), c, s.name, 0, 1); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "five connections", func() bool { return made.Load() == 5 })
	together.Add(4)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			if _, err := readRange(t.Context(), c, s.name, 1, 100); err != nil {
				t.Error(err)
			}
		})
	}
	readers.Wait()
	if n := made.Load(); n != 5 {
		t.Errorf("%d connections for five requests", n)
	}
	if n := c.Stats().Requests; n != 5 {
		t.Errorf("%d requests", n)
	}
	c.Close()
	waitFor(t, "connections that were not taken are closed", func() bool { return open.Load() == 0 })
}

// TestConnectionsHTTP2: one connection carries all.
func TestConnectionsHTTP2(t *testing.T) {
	s := newShelf(t)
	srv, made, _ := counting(t, serve.Handler(s.dir), func(srv *httptest.Server) {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	})
	o := quick()
	o.Connections = 5
	c := testClient(t, o, srv.URL)
	trust(c, srv)
	for range 3 {
		if _, err := readRange(t.Context(), c, s.name, 0, 100); err != nil {
			t.Fatal(err)
		}
	}
	if n := made.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

// TestFetchParts: a file comes over all connections at once, in one round trip.
func TestFetchParts(t *testing.T) {
	s := newShelf(t)
	var mu sync.Mutex
	var ranges []string
	srv, made, _ := counting(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		ranges = append(ranges, r.Header.Get("Range"))
		mu.Unlock()
		serve.Handler(s.dir).ServeHTTP(w, r)
	}), (*httptest.Server).Start)
	o := quick()
	o.Connections = 3
	c := testClient(t, o, srv.URL)
	if !c.Ranges(t.Context(), s.name) {
		t.Fatal("no ranges")
	}
	for _, x := range []struct {
		length   int64
		requests int
	}{{1, 1}, {firstWindow, 1}, {firstWindow + 1, 2}, {2*firstWindow + 1, 3}, {200_000, 3}} {
		ranges = nil
		b, err := c.FetchOnce(t.Context(), s.name, x.length)
		if err != nil || !bytes.Equal(b, s.pack[:x.length]) || len(ranges) != x.requests {
			t.Errorf("%d bytes: %v, %v", x.length, ranges, err)
		}
	}
	if n := made.Load(); n != 3 {
		t.Errorf("%d connections", n)
	}
	if _, err := c.FetchOnce(t.Context(), "packs/none", 100_000); !errors.Is(err, ErrMissing) {
		t.Errorf("a file that is missing: %v", err)
	}
}

// TestFetchPartsWhole: of a server that begins to send whole files, one is taken, from its start.
func TestFetchPartsWhole(t *testing.T) {
	s := newShelf(t)
	faults := faultserver.New(t, serve.Handler(s.dir))
	o := quick()
	o.Connections = 3
	c := testClient(t, o, faults.URL)
	if _, err := readRange(t.Context(), c, s.name, 0, 1); err != nil {
		t.Fatal(err)
	}
	faults.Add(faultserver.Rule{Fault: faultserver.NoRanges()})
	b, err := c.FetchOnce(t.Context(), s.name, 100_000)
	if err != nil || !bytes.Equal(b, s.pack[:100_000]) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// TestDialer: a connection that failed or grew old is not given to a request.
func TestDialer(t *testing.T) {
	var dials atomic.Int64
	fails := errors.New("no way")
	d := &dialer{dialed: map[string]int{}, dial: func(context.Context, string, string) (net.Conn, error) {
		if dials.Add(1) == 1 {
			return nil, fails
		}
		a, b := net.Pipe()
		t.Cleanup(func() { b.Close() })
		return a, nil
	}}
	d.ahead(t.Context(), "tcp", "a:1", 1)
	if conn, err := d.DialContext(t.Context(), "tcp", "a:1"); err != nil || dials.Load() != 2 {
		t.Fatalf("after one that failed: %v, %v, %d dials", conn, err, dials.Load())
	}
	d.ahead(t.Context(), "tcp", "a:1", 3)
	old := d.ready[0]
	if <-old.done; old.conn == nil {
		t.Fatal("it was not opened")
	}
	old.opened = old.opened.Add(-readyFor)
	conn, err := d.DialContext(t.Context(), "tcp", "a:1")
	if err != nil || conn == old.conn {
		t.Errorf("an old one is taken: %v", err)
	}
	if _, err := old.conn.Write(nil); err == nil {
		t.Error("an old one is left open")
	}
	if d.ahead(t.Context(), "tcp", "a:1", 4); len(d.ready) != 0 {
		t.Errorf("%d were opened beside the four that there were", len(d.ready))
	}

	d.ahead(t.Context(), "tcp", "b:1", 2)
	unused := d.ready[0]
	d.expire(unused)
	if <-unused.done; len(d.ready) != 1 || unused.conn != nil && closed(unused.conn) == nil {
		t.Errorf("%d wait after one has expired", len(d.ready))
	}
	d.close()
	if d.ahead(t.Context(), "tcp", "c:1", 2); len(d.ready) != 0 {
		t.Error("opened after the end")
	}
	if _, err := d.DialContext(t.Context(), "tcp", "b:1"); err != nil {
		t.Errorf("a request that is still under way: %v", err)
	}
}

// closed gives the error of using a connection that is closed.
func closed(c net.Conn) error { return c.SetDeadline(time.Time{}) }
