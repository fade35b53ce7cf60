package client

import (
	"fmt"
	"sync"
	"time"
)

// meter holds one mirror to a rate, over all of its answers: bytes of bodies against the time in
// which something was waited for, a connection and a header included. Time in which nothing is
// waited for, because the target works or keeps to its own limit, does not count. A mirror that is
// found too slow stays so for the client's life: it is asked last.
type meter struct {
	min int64 // bytes per second; below 1: any will do
	now func() time.Time

	mu      sync.Mutex
	waiting int       // requests that wait
	since   time.Time // from when on their waiting has not been counted
	// answered is judged by what it took to get answers. A request that fails without one is no
	// matter of rate: it is sent again, and given up after some time. All is judged by that time,
	// too, over as long as nothing but failures would be put up with.
	answered, all window
	found         int   // how often it was found too slow
	err           error // the last of that
}

// window is a stretch of waiting that is judged when it is full.
type window struct {
	length, waited time.Duration
	got            int64
}

func newMeter(o Options) *meter {
	return &meter{
		min: o.MinRate, now: time.Now,
		answered: window{
			length: o.Timeout,
		}, all: window{length: o.Timeout * time.Duration(max(o.Retries, 0)+2)},
	}
}

// wait is called when a request begins to wait for the mirror.
func (m *meter) wait() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.waiting == 0 {
		m.since = m.now()
	}
	m.waiting++
}

// got ends the wait: with n bytes of a body, or a header, or a failure that is none of an answer.
func (m *meter) got(n int, answer bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	waited := now.Sub(m.since)
	m.since = now
	m.waiting--
	m.judge(&m.all, n, waited)
	if answer {
		m.judge(&m.answered, n, waited)
	}
}

func (m *meter) judge(w *window, n int, waited time.Duration) {
	w.waited += waited
	w.got += int64(n)
	if w.waited < w.length {
		return
	}
	if m.min > 0 && float64(w.got) < float64(m.min)*w.waited.Seconds() {
		m.found++
		m.err = &failure{
			kind: refusedFailure,
			err:  fmt.Errorf("%d bytes in %v: %w", w.got, w.waited.Round(time.Millisecond), ErrSlow),
		}
	}
	w.waited, w.got = 0, 0
}

// verdicts is how often the mirror has been found too slow.
func (m *meter) verdicts() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.found
}

// verdict is the error for a request that began after so many verdicts; nil when there was none
// since.
func (m *meter) verdict(before int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.found > before {
		return m.err
	}
	return nil
}
