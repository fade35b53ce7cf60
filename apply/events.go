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
	mu   sync.Mutex
	fn   func(Event)
	harm map[string]bool // seeds of which all or a part cannot be used
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

// harmed warns of a seed of which all or a part cannot be used.
func (e *events) harmed(path, format string, args ...any) {
	e.mu.Lock()
	if e.harm == nil {
		e.harm = map[string]bool{}
	}
	e.harm[path] = true
	e.mu.Unlock()
	e.warn("seed %s "+format, append([]any{path}, args...)...)
}

// isHarmed tells whether harmed was told of a seed.
func (e *events) isHarmed(path string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.harm[path]
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

func (c *counter) add(n int64) {
	c.events.progress(c.stage, c.of, c.done.Add(n), c.total)
}

// left is how much is still to be done.
func (c *counter) left() int64 { return c.total - c.done.Load() }
