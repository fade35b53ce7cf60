package client

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"deltaup/mirror/serve"
)

// trust makes c accept the certificates of these servers.
func trust(c *Client, servers ...*httptest.Server) {
	pool := x509.NewCertPool()
	for _, s := range servers {
		pool.AddCert(s.Certificate())
	}
	for _, s := range c.sites {
		s.source.(*webSource).client.Transport.(*originTransport).own.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
}

func TestHTTP2(t *testing.T) {
	s := newShelf(t)
	proto := make(chan string, 10)
	files := serve.Handler(s.dir)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto <- r.Proto
		if len(proto) == 1 {
			w = &shortWriter{ResponseWriter: w, left: 50_000}
		}
		files.ServeHTTP(w, r)
	}))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	defer srv.Close()
	c := testClient(t, quick(), srv.URL)
	trust(c, srv)
	got, err := readRange(t.Context(), c, s.name, 0, 200_000)
	if err != nil || !bytes.Equal(got, s.pack) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if p := <-proto; p != "HTTP/2.0" || c.Stats().Retries != 1 {
		t.Errorf("%s, stats %+v", p, c.Stats())
	}

	// A certificate that nobody vouches for does not get better by waiting.
	c = testClient(t, quick(), srv.URL)
	_, err = readRange(t.Context(), c, s.name, 0, 1)
	wantSentinel(t, err, ErrUnreachable, "certificate")
	if st := c.Stats(); st.Requests != 1 {
		t.Errorf("stats %+v", st)
	}
}

// shortWriter aborts the answer after so many bytes.
type shortWriter struct {
	http.ResponseWriter
	left int
}

func (w *shortWriter) Write(p []byte) (int, error) {
	if len(p) > w.left {
		panic(http.ErrAbortHandler)
	}
	w.left -= len(p)
	return w.ResponseWriter.Write(p)
}

func TestRedirects(t *testing.T) {
	s := newShelf(t)
	plain := httptest.NewServer(serve.Handler(s.dir))
	defer plain.Close()
	secure := httptest.NewTLSServer(serve.Handler(s.dir))
	defer secure.Close()
	to := func(base string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, base+r.URL.Path, http.StatusFound)
		})
	}
	loop := httptest.NewServer(to(""))
	defer loop.Close()
	up := httptest.NewServer(to(secure.URL))
	defer up.Close()
	down := httptest.NewTLSServer(to(plain.URL))
	defer down.Close()
	other := httptest.NewServer(to("ftp://host"))
	defer other.Close()
	hop := httptest.NewServer(to(plain.URL))
	defer hop.Close()
	for _, tt := range []struct {
		name string
		srv  *httptest.Server
		ok   bool
	}{{"to https", up, true}, {"within http", hop, true}, {"to http", down, false}, {"loop", loop, false}, {"to ftp", other, false}} {
		c := testClient(t, quick(), tt.srv.URL)
		trust(c, secure, down)
		got, err := readRange(t.Context(), c, s.name, 70, 30)
		if tt.ok {
			if err != nil || !bytes.Equal(got, s.pack[70:100]) {
				t.Errorf("%s: %x, %v", tt.name, got, err)
			}
			continue
		}
		wantSentinel(t, err, ErrUnreachable, tt.srv.URL)
		wantSentinel(t, err, errRedirect, s.name)
		if st := c.Stats(); st.Requests != 1 {
			t.Errorf("%s: stats %+v", tt.name, st)
		}
	}
}

// TestPartialAnswers: a server may send less than a range, and the rest on demand.
func TestPartialAnswers(t *testing.T) {
	s := newShelf(t)
	requests := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		var first, last int64
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err != nil {
			t.Error(err)
		}
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", first, min(last, first+9_999)))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.pack))
	}))
	defer srv.Close()
	o := quick()
	o.Retries = -1
	o.Log = func(e Event) { t.Errorf("logged: %s", e.Text) }
	got, err := readRange(t.Context(), testClient(t, o, srv.URL), s.name, 0, 45_000)
	if err != nil || !bytes.Equal(got, s.pack[:45_000]) || requests != 5 {
		t.Errorf("%d bytes in %d requests, %v", len(got), requests, err)
	}
}

func TestParseContentRange(t *testing.T) {
	for s, want := range map[string][3]int64{
		"bytes 0-0/1":     {0, 0, 1},
		"bytes 5-9/100":   {5, 9, 100},
		"bytes 5-9/*":     {5, 9, -1},
		"bytes 007-9/100": {7, 9, 100},
	} {
		first, last, total, ok := parseContentRange(s)
		if got := [3]int64{first, last, total}; !ok || got != want {
			t.Errorf("%q: %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{
		"", "bytes", "bytes ", "bytes */100", "bytes 0-/1", "bytes -1/2", "bytes 2-1/3", "bytes 0-1/1", "bytes 0-1",
		"bytes 0-1/-2", "bytes +0-1/2", "bytes 0-9223372036854775808/*", "bytes 0-1/2/3", "bytes 0-1-1/2", "items 0-0/1", "bytes 0-0/1 ",
	} {
		if _, _, _, ok := parseContentRange(s); ok {
			t.Errorf("%q is accepted", s)
		}
	}
}

func FuzzParseContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-0/1", "bytes 5-9/*", "bytes */1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, last, total, ok := parseContentRange(s)
		if ok && (first < 0 || last < first || total >= 0 && last >= total) {
			t.Errorf("%q: %d-%d/%d", s, first, last, total)
		}
	})
}

func TestRetryAfterHeader(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "soon": 0, "99999999999999999999": 0, "Wed, 21 Oct 2015 07:28:00 GMT": 0,
	} {
		if got := retryAfter(&http.Response{Header: http.Header{"Retry-After": {value}}}); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
	later := time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	if got := retryAfter(&http.Response{Header: http.Header{"Retry-After": {later}}}); got < 59*time.Minute || got > time.Hour {
		t.Errorf("%q: %v", later, got)
	}
}
