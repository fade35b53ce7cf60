// Package slotwriter puts an image into a slot in such a way that the slot never holds anything
// bootable but the whole image. [Fill] makes the slot unbootable, takes the image in any order and
// reads it back from the medium meanwhile. The image's first 4 KiB, which have its superblock, stay
// in memory. [Held.Release] writes them once everything else is done.
package slotwriter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"deltaup/apply/internal/nospace"
	"deltaup/chunkstore"
)

// HeadSize is how much of an image's start is held back until all else is proved, and zero until
// then: a squashfs superblock's 96 bytes, and what other file systems and partition tables have in
// place of it.
const HeadSize = 4 << 10

var (
	// ErrVerify is wrapped when the slot reads back other bytes than were written.
	ErrVerify = errors.New("the slot does not hold what was written")
	// ErrOtherImage is wrapped when what was written is not the image that was to be.
	ErrOtherImage = errors.New("the rebuilt image is not the published one")
)

// Storage is the place that an image is written to.
type Storage interface {
	io.ReaderAt
	io.WriterAt
	// Begin makes the slot unbootable (its first 4 KiB become zero, durably) and sets a file's
	// length.
	Begin(size int64) error
	// StartWriteback has n bytes that were written from off on go to the medium, and does not wait.
	StartWriteback(off, n int64)
	// ReadMedium reads like ReadAt, from the medium, whatever is in memory; quickly with an aligned
	// buffer (medium.Buffer).
	ReadMedium(p []byte, off int64) (int, error)
	// Sync makes all writes durable.
	Sync() error
	// Name is how messages call it: its path.
	Name() string
}

// Image is the image that a slot is to hold.
type Image struct {
	ID   chunkstore.ID // of all its bytes
	Size int64
}

// Options say how an image is written.
type Options struct {
	// InOrder says that one goroutine writes the image from its beginning to its end. Then wrong
	// bytes that were written are told from a medium that gives others, and Held.Busy is known.
	InOrder bool
	// ReadBack, unless nil, sees the image's bytes as the slot gives them, in order.
	ReadBack func(p []byte, off int64)
	// Progress, unless nil, is told how much was read back, once everything is written.
	Progress func(done, total int64)
}

// Fill has write write an image to the slot, no byte twice, and reads it back meanwhile. It returns
// when all of it but the head is durable and proved.
//
// Errors wrap ErrOtherImage when write wrote another image, ErrVerify when the medium gives other
// bytes than it was given (in order only; else that is ErrOtherImage too), and the errors of write.
// After an error the slot holds nothing bootable.
func Fill(ctx context.Context, s Storage, image Image, o Options,
	write func(ctx context.Context, w io.WriterAt) error) (*Held, error) {
	if err := s.Begin(image.Size); err != nil {
		return nil, nospace.Mark(err)
	}
	h := &Held{slot: s, size: image.Size}
	w := newWriter(h, o.InOrder)
	var written time.Time
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return w.prove(ctx, image.ID, o) })
	g.Go(func() error {
		err := write(ctx, w)
		if written = time.Now(); err == nil && !w.written.reached(image.Size) {
			err = ErrOtherImage // it is shorter
		}
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	w.spend(written)
	if w.inOrder {
		h.busy = w.busy
	}
	return h, nil
}

// Held is an image that is in a slot and proved, all but its head.
type Held struct {
	slot Storage
	size int64
	head [HeadSize]byte
	busy time.Duration
}

// Size is that of the image, in bytes.
func (h *Held) Size() int64 { return h.size }

// Busy is how long the slot was busy with the image; 0 when the image was not written in order, for
// then several goroutines kept it busy at once.
func (h *Held) Busy() time.Duration { return h.busy }

// ReadAt reads from the image as it will be, its head included.
func (h *Held) ReadAt(p []byte, off int64) (int, error) {
	n, err := h.slot.ReadAt(p, off)
	if off < HeadSize {
		copy(p[:n], h.head[off:])
	}
	return n, err
}

// Release writes the head and reads it back. When it is not there then, which is ErrVerify, the
// slot is made unbootable again.
func (h *Held) Release() error {
	head := h.head[:min(HeadSize, h.size)]
	if _, err := h.slot.WriteAt(head, 0); err != nil {
		return fmt.Errorf("slot %s: superblock: %w", h.slot.Name(), err)
	}
	if err := flush(h.slot); err != nil {
		return err
	}
	got := make([]byte, len(head))
	if _, err := h.slot.ReadMedium(got, 0); err == nil && bytes.Equal(got, head) {
		return nil
	}
	return errors.Join(fmt.Errorf("slot %s: superblock: %w", h.slot.Name(), ErrVerify),
		h.slot.Begin(h.size))
}

func flush(s Storage) error {
	if err := s.Sync(); err != nil {
		return nospace.Mark(fmt.Errorf("slot %s: sync: %w", s.Name(), err))
	}
	return nil
}
