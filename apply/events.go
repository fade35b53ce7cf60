package apply

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// events passes events on, one at a time. A nil fn drops them.
type events struct {
	mu sync.Mutex
	fn func(Event)
}

func (e *events) send(event Event) {
	if e.fn == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.fn(event)
}

func (e *events) progress(stage Stage, of string, done, total int64) {
	e.send(Event{Stage: stage, Of: of, Done: done, Total: total})
}

func (e *events) warn(format string, args ...any) {
	e.send(Event{Warning: fmt.Sprintf(format, args...)})
}

// progressReader tells of what is read, and stops when its context ends.
type progressReader struct {
	ctx    context.Context
	r      io.Reader
	done   int64
	total  int64
	stage  Stage
	of     string
	events *events
}

func (r *progressReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.r.Read(p)
	if n > 0 {
		r.done += int64(n)
		r.events.progress(r.stage, r.of, r.done, r.total)
	}
	return n, err
}

// counter adds up what several goroutines have done of one stage.
type counter struct {
	done   atomic.Int64
	total  int64
	stage  Stage
	of     string
	events *events
}

func (c *counter) add(n int) {
	c.events.progress(c.stage, c.of, c.done.Add(int64(n)), c.total)
}

// left is how much is still to be done.
func (c *counter) left() int64 { return c.total - c.done.Load() }
