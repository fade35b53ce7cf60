package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
)

// headSize is how much of an image's start is held back until all else is proved, and
// zero until then: a squashfs superblock's 96 bytes, and what other file systems and
// partition tables have in place of it.
const headSize = 4 << 10

// heldSlot passes an image on to a slot without its head, and notes what it passes.
type heldSlot struct {
	Slot
	size int64 // of the image; nothing is written beyond

	mu      sync.Mutex
	head    [headSize]byte
	next    int64              // where a writer that goes straight on writes next
	inOrder bool               // so far it did
	body    *chunkstore.Hasher // of all behind the head; nil: it is not written in order
	busy    time.Duration      // the slot was, all in all; only when it is written in order
}

// newHeldSlot takes the hasher for what is behind the head, nil when that is not written in order.
func newHeldSlot(s Slot, size int64, body *chunkstore.Hasher) *heldSlot {
	return &heldSlot{Slot: s, size: size, next: headSize, inOrder: body != nil, body: body}
}

// WriteAt writes to the slot what lies behind the head and keeps the head.
func (h *heldSlot) WriteAt(p []byte, off int64) (int, error) {
	if off < 0 || off+int64(len(p)) > h.size {
		return 0, fmt.Errorf("%w: it is longer than the %d bytes that the release says", errOtherImage, h.size)
	}
	held := h.note(p, off)
	if held == len(p) {
		return held, nil
	}
	start := time.Now()
	n, err := h.Slot.WriteAt(p[held:], off+int64(held))
	h.spend(start)
	if err != nil {
		err = fmt.Errorf("slot %s: %w", h.Name(), err)
	}
	return held + n, noSpace(err)
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

// prove makes the slot's bytes durable, reads them back from the medium and compares
// them with want. It fails with ErrVerify when the medium gives other bytes than it was
// given, and with errOtherImage when those were the wrong ones.
func (h *heldSlot) prove(ctx context.Context, want chunkstore.ID, e *events) error {
	defer h.spend(time.Now())
	if err := h.flush(); err != nil {
		return err
	}
	back := &heldBack{head: h.head}
	if h.inOrder {
		back.body = chunkstore.NewHasher()
	}
	id, err := readBack(ctx, h.Slot, h.size, back, e)
	switch {
	case err != nil:
		return err
	case id == want:
		return nil
	case h.inOrder && h.next == h.size && back.body.ID() != h.body.ID():
		return fmt.Errorf("slot %s: %w", h.Name(), ErrVerify)
	}
	return errOtherImage
}

// release writes the superblock and reads it back. When it is not there then, the slot is cleared again.
func (h *heldSlot) release() error {
	head := h.head[:min(headSize, h.size)]
	if _, err := h.Slot.WriteAt(head, 0); err != nil {
		return fmt.Errorf("slot %s: superblock: %w", h.Name(), err)
	}
	if err := h.flush(); err != nil {
		return err
	}
	got := make([]byte, len(head))
	if _, err := h.Slot.ReadAt(got, 0); err == nil && bytes.Equal(got, head) {
		return nil
	}
	return errors.Join(fmt.Errorf("slot %s: superblock: %w", h.Name(), ErrVerify), h.Begin(h.size))
}

func (h *heldSlot) flush() error {
	if err := h.Sync(); err != nil {
		return noSpace(fmt.Errorf("slot %s: sync: %w", h.Name(), err))
	}
	return h.DropCache()
}

// heldBack says what stands for a slot's first bytes while it is read, and takes the hash of the rest where that is of use.
type heldBack struct {
	head [headSize]byte
	body *chunkstore.Hasher // may be nil
}

// take sees the bytes of the slot in order and puts the head in place.
func (b *heldBack) take(p []byte, off int64) {
	if off == 0 {
		p = p[copy(p, b.head[:]):]
	}
	if b.body != nil {
		b.body.Write(p)
	}
}

// readBack hashes the first size bytes of a slot. It reads on while it hashes.
func readBack(ctx context.Context, slot Slot, size int64, held *heldBack, e *events) (chunkstore.ID, error) {
	h := chunkstore.NewHasher()
	free, full := make(chan []byte, backBuffers), make(chan []byte, backBuffers)
	for range backBuffers {
		free <- make([]byte, backSize)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(full)
		for off := int64(0); off < size; off += backSize {
			var p []byte
			select {
			case p = <-free:
			case <-ctx.Done():
				return ctx.Err()
			}
			p = p[:min(backSize, size-off)]
			if n, err := slot.ReadAt(p, off); n < len(p) {
				if err == nil || err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return fmt.Errorf("slot %s: %w: %w", slot.Name(), ErrVerify, err)
			}
			full <- p
		}
		return nil
	})
	off := int64(0)
	for p := range full {
		if held != nil {
			held.take(p, off)
		}
		h.Write(p)
		off += int64(len(p))
		e.progress(StageVerify, off, size)
		free <- p[:cap(p)]
	}
	if err := g.Wait(); err != nil {
		return chunkstore.ID{}, err
	}
	return h.ID(), nil
}

// What readBack reads at once, in bytes, and how many of these are under way.
const (
	backSize    = 1 << 20
	backBuffers = 3
)
