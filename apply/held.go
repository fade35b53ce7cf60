package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"deltaup/chunkstore"
	"deltaup/mirror"
)

// headSize is how much of an image's start is held back until all else is proved, and
// zero until then: a squashfs superblock's 96 bytes, and what other file systems and
// partition tables have in place of it.
const headSize = 4 << 10

// heldSlot passes an image on to a slot without its head, and notes what it passes.
type heldSlot struct {
	Slot
	size    int64                     // of the image; nothing is written beyond
	written *front                    // the head included
	seen    func(p []byte, off int64) // Request.ReadBack

	mu      sync.Mutex
	head    [headSize]byte
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

// newHeldSlot takes the hasher for what is behind the head, nil when that is not written in order.
func newHeldSlot(s Slot, size int64, body *chunkstore.Hasher) *heldSlot {
	return &heldSlot{
		Slot:    s,
		size:    size,
		written: newFront(),
		windows: make([]int64, size/windowSize+1),
		next:    headSize,
		inOrder: body != nil,
		body:    body,
	}
}

// WriteAt writes to the slot what lies behind the head and keeps the head. No byte may be written
// twice.
func (h *heldSlot) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > h.size {
		return 0, fmt.Errorf("%w: it is longer than the %d bytes that the release says",
			errOtherImage, h.size)
	}
	held := h.note(p, off)
	if held < len(p) {
		start := time.Now()
		n, err := h.Slot.WriteAt(p[held:], off+int64(held))
		h.spend(start)
		if err != nil {
			return held + n, noSpace(fmt.Errorf("slot %s: %w", h.Name(), err))
		}
	}
	h.send(off, off+int64(len(p)))
	h.written.add(off, off+int64(len(p)))
	return len(p), nil
}

// send starts the windows on their way to the medium that are whole with the bytes from off to end.
func (h *heldSlot) send(off, end int64) {
	for off < end {
		w := off / windowSize
		next := min((w+1)*windowSize, end)
		h.mu.Lock()
		h.windows[w] += next - off
		whole := h.windows[w] == windowSize
		h.mu.Unlock()
		if whole {
			h.StartWriteback(w*windowSize, windowSize)
		}
		off = next
	}
}

// spend adds the time since start.
func (h *heldSlot) spend(start time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.busy += time.Since(start)
}

// note keeps what belongs to the head, which is so many bytes of p, and hashes the rest.
func (h *heldSlot) note(p []byte, off int64) (held int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if off < headSize {
		held = copy(h.head[off:], p)
	}
	if rest := p[held:]; h.body != nil && len(rest) > 0 {
		h.inOrder = h.inOrder && off+int64(held) == h.next
		h.next = off + int64(len(p))
		h.body.Write(rest)
	}
	return held
}

// errOtherImage means that what was built is not the release's image.
var errOtherImage = errors.New("the rebuilt image is not the published one")

// prove reads back from the medium what is written to the slot, while more is written, makes it all
// durable and compares it with want. It fails with ErrVerify when the medium gives other bytes than
// it was given, and with errOtherImage when those were the wrong ones.
func (h *heldSlot) prove(ctx context.Context, want chunkstore.ID, e *events) error {
	var body *chunkstore.Hasher
	if h.body != nil {
		body = chunkstore.NewHasher()
	}
	id, err := readBack(ctx, h.size, func(p []byte, off int64) (int, error) {
		if err := h.written.wait(ctx, min((off/windowSize+1)*windowSize, h.size)); err != nil {
			return 0, err
		}
		return h.ReadMedium(p, off)
	}, func(p []byte, off int64) {
		rest := p
		if off == 0 {
			rest = p[copy(p, h.head[:]):]
		}
		if h.seen != nil {
			h.seen(p, off)
		}
		if body != nil {
			body.Write(rest)
		}
		if h.written.reached(h.size) { // until then the stage is another one
			e.progress(StageVerify, mirror.ImageName, off+int64(len(p)), h.size)
		}
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("slot %s: %w: %w", h.Name(), ErrVerify, err)
	}
	if err := h.flush(); err != nil {
		return err
	}
	switch {
	case id == want:
		return nil
	case h.inOrder && h.next == h.size && body.ID() != h.body.ID():
		return fmt.Errorf("slot %s: %w", h.Name(), ErrVerify)
	}
	return errOtherImage
}

// release writes the superblock and reads it back. When it is not there then, the slot is cleared
// again.
func (h *heldSlot) release() error {
	head := h.head[:min(headSize, h.size)]
	if _, err := h.Slot.WriteAt(head, 0); err != nil {
		return fmt.Errorf("slot %s: superblock: %w", h.Name(), err)
	}
	if err := h.flush(); err != nil {
		return err
	}
	got := make([]byte, len(head))
	if _, err := h.ReadMedium(got, 0); err == nil && bytes.Equal(got, head) {
		return nil
	}
	return errors.Join(fmt.Errorf("slot %s: superblock: %w", h.Name(), ErrVerify), h.Begin(h.size))
}

func (h *heldSlot) flush() error {
	if err := h.Sync(); err != nil {
		return noSpace(fmt.Errorf("slot %s: sync: %w", h.Name(), err))
	}
	return nil
}
