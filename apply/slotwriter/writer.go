package slotwriter

import (
	"context"
	"fmt"
	"sync"
	"time"

	"deltaup/apply/internal/nospace"
	"deltaup/chunkstore"
)

// writer passes an image on to a slot without its head, and notes what it passes.
type writer struct {
	*Held
	written *front // the head included

	mu      sync.Mutex
	windows []int64            // bytes written to each window
	next    int64              // where a writer that goes straight on writes next
	inOrder bool               // so far it did
	body    *chunkstore.Hasher // of all behind the head; nil: it is not written in order
	busy    time.Duration      // the slot was, all in all; only when it is written in order
}

// windowSize is so many bytes of a slot as go to the medium together when all of them are written,
// and are read back together: on a disk that has to seek, fewer at once would cost more in seeks
// than is won.
const windowSize = 8 << 20

func newWriter(h *Held, inOrder bool) *writer {
	w := &writer{
		Held:    h,
		written: newFront(),
		windows: make([]int64, h.size/windowSize+1),
		next:    HeadSize,
		inOrder: inOrder,
	}
	if inOrder {
		w.body = chunkstore.NewHasher()
	}
	return w
}

// WriteAt writes to the slot what lies behind the head and keeps the head. No byte may be written
// twice.
func (w *writer) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > w.size {
		return 0, fmt.Errorf("%w: it is longer than the %d bytes that the release says",
			ErrOtherImage, w.size)
	}
	held := w.note(p, off)
	if held < len(p) {
		start := time.Now()
		n, err := w.slot.WriteAt(p[held:], off+int64(held))
		w.spend(start)
		if err != nil {
			return held + n, nospace.Mark(fmt.Errorf("slot %s: %w", w.slot.Name(), err))
		}
	}
	w.send(off, off+int64(len(p)))
	w.written.add(off, off+int64(len(p)))
	return len(p), nil
}

// send starts the windows on their way to the medium that are whole with the bytes from off to end.
func (w *writer) send(off, end int64) {
	for off < end {
		n := off / windowSize
		next := min((n+1)*windowSize, end)
		w.mu.Lock()
		w.windows[n] += next - off
		whole := w.windows[n] == windowSize
		w.mu.Unlock()
		if whole {
			w.slot.StartWriteback(n*windowSize, windowSize)
		}
		off = next
	}
}

// spend adds the time since start.
func (w *writer) spend(start time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy += time.Since(start)
}

// note keeps what belongs to the head, which is so many bytes of p, and hashes the rest.
func (w *writer) note(p []byte, off int64) (held int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if off < HeadSize {
		held = copy(w.head[off:], p)
	}
	if rest := p[held:]; w.body != nil && len(rest) > 0 {
		w.inOrder = w.inOrder && off+int64(held) == w.next
		w.next = off + int64(len(p))
		w.body.Write(rest)
	}
	return held
}

// prove reads back from the medium what is written to the slot, while more is written, makes it all
// durable and compares it with want.
func (w *writer) prove(ctx context.Context, want chunkstore.ID, o Options) error {
	var body *chunkstore.Hasher
	if w.body != nil {
		body = chunkstore.NewHasher()
	}
	id, err := ReadBack(ctx, w.size, func(p []byte, off int64) (int, error) {
		if err := w.written.wait(ctx, min((off/windowSize+1)*windowSize, w.size)); err != nil {
			return 0, err
		}
		return w.slot.ReadMedium(p, off)
	}, func(p []byte, off int64) {
		rest := p
		if off == 0 {
			rest = p[copy(p, w.head[:]):]
		}
		if o.ReadBack != nil {
			o.ReadBack(p, off)
		}
		if body != nil {
			body.Write(rest)
		}
		if o.Progress != nil && w.written.reached(w.size) {
			o.Progress(off+int64(len(p)), w.size)
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("slot %s: %w: %w", w.slot.Name(), ErrVerify, err)
	}
	if err := flush(w.slot); err != nil {
		return err
	}
	switch {
	case id == want:
		return nil
	case w.inOrder && w.next == w.size && body.ID() != w.body.ID():
		return fmt.Errorf("slot %s: %w", w.slot.Name(), ErrVerify)
	}
	return ErrOtherImage
}
