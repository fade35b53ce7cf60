package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"deltaup/chunkstore"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
)

// reading is one way to read a mirror; check tells whether what came is right.
type reading struct {
	kind string
	name string
	do   func(ctx context.Context, c *Client) error
}

var errWrongBytes = errors.New("wrong bytes without an error")

func (s *shelf) readings() []reading {
	return []reading{
		{"range", s.name, func(ctx context.Context, c *Client) error {
			got, err := readRange(ctx, c, s.name, 150, 1000)
			if err == nil && !bytes.Equal(got, s.pack[150:1150]) {
				err = errWrongBytes
			}
			return err
		}},
		{"fetch", s.name, func(ctx context.Context, c *Client) error {
			got, err := c.Fetch(ctx, s.name, s.object, s.object.Size)
			if err == nil && !bytes.Equal(got, s.pack) {
				err = errWrongBytes
			}
			return err
		}},
		{"pointer", mirror.PointerPath("stable"), func(ctx context.Context, c *Client) error {
			got, err := c.Pointer(ctx, "stable")
			if err == nil && got.Release != s.relObj {
				err = errWrongBytes
			}
			return err
		}},
		{"release", mirror.ReleasePath(s.release.Version), func(ctx context.Context, c *Client) error {
			got, err := c.Release(ctx, s.release.Version, nil)
			if err == nil && got.Artifacts[0].Object != s.object {
				err = errWrongBytes
			}
			return err
		}},
	}
}

// faults are what each reading meets. once: what comes of it when only the first
// request is hit; always: when every request is. The order is that of readings.
var faults = []struct {
	name   string
	fault  faultserver.Fault
	once   [4]error
	always [4]error
}{
	{"200 without ranges", faultserver.NoRanges(), none, none},
	{"404", faultserver.Status(404, 0), each(ErrMissing), each(ErrMissing)},
	{"410", faultserver.Status(410, 0), each(ErrMissing), each(ErrMissing)},
	{"403", faultserver.Status(403, 0), each(ErrMissing), each(ErrUnreachable)},
	{"400", faultserver.Status(400, 0), each(ErrMissing), each(ErrUnreachable)},
	{"401", faultserver.Status(401, 0), each(ErrUnreachable), each(ErrUnreachable)},
	{"416", faultserver.Status(416, 0), none, each(mirror.ErrDamaged)},
	{"429", faultserver.Status(429, 0), none, each(ErrUnreachable)},
	{"500", faultserver.Status(500, 0), none, each(ErrUnreachable)},
	{"503", faultserver.Status(503, 0), none, each(ErrUnreachable)},
	{"304", faultserver.Status(304, 0), each(ErrUnreachable), each(ErrUnreachable)},
	{"206 unasked", faultserver.Status(206, 0), none, each(mirror.ErrDamaged)},
	{"cut at once", faultserver.Cut(0), none, each(ErrUnreachable)},
	{"cut", faultserver.Cut(110), none, [4]error{nil, errSlow, ErrUnreachable, ErrUnreachable}},
	{"reset at once", faultserver.ResetConnection(0), none, each(ErrUnreachable)},
	{"reset", faultserver.ResetConnection(110), none, [4]error{errSlow, errSlow, ErrUnreachable, ErrUnreachable}},
	{"flipped", faultserver.Flip(160), [4]error{errWrongBytes}, [4]error{errWrongBytes, mirror.ErrDamaged, mirror.ErrDamaged, mirror.ErrDamaged}},
	{"short file", faultserver.Shorten(170), none, each(mirror.ErrDamaged)},
	{"shorter than the offset", faultserver.Shorten(10), none, each(mirror.ErrDamaged)},
	{"empty file", faultserver.Shorten(0), none, each(mirror.ErrDamaged)},
	{"long Content-Length", faultserver.ContentLength(9), none, [4]error{mirror.ErrDamaged, mirror.ErrDamaged, ErrUnreachable, ErrUnreachable}},
	{"short Content-Length", faultserver.ContentLength(-9), none, each(mirror.ErrDamaged)},
	{"no Content-Range", faultserver.Header("Content-Range", ""), none, [4]error{mirror.ErrDamaged, mirror.ErrDamaged}},
	{"other Content-Range", faultserver.Header("Content-Range", "bytes 7-8/200000"), none, [4]error{mirror.ErrDamaged, mirror.ErrDamaged}},
	{"gzip", faultserver.Header("Content-Encoding", "gzip"), none, each(mirror.ErrDamaged)},
	{"endless", faultserver.Endless(), none, [4]error{nil, nil, mirror.ErrDamaged, mirror.ErrDamaged}},
	{"a page", page(200), none, each(mirror.ErrDamaged)},
	{"an error page", faultserver.Replace([]byte("<html>Please log in</html>")), none, each(mirror.ErrDamaged)},
}

var none [4]error

// errSlow stands for a case that is left out, as it takes thousands of requests or has no certain
// outcome.
var errSlow = errors.New("left out")

func each(err error) [4]error { return [4]error{err, err, err, err} }

func TestFaults(t *testing.T) {
	s := newShelf(t)
	for _, f := range faults {
		for i, r := range s.readings() {
			for nth, want := range []error{f.always[i], f.once[i]} {
				if want == errSlow {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%d", f.name, r.kind, nth), func(t *testing.T) {
					t.Parallel()
					srv := s.serve(t, faultserver.Rule{Nth: nth, Fault: f.fault})
					o := quick()
					o.Retries = 2
					err := r.do(t.Context(), testClient(t, o, srv.URL))
					checkOutcome(t, err, want, r.name, srv.URL)
					if want == nil {
						return
					}
					srv.Clear()
					if err := r.do(t.Context(), testClient(t, o, srv.URL)); err != nil {
						t.Errorf("once the fault is gone: %v", err)
					}
				})
			}
		}
	}
}

func checkOutcome(t *testing.T, err, want error, name, url string) {
	t.Helper()
	if want == nil || want == errWrongBytes {
		if !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
		return
	}
	wantSentinel(t, err, want, name)
	wantSentinel(t, err, want, url)
	if is := errors.Is(err, chunkstore.ErrCorrupt); is != (want == mirror.ErrDamaged) {
		t.Errorf("error %v is ErrCorrupt: %v", err, is)
	}
}

// TestFaultsSecondMirror: whatever one mirror does, the other one serves.
func TestFaultsSecondMirror(t *testing.T) {
	s := newShelf(t)
	good := s.serve(t)
	for _, f := range faults {
		for _, r := range s.readings() {
			if f.name == "flipped" && r.kind == "range" {
				continue // the caller's to notice, see TestBlame
			}
			t.Run(f.name+"/"+r.kind, func(t *testing.T) {
				t.Parallel()
				o := quick()
				o.Retries = -1
				bad := s.serve(t, faultserver.Rule{Fault: f.fault})
				if err := r.do(t.Context(), testClient(t, o, bad.URL, good.URL)); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestStall(t *testing.T) {
	s := newShelf(t)
	for _, at := range []int64{-1, 0, 100} {
		for _, r := range s.readings() {
			t.Run(fmt.Sprintf("%d/%s", at, r.kind), func(t *testing.T) {
				t.Parallel()
				srv := s.serve(t, faultserver.Rule{Nth: 1, Fault: faultserver.Stall(at)})
				o := quick()
				o.Timeout = 300 * time.Millisecond
				var log []string
				o.Log = func(e Event) { log = append(log, e.Text) }
				if err := r.do(t.Context(), testClient(t, o, srv.URL)); err != nil {
					t.Error(err)
				}
				if len(log) == 0 || !strings.Contains(log[0], errStalled.Error()) {
					t.Errorf("log %q, want a stall", log)
				}
			})
		}
	}
}

func TestStallForever(t *testing.T) {
	s := newShelf(t)
	srv := s.serve(t, faultserver.Rule{Fault: faultserver.Stall(0)})
	o := quick()
	o.Timeout = 50 * time.Millisecond
	o.Retries = 2
	_, err := readRange(t.Context(), testClient(t, o, srv.URL), s.name, 0, 1)
	wantSentinel(t, err, ErrUnreachable, s.name)
	wantSentinel(t, err, errStalled, srv.URL)
	if n := srv.Requests(""); n != 3 {
		t.Errorf("%d requests, want 3", n)
	}
}

// TestSlow: a line may be slow, as long as bytes come.
func TestSlow(t *testing.T) {
	s := newShelf(t)
	srv := s.serve(t, faultserver.Rule{Fault: faultserver.Slow(1000)})
	o := quick()
	o.Timeout = 500 * time.Millisecond
	start := time.Now()
	got, err := readRange(t.Context(), testClient(t, o, srv.URL), s.name, 0, 1200)
	if err != nil || !bytes.Equal(got, s.pack[:1200]) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if took := time.Since(start); took < 2*o.Timeout {
		t.Errorf("took %v: the test proves nothing", took)
	}
	if n := srv.Requests(""); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestBlame(t *testing.T) {
	s := newShelf(t)
	errCheck := fmt.Errorf("frame at 100: %w", chunkstore.ErrCorrupt)
	bad := s.serve(t, faultserver.Rule{Fault: faultserver.Flip(100)})
	good := s.serve(t)
	// read is what a caller does that checks what it reads.
	read := func(c *Client, from int64) (int, error) {
		for n := 1; ; n++ {
			ctx, cancel := context.WithCancel(t.Context())
			r, err := c.ReadRange(ctx, s.name, from, 200)
			if err != nil {
				cancel()
				return n, err
			}
			got, err := io.ReadAll(r)
			_ = r.Close()
			cancel() // as an errgroup does before its caller goes on
			if err != nil {
				return n, c.Blame(r, err)
			}
			if bytes.Equal(got, s.pack[from:from+200]) {
				return n, nil
			}
			if n > 10 {
				t.Fatal("no end")
			}
			if err := c.Blame(r, errCheck); err != nil {
				return n, err
			}
		}
	}

	c := testClient(t, quick(), bad.URL, good.URL)
	if n, err := read(c, 0); n != 2 || err != nil {
		t.Errorf("two mirrors, one good: %d tries, %v", n, err)
	}
	if n, err := read(c, 50); n != 1 || err != nil || bad.Requests("") != 1 {
		t.Errorf("the mirror that sent corrupt bytes is asked again: %d tries, %v", n, err)
	}

	n, err := read(testClient(t, quick(), bad.URL), 0)
	wantSentinel(t, err, mirror.ErrDamaged, bad.URL)
	wantSentinel(t, err, errCheck, s.name)
	log := bad.Log()
	if n != 2 || log[len(log)-1].Header.Get("Cache-Control") != "no-cache" {
		t.Errorf("one bad mirror: %d tries, the last with %v", n, log[len(log)-1].Header)
	}

	o := quick()
	o.Retries = -1
	n, err = read(testClient(t, o, bad.URL, "http://127.0.0.1:1"), 0)
	wantSentinel(t, err, mirror.ErrDamaged, bad.URL)
	if n > 4 {
		t.Errorf("a bad mirror and a dead one: %d tries", n)
	}

	bad.Clear()
	if n, err := read(testClient(t, quick(), bad.URL), 0); n != 1 || err != nil {
		t.Errorf("repaired: %d tries, %v", n, err)
	}
	if err := c.Blame(strings.NewReader(""), errCheck); err != errCheck {
		t.Errorf("blamed for a foreign reader: %v", err)
	}
}

// TestCache has a cache on the way that keeps corrupt bytes until it is bypassed.
func TestCache(t *testing.T) {
	s := newShelf(t)
	flip := faultserver.Flip(100)
	srv := s.serve(t, faultserver.Rule{Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Header.Get("Cache-Control") == "no-cache" {
			next.ServeHTTP(w, r)
			return
		}
		flip(w, r, next)
	}})
	for _, r := range s.readings()[1:] {
		if err := r.do(t.Context(), testClient(t, quick(), srv.URL)); err != nil {
			t.Errorf("%s: %v", r.kind, err)
		}
	}
}
