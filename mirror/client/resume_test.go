package client

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"deltaup/internal/test/faultserver"
)

func rangeHeader(r faultserver.Request) string { return r.Header.Get("Range") }

// TestResumeExact: after each break the next request begins at the byte that did not come.
func TestResumeExact(t *testing.T) {
	s := newShelf(t)
	srv := s.serve(t,
		faultserver.Rule{Nth: 1, Fault: faultserver.Cut(70_001)},
		faultserver.Rule{Nth: 2, Fault: faultserver.Cut(1)},
		faultserver.Rule{Nth: 3, Fault: faultserver.Status(503, 0)},
		faultserver.Rule{Nth: 4, Fault: faultserver.Cut(100_000)},
	)
	o := quick()
	o.Retries = 2 // fewer than there are breaks: what comes in between counts
	var texts []string
	o.Log = func(e Event) { texts = append(texts, e.Text) }
	c := testClient(t, o, srv.URL)
	got, err := readRange(t.Context(), c, s.name, 0, 200_000)
	if err != nil || !bytes.Equal(got, s.pack) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	var ranges []string
	for _, r := range srv.Log() {
		ranges = append(ranges, rangeHeader(r))
	}
	want := "[bytes=0-199999 bytes=70001-199999 bytes=70002-199999 bytes=70002-199999 bytes=170002-199999]"
	if fmt.Sprint(ranges) != want {
		t.Errorf("ranges %v\nwant   %v", ranges, want)
	}
	page := int64(len("Service Unavailable\n"))
	if sent := srv.BodyBytes(s.name); sent != 200_000+page {
		t.Errorf("server sent %d bytes, want each once: 200000 and an error page of %d", sent, page)
	}
	if st := c.Stats(); st != (Stats{Requests: 5, BytesBody: 200_000, Retries: 4}) {
		t.Errorf("stats %+v", st)
	}
	if len(texts) != 4 || !strings.Contains(texts[0], "going on at byte 70001") || !strings.Contains(texts[0], s.name) {
		t.Errorf("events %q", texts)
	}
}

// TestResumeElsewhere goes on at the same byte on the other mirror, at once, and stays there.
func TestResumeElsewhere(t *testing.T) {
	s := newShelf(t)
	a := s.serve(t, faultserver.Rule{Nth: 1, Fault: faultserver.Cut(1000)})
	b := s.serve(t)
	o := quick()
	o.RetryDelay = time.Hour // there is no reason to wait
	var last Event
	o.Log = func(e Event) { last = e }
	c := testClient(t, o, a.URL, b.URL)
	for i, want := range []struct{ a, b int }{{1, 1}, {1, 2}} {
		got, err := readRange(t.Context(), c, s.name, 0, 5000)
		if err != nil || !bytes.Equal(got, s.pack[:5000]) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if a.Requests("") != want.a || b.Requests("") != want.b {
			t.Errorf("reading %d: %d and %d requests, want %v", i, a.Requests(""), b.Requests(""), want)
		}
	}
	if got := rangeHeader(b.Log()[0]); got != "bytes=1000-4999" {
		t.Errorf("the other mirror was asked for %s", got)
	}
	if last.Mirror != a.URL || last.Object != s.name || last.Err == nil || !strings.HasSuffix(last.Text, "from "+b.URL) {
		t.Errorf("event %+v", last)
	}
}

// TestMissingElsewhere: a mirror that lacks one file stays the preferred one for others.
func TestMissingElsewhere(t *testing.T) {
	s := newShelf(t)
	a := s.serve(t, faultserver.Rule{Path: "packs/", Fault: faultserver.Status(404, 0)})
	b := s.serve(t)
	c := testClient(t, quick(), a.URL, b.URL)
	for _, r := range s.readings() {
		if err := r.do(t.Context(), c); err != nil {
			t.Errorf("%s: %v", r.kind, err)
		}
	}
	if n := b.Requests("channels/") + b.Requests("releases/"); n != 0 {
		t.Errorf("%d requests for other files went to the second mirror", n)
	}
	o := quick()
	o.Retries = -1
	_, err := readRange(t.Context(), testClient(t, o, a.URL, "http://127.0.0.1:1"), s.name, 0, 1)
	wantSentinel(t, err, ErrUnreachable, a.URL)
	wantSentinel(t, err, ErrUnreachable, "http://127.0.0.1:1")
}

func TestRetryAfter(t *testing.T) {
	s := newShelf(t)
	srv := s.serve(t, faultserver.Rule{Nth: 1, Fault: faultserver.Status(503, time.Second)})
	c := testClient(t, quick(), srv.URL)
	start := time.Now()
	if _, err := readRange(t.Context(), c, s.name, 0, 1); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < time.Second {
		t.Errorf("asked again after %v", took)
	}

	// Another mirror is asked at once meanwhile.
	srv = s.serve(t, faultserver.Rule{Fault: faultserver.Status(503, time.Hour)})
	c = testClient(t, quick(), srv.URL, s.serve(t).URL)
	for range 3 {
		if _, err := readRange(t.Context(), c, s.name, 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := srv.Requests(""); n != 1 {
		t.Errorf("%d requests to the mirror that wants none", n)
	}
	if wait := time.Until(c.sites[0].notBefore); wait > maxRetryAfter || wait < maxRetryAfter/2 {
		t.Errorf("an hour was asked for, %v are granted", wait)
	}
}

func TestRetriesEnd(t *testing.T) {
	s := newShelf(t)
	for retries, want := range map[int]int{-1: 1, 0: 1 + defaultRetries, 3: 4} {
		srv := s.serve(t, faultserver.Rule{Fault: faultserver.Cut(0)})
		o := quick()
		o.Retries = retries
		_, err := readRange(t.Context(), testClient(t, o, srv.URL), s.name, 0, 1)
		wantSentinel(t, err, ErrUnreachable, srv.URL)
		if n := srv.Requests(""); n != want {
			t.Errorf("retries %d: %d requests, want %d", retries, n, want)
		}
	}
}

// TestNoRanges: a server without ranges costs what lies before the place, is warned of once, and is
// asked last where that matters.
func TestNoRanges(t *testing.T) {
	s := newShelf(t)
	srv := s.serve(t, faultserver.Rule{Fault: faultserver.NoRanges()})
	o := quick()
	warnings := 0
	o.Log = func(e Event) {
		warnings++
		if !strings.Contains(e.Text, "ignores ranges") || !strings.Contains(e.Text, srv.URL) {
			t.Errorf("event %q", e.Text)
		}
	}
	c := testClient(t, o, srv.URL)
	for range 2 {
		got, err := readRange(t.Context(), c, s.name, 100_000, 500)
		if err != nil || !bytes.Equal(got, s.pack[100_000:100_500]) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	if st := c.Stats(); warnings != 1 || st.BytesBody != 2*100_500 {
		t.Errorf("%d warnings, stats %+v", warnings, st)
	}

	o.Log = nil
	ranged := s.serve(t)
	c = testClient(t, o, srv.URL, ranged.URL)
	for range 3 {
		if _, err := readRange(t.Context(), c, s.name, 100_000, 500); err != nil {
			t.Fatal(err)
		}
	}
	if n := ranged.Requests(""); n != 2 {
		t.Errorf("%d requests to the mirror with ranges, want all but the first", n)
	}

	o.MaxBytes = 100_499
	srv.Reset()
	_, err := readRange(t.Context(), testClient(t, o, srv.URL), s.name, 100_000, 500)
	wantSentinel(t, err, ErrBudget, s.name)
}
