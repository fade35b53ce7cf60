package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"deltaup/internal/test/faultserver"
)

// hands is a clock that tests set.
type hands struct {
	mu sync.Mutex
	at time.Time
}

func newHands() *hands { return &hands{at: time.Unix(1e9, 0)} }

func (h *hands) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *hands) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

// TestMeter has a minute for a window, and seven for all waiting.
func TestMeter(t *testing.T) {
	type wait struct {
		times  int
		took   time.Duration
		bytes  int
		answer bool
	}
	for name, tt := range map[string]struct {
		waits []wait
		slow  bool
	}{
		"a thin line":                         {[]wait{{1000, time.Second, 100, true}}, false},
		"just enough":                         {[]wait{{100, 10 * time.Second, 640, true}}, false},
		"just too little":                     {[]wait{{6, 10 * time.Second, 639, true}}, true},
		"not yet":                             {[]wait{{59, time.Second, 1, true}}, false},
		"a byte a second":                     {[]wait{{60, time.Second, 1, true}}, true},
		"late headers":                        {[]wait{{2, 59 * time.Second, 0, true}}, true},
		"a late header and a quick body":      {[]wait{{1, 59 * time.Second, 0, true}, {10, time.Second, 10_000, true}}, false},
		"an outage of six minutes":            {[]wait{{6, time.Minute, 0, false}, {60, time.Second, 1000, true}}, false},
		"outages with a byte between":         {[]wait{{4, time.Minute, 0, false}, {1, time.Second, 1, true}, {3, time.Minute, 0, false}}, true},
		"a quick mirror that becomes slow":    {[]wait{{60, time.Second, 1e6, true}, {120, time.Second, 1, true}}, true},
		"many answers that took no time":      {[]wait{{100_000, time.Microsecond, 1, true}}, false},
		"half a minute, and half a minute so": {[]wait{{30, time.Second, 1, true}, {30, time.Second, 200, true}}, false},
	} {
		h := newHands()
		m := newMeter(Options{Timeout: time.Minute, MinRate: 64, Retries: 5})
		m.now = h.now
		for _, w := range tt.waits {
			for range w.times {
				m.wait()
				h.advance(w.took)
				m.got(w.bytes, w.answer)
				h.advance(time.Hour) // the target's own time
			}
		}
		err := m.verdict(0)
		if (err != nil) != tt.slow || tt.slow != (m.verdicts() > 0) || err != nil && !errors.Is(err, ErrSlow) {
			t.Errorf("%s: %v", name, err)
		}
		if m.verdict(m.verdicts()) != nil {
			t.Errorf("%s: what begins after a verdict has it too", name)
		}
	}
}

// TestMeterParallel: requests that wait at once share the time, and what they bring.
func TestMeterParallel(t *testing.T) {
	h := newHands()
	m := newMeter(Options{Timeout: time.Minute, MinRate: 64, Retries: 5})
	m.now = h.now
	for range 8 {
		m.wait()
	}
	for i := range 1000 {
		h.advance(time.Second)
		m.got(65, true)
		if m.wait(); m.verdict(0) != nil {
			t.Fatalf("65 bytes a second are too slow after %d s", i)
		}
	}
	for range 120 {
		h.advance(time.Second)
		m.got(63, true)
		m.wait()
	}
	if m.verdict(0) == nil {
		t.Error("63 bytes a second are not too slow")
	}
}

// part answers a range with at most so many bytes of it, as servers may.
func part(n int64) faultserver.Fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		var first, last int64
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err == nil {
			r = r.Clone(r.Context())
			r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, min(last, first+n-1)))
		}
		next.ServeHTTP(w, r)
	}
}

// TestSlowMirrorIsLeft: however a mirror stretches what it sends, the next one takes over within
// some windows' time, and what is read after that does not come to it again. Where it is alone,
// ErrSlow says why.
func TestSlowMirrorIsLeft(t *testing.T) {
	s := newShelf(t)
	for name, tt := range map[string]struct {
		took  time.Duration // before a header
		fault faultserver.Fault
	}{
		"a byte a request": {2 * time.Second, part(1)},
		"shorter ranges":   {time.Second, part(50)},
		"late headers":     {59 * time.Second, part(1000)},
		"late refusals":    {59 * time.Second, faultserver.Status(404, 0)},
		"late redirects": {12 * time.Second, func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}},
		"late headers and a break": {59 * time.Second, faultserver.Cut(1)},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHands()
			bad, good := s.serve(t), s.serve(t)
			bad.Add(faultserver.Rule{Fault: func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				h.advance(tt.took)
				tt.fault(w, r, next)
			}})
			open := func(mirrors ...string) *Client {
				c := testClient(t, quick(), mirrors...)
				for _, site := range c.sites {
					site.source.(*webSource).meter.now = h.now
				}
				return c
			}
			c := open(bad.URL, good.URL)
			for i := range int64(40) { // many small requests, as for chunks
				got, err := readRange(t.Context(), c, s.name, i*1000, 100)
				if err != nil || !bytes.Equal(got, s.pack[i*1000:i*1000+100]) {
					t.Fatalf("range %d: %d bytes, %v", i, len(got), err)
				}
			}
			if spent := h.now().Sub(newHands().at); spent > 8*time.Minute {
				t.Errorf("%v spent at the bad mirror", spent)
			}
			if n := bad.Requests(""); n > 60 {
				t.Errorf("%d requests to the bad mirror", n)
			}

			if tt.took == 12*time.Second || name == "late refusals" {
				return // it has nothing to give, slowly or not
			}
			c = open(bad.URL)
			_, err := readRange(t.Context(), c, s.name, 0, 100_000)
			wantSentinel(t, err, ErrSlow, bad.URL)
			wantSentinel(t, err, ErrUnreachable, s.name)
		})
	}
}

// TestByteAPause: a mirror that is alone and breaks off after each byte is given up, unless any
// rate will do.
func TestByteAPause(t *testing.T) {
	s := newShelf(t)
	for _, tt := range []struct {
		rate int64
		want error
	}{{1 << 20, ErrUnreachable}, {-1, nil}} {
		bad := s.serve(t)
		bad.Add(faultserver.Rule{Fault: faultserver.Cut(1)})
		o := quick()
		o.MinRate = tt.rate
		_, err := readRange(t.Context(), testClient(t, o, bad.URL), s.name, 0, 30)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("at %d bytes a second: %v", tt.rate, err)
		}
		if n := bad.Requests(""); tt.want != nil && n != 6 {
			t.Errorf("%d requests", n)
		}
	}
}

// drip is a body of which each read takes a while and brings little.
type drip struct {
	h    *hands
	took time.Duration
	n    int
}

func (d *drip) Read(p []byte) (int, error) {
	d.h.advance(d.took)
	return min(d.n, len(p)), nil
}

func (d *drip) Close() error { return nil }

// TestSlowBody drips within one answer, while the target takes hours over what it has got.
func TestSlowBody(t *testing.T) {
	for _, tt := range []struct {
		took time.Duration
		n    int
		slow bool
	}{{time.Second, 200, false}, {time.Second, 63, true}, {59 * time.Second, 1, true}, {59 * time.Second, 4000, false}} {
		o := Options{}
		o.setDefaults()
		h := newHands()
		m := newMeter(o)
		m.now = h.now
		ctx, cancel := context.WithCancelCause(t.Context())
		dog := newWatchdog(time.Hour, func() int64 { return 1 }, func() {})
		b := &webBody{ctx: ctx, cancel: cancel, dog: dog, meter: m, body: &drip{h, tt.took, tt.n}}
		var err error
		for range 1000 {
			if _, err = b.Read(make([]byte, 32<<10)); err != nil {
				break
			}
			h.advance(time.Hour)
		}
		if errors.Is(err, ErrSlow) != tt.slow {
			t.Errorf("%d bytes in %v: %v", tt.n, tt.took, err)
		}
		_ = b.Close() // of a drip
	}
}

// TestOwnTime: what the target spends between reads does not count.
func TestOwnTime(t *testing.T) {
	s := newShelf(t)
	h := newHands()
	c := testClient(t, quick(), s.serve(t).URL)
	c.sites[0].source.(*webSource).meter.now = h.now
	r, err := c.ReadRange(t.Context(), s.name, 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 100 {
		h.advance(time.Hour)
		if _, err := io.ReadFull(r, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSilentServers have a mirror that takes connections and says nothing, or says it a byte at a
// time; the next one takes over.
func TestSilentServers(t *testing.T) {
	s := newShelf(t)
	good := s.serve(t)
	for name, talk := range map[string]func(net.Conn){
		"nothing": func(net.Conn) {},
		"header": func(c net.Conn) {
			for _, b := range []byte("HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", 1000)) {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		},
		"handshake": func(c net.Conn) { _, _ = tls.Server(c, &tls.Config{GetConfigForClient: stallHandshake}).Write(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			t.Cleanup(func() { l.Close(); wg.Wait() })
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					wg.Go(func() {
						talk(c)
						_, _ = io.Copy(io.Discard, c) // until the client leaves
						c.Close()
					})
				}
			}()
			scheme := "http://"
			if name == "handshake" {
				scheme = "https://"
			}
			o := quick()
			o.Timeout = time.Second
			c := testClient(t, o, scheme+l.Addr().String(), good.URL)
			if got, err := readRange(t.Context(), c, s.name, 0, 100); err != nil || !bytes.Equal(got, s.pack[:100]) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func stallHandshake(*tls.ClientHelloInfo) (*tls.Config, error) {
	time.Sleep(3 * time.Second)
	return nil, errors.New("no more")
}
