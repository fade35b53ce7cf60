package client

import (
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
)

func TestMaxBytes(t *testing.T) {
	s := newShelf(t)
	srv := s.serve(t, faultserver.Rule{Nth: 1, Fault: faultserver.Cut(400)})
	o := quick()
	o.MaxBytes = 1500
	c := testClient(t, o, srv.URL)
	// The break costs nothing: its bytes are not fetched again.
	if _, err := readRange(t.Context(), c, s.name, 0, 1000); err != nil {
		t.Fatal(err)
	}
	_, err := readRange(t.Context(), c, s.name, 0, 501)
	wantSentinel(t, err, ErrBudget, s.name)
	_, err = c.Fetch(t.Context(), s.name, s.object, s.object.Size)
	wantSentinel(t, err, ErrBudget, s.name)
	if n := srv.Requests(""); n != 2 {
		t.Errorf("%d requests, want none for what is over the limit", n)
	}
	if _, err := readRange(t.Context(), c, s.name, 0, 500); err != nil {
		t.Errorf("the last 500 bytes: %v", err)
	}
	if st := c.Stats(); st.BytesBody != 1500 {
		t.Errorf("stats %+v", st)
	}
	_, err = c.Pointer(t.Context(), "stable")
	wantSentinel(t, err, ErrBudget, mirror.PointerPath("stable"))

	// What a reader that is closed early did not read is free again.
	c = testClient(t, o, srv.URL)
	r, err := c.ReadRange(t.Context(), s.name, 0, 1500)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 500)); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("read after close: %v", err)
	}
	if _, err := readRange(t.Context(), c, s.name, 0, 1000); err != nil {
		t.Error(err)
	}
}

// TestMaxBytesParallel: however requests meet, the limit holds and is used up.
func TestMaxBytesParallel(t *testing.T) {
	s := newShelf(t)
	o := quick()
	o.MaxBytes = 5500
	c := testClient(t, o, s.serve(t).URL)
	var wg sync.WaitGroup
	var done atomic.Int64
	for range 20 {
		wg.Go(func() {
			if _, err := readRange(t.Context(), c, s.name, 0, 1000); err == nil {
				done.Add(1)
			} else {
				wantSentinel(t, err, ErrBudget, s.name)
			}
		})
	}
	wg.Wait()
	if st := c.Stats(); done.Load() != 5 || st.BytesBody != 5000 {
		t.Errorf("%d ranges, stats %+v", done.Load(), st)
	}
}

func TestRateLimit(t *testing.T) {
	s := newShelf(t)
	o := quick()
	o.RateLimit = 100_000
	c := testClient(t, o, s.serve(t).URL)
	start := time.Now()
	var wg sync.WaitGroup
	for i := range int64(4) {
		wg.Go(func() {
			if _, err := readRange(t.Context(), c, s.name, i*20_000, 20_000); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	// 80,000 bytes, of which the bucket holds 25,000 at the start.
	if took := time.Since(start); took < 500*time.Millisecond {
		t.Errorf("80000 bytes at 100000 bytes/s took %v", took)
	}
}

// TestWatchdogShare: three requests that share a line have three times the time.
func TestWatchdogShare(t *testing.T) {
	const timeout = 50 * time.Millisecond
	expired := make(chan time.Time, 1)
	var share atomic.Int64
	share.Store(3)
	w := newWatchdog(timeout, share.Load, func() { expired <- time.Now() })
	start := time.Now()
	w.wake()
	if took := (<-expired).Sub(start); took < 3*timeout {
		t.Errorf("expired after %v", took)
	}
	w.wake()
	w.rest()
	select {
	case <-expired:
		t.Error("expired at rest")
	case <-time.After(5 * timeout):
	}
}
