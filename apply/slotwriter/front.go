package slotwriter

import (
	"context"
	"sync"
)

// front is how far something is there without a gap, when its pieces come in any order.
type front struct {
	mu    sync.Mutex
	end   int64
	ahead map[int64]int64 // behind a gap: where a piece begins -> where it ends
	moved chan struct{}   // closed when end rises
}

func newFront() *front {
	return &front{ahead: map[int64]int64{}, moved: make(chan struct{})}
}

// add enters the piece from off to end. Pieces do not overlap.
func (f *front) add(off, end int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off >= end {
		return
	}
	f.ahead[off] = end
	if off != f.end {
		return
	}
	for {
		next, ok := f.ahead[f.end]
		if !ok {
			break
		}
		delete(f.ahead, f.end)
		f.end = next
	}
	close(f.moved)
	f.moved = make(chan struct{})
}

// wait returns when everything before end is there.
func (f *front) wait(ctx context.Context, end int64) error {
	for {
		f.mu.Lock()
		there, moved := f.end >= end, f.moved
		f.mu.Unlock()
		if there {
			return ctx.Err()
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// reached tells whether everything before end is there.
func (f *front) reached(end int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.end >= end
}
