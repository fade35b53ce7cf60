package client

import (
	"sync"
	"time"
)

// watchdog calls expire when, while it is awake, nothing has happened for too long: the timeout
// times how many requests share the line at that moment. Over a thin line the bytes of parallel
// requests come by turns: HTTP/2 sends frames of 16 KiB, so at 1 KB/s the last of eight waits two
// minutes with nothing amiss.
type watchdog struct {
	timeout time.Duration
	share   func() int64
	expire  func()

	mu    sync.Mutex
	timer *time.Timer
	since time.Time // it was woken; zero: it rests
}

func newWatchdog(timeout time.Duration, share func() int64, expire func()) *watchdog {
	w := &watchdog{timeout: timeout, share: share, expire: expire}
	w.timer = time.AfterFunc(timeout, w.look)
	w.rest()
	return w
}

// wake starts the wait for one further byte.
func (w *watchdog) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Now()
	w.timer.Reset(w.timeout)
}

// rest ends it.
func (w *watchdog) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = time.Time{}
	w.timer.Stop()
}

func (w *watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return
	}
	if time.Since(w.since) < w.timeout*time.Duration(max(w.share(), 1)) {
		w.timer.Reset(w.timeout)
		return
	}
	w.expire()
}
