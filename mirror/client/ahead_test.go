package client

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
	"deltaup/mirror/serve"
)

// latest reads the timestamp.
func latest(t *testing.T, c *Client) (text string, err error) {
	t.Helper()
	err = c.FetchLatest(t.Context(), mirror.TimestampPath, 1000, func(b []byte) error {
		text = string(b)
		return nil
	})
	return text, err
}

func newTimestamp(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, filepath.FromSlash(mirror.TimestampPath))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte("now"), 0o644)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAhead(t *testing.T) {
	dir := newTimestamp(t)
	for what, x := range map[string]struct {
		fault    faultserver.Fault // of the first request
		requests int
		missing  bool
	}{
		"it comes":           {requests: 1},
		"it is missing":      {fault: faultserver.Status(404, 0), requests: 1, missing: true},
		"it passes":          {fault: faultserver.Status(503, 0), requests: 2},
		"it breaks off":      {fault: faultserver.Cut(1), requests: 2},
		"it is far too long": {fault: faultserver.Endless(), requests: 2},
	} {
		t.Run(what, func(t *testing.T) {
			s := faultserver.New(t, serve.Handler(dir))
			if x.fault != nil {
				s.Add(faultserver.Rule{Nth: 1, Fault: x.fault})
			}
			c := testClient(t, quick(), s.URL)
			release := c.Ahead(t.Context(), mirror.TimestampPath, 1000)
			text, err := latest(t, c)
			if x.missing != errors.Is(err, ErrMissing) || !x.missing && text != "now" {
				t.Errorf("%q, %v", text, err)
			}
			if n := len(s.Log()); n != x.requests || c.Stats().Requests != n {
				t.Errorf("%d requests, %d counted", n, c.Stats().Requests)
			}
			release()
			if _, err := latest(t, c); err != nil && !x.missing {
				t.Errorf("again: %v", err)
			}
			if n := len(s.Log()); n != x.requests+1 {
				t.Errorf("%d requests with one afterwards", n)
			}
		})
	}
}

// TestAheadOther: what the first mirror was asked ahead is of no use when another is asked first by
// then.
func TestAheadOther(t *testing.T) {
	dir := newTimestamp(t)
	ailing, well := faultserver.New(t, serve.Handler(dir)), faultserver.New(t, serve.Handler(dir))
	ailing.Add(faultserver.Rule{Fault: faultserver.Status(503, 0)})
	c := testClient(t, quick(), ailing.URL, well.URL)
	defer c.Ahead(t.Context(), mirror.TimestampPath, 1000)()
	_ = c.FetchOptional(t.Context(), "metadata/2.root.json", 1000, func([]byte) error { return nil })
	if text, err := latest(t, c); err != nil || text != "now" {
		t.Errorf("%q, %v", text, err)
	}
	if n := well.Requests(mirror.TimestampPath); n != 1 {
		t.Errorf("%d requests", n)
	}
}

// TestAheadReleased: a request that nobody takes ends when it is released, and with its context.
func TestAheadReleased(t *testing.T) {
	s := faultserver.New(t, http.NotFoundHandler())
	s.Add(faultserver.Rule{Fault: faultserver.Stall(-1)})
	c := testClient(t, Options{}, s.URL)
	start := time.Now()
	c.Ahead(t.Context(), mirror.TimestampPath, 1000)()
	ctx, cancel := context.WithCancel(t.Context())
	release := c.Ahead(ctx, mirror.TimestampPath, 1000)
	time.AfterFunc(10*time.Millisecond, cancel)
	err := c.FetchLatest(ctx, mirror.TimestampPath, 1000, func([]byte) error { return nil })
	if release(); !errors.Is(err, context.Canceled) || time.Since(start) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
}

// TestAside: a request that is ahead of its turn adds nothing to the time that others are granted.
func TestAside(t *testing.T) {
	arrived := make(chan bool)
	s := faultserver.New(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived <- true
		<-r.Context().Done()
	}))
	c := testClient(t, quick(), s.URL)
	defer c.Ahead(t.Context(), mirror.TimestampPath, 1000)()
	<-arrived
	if n := c.active.Load(); n != 0 {
		t.Errorf("%d requests share the time", n)
	}
}

func TestFetchOnce(t *testing.T) {
	dir := newTimestamp(t)
	for what, x := range map[string]struct {
		fault    faultserver.Fault
		nth      int
		length   int64
		want     string
		requests int // to both mirrors
	}{
		"it comes":      {length: 3, want: "now", requests: 1},
		"a part":        {length: 2, want: "no", requests: 1},
		"too long":      {length: 4, requests: 1},
		"missing":       {fault: faultserver.Status(404, 0), length: 3, requests: 1},
		"denied":        {fault: faultserver.Status(403, 0), length: 3, requests: 1},
		"refused":       {fault: faultserver.Status(401, 0), length: 3, requests: 1},
		"compressed":    {fault: faultserver.Header("Content-Encoding", "gzip"), length: 3, requests: 1},
		"whole":         {fault: faultserver.NoRanges(), length: 2, want: "no", requests: 1},
		"it breaks off": {fault: faultserver.Cut(1), nth: 1, length: 3, want: "now", requests: 2},
		"it passes":     {fault: faultserver.Status(503, 0), nth: 1, length: 3, want: "now", requests: 2},
	} {
		t.Run(what, func(t *testing.T) {
			s, other := faultserver.New(t, serve.Handler(dir)), faultserver.New(t, serve.Handler(dir))
			if x.fault != nil {
				s.Add(faultserver.Rule{Nth: x.nth, Fault: x.fault})
			}
			c := testClient(t, quick(), s.URL, other.URL)
			b, err := c.FetchOnce(t.Context(), mirror.TimestampPath, x.length)
			if string(b) != x.want || (err == nil) != (x.want != "") {
				t.Errorf("%q, %v", b, err)
			}
			if n := len(s.Log()) + len(other.Log()); n != x.requests {
				t.Errorf("%d requests", n)
			}
		})
	}
}
