package slotwriter

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"

	"deltaup/apply/internal/nospace"
	"deltaup/chunkstore"
	"deltaup/internal/test/mirrortest"
)

// memory is a slot in memory whose medium fails in one of several ways.
type memory struct {
	b          []byte
	began      int
	synced     bool
	beginError error
	writeError error // of every write behind the head
	flip       int64 // this byte reads wrong; 0: none
	deaf       bool  // takes a head and does not keep it
}

func (m *memory) Begin(size int64) error {
	if m.beginError != nil {
		return m.beginError
	}
	m.began++
	m.b = append(m.b, make([]byte, max(0, size-int64(len(m.b))))...)[:size]
	clear(m.b[:min(HeadSize, size)])
	return nil
}

func (m *memory) WriteAt(p []byte, off int64) (int, error) {
	if m.writeError != nil {
		return 0, m.writeError
	}
	if m.deaf && off == 0 {
		return len(p), nil
	}
	return copy(m.b[off:], p), nil
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(m.b).ReadAt(p, off)
}

func (m *memory) ReadMedium(p []byte, off int64) (int, error) {
	n, err := m.ReadAt(p, off)
	if m.flip >= off && m.flip < off+int64(n) && m.flip > 0 {
		p[m.flip-off] ^= 0x10
	}
	return n, err
}

func (m *memory) StartWriteback(int64, int64) {}
func (m *memory) Sync() error                 { m.synced = true; return nil }
func (m *memory) Name() string                { return "/dev/memory" }

// bootable tells whether the slot has anything but zeros where a superblock is.
func (m *memory) bootable() bool {
	return strings.Trim(string(m.b[:min(HeadSize, len(m.b))]), "\x00") != ""
}

func imageOf(b []byte) Image { return Image{ID: chunkstore.Sum(b), Size: int64(len(b))} }

// inOrder writes b from its beginning to its end.
func inOrder(b []byte) func(context.Context, io.WriterAt) error {
	return func(_ context.Context, w io.WriterAt) error {
		for off := 0; off < len(b); off += 10000 {
			if _, err := w.WriteAt(b[off:min(off+10000, len(b))], int64(off)); err != nil {
				return err
			}
		}
		return nil
	}
}

// shuffled writes b in pieces in any order.
func shuffled(b []byte) func(context.Context, io.WriterAt) error {
	return func(_ context.Context, w io.WriterAt) error {
		for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(len(b)/3000 + 1) {
			p := b[i*3000 : min((i+1)*3000, len(b))]
			if _, err := w.WriteAt(p, int64(i)*3000); err != nil {
				return err
			}
		}
		return nil
	}
}

// TestFill: images of all sizes are there after Release, and nothing bootable before.
func TestFill(t *testing.T) {
	for _, size := range []int{1, 100, HeadSize, HeadSize + 1, 1 << 20, windowSize, windowSize + 12345} {
		image := mirrortest.Noise(uint64(size), size)
		for name, write := range map[string]func(context.Context, io.WriterAt) error{
			"in order": inOrder(image), "shuffled": shuffled(image),
		} {
			s := &memory{b: mirrortest.Noise(1, 2*size)}
			var seen bytes.Buffer
			done := int64(0)
			h, err := Fill(t.Context(), s, imageOf(image), Options{
				InOrder:  name == "in order",
				ReadBack: func(p []byte, _ int64) { seen.Write(p) },
				Progress: func(n, _ int64) { done = n },
			}, write)
			if err != nil {
				t.Fatalf("%d bytes %s: %v", size, name, err)
			}
			all := make([]byte, size)
			if _, err := h.ReadAt(all, 0); err != nil || !bytes.Equal(all, image) || h.Size() != int64(size) {
				t.Errorf("%d bytes %s: the held image is another one: %v", size, name, err)
			}
			if s.bootable() || !s.synced || !bytes.Equal(seen.Bytes(), image) || done != int64(size) {
				t.Errorf("%d bytes %s: bootable %v, synced %v, %d bytes seen, told of %d",
					size, name, s.bootable(), s.synced, seen.Len(), done)
			}
			if (h.Busy() > 0) != (name == "in order") {
				t.Errorf("%d bytes %s: busy for %v", size, name, h.Busy())
			}
			if err := h.Release(); err != nil || !bytes.Equal(s.b, image) {
				t.Errorf("%d bytes %s: the slot does not hold the image: %v", size, name, err)
			}
		}
	}
}

// TestFillFails: what goes wrong is told apart, and leaves nothing bootable.
func TestFillFails(t *testing.T) {
	image := mirrortest.Noise(3, 300<<10)
	other := bytes.Clone(image)
	other[200<<10] ^= 1
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		slot  memory
		write func(context.Context, io.WriterAt) error
		order bool
		want  error
	}{
		"cannot begin":              {memory{beginError: syscall.ENOSPC}, inOrder(image), true, nospace.Err},
		"full":                      {memory{writeError: syscall.ENOSPC}, inOrder(image), true, nospace.Err},
		"write error":               {memory{writeError: syscall.EIO}, shuffled(image), false, syscall.EIO},
		"other image":               {memory{}, inOrder(other), true, ErrOtherImage},
		"other image, shuffled":     {memory{}, shuffled(other), false, ErrOtherImage},
		"shorter":                   {memory{}, inOrder(image[:100<<10]), true, ErrOtherImage},
		"longer":                    {memory{}, inOrder(append(bytes.Clone(image), 1)), true, ErrOtherImage},
		"medium at fault":           {memory{flip: 150 << 10}, inOrder(image), true, ErrVerify},
		"medium at fault, shuffled": {memory{flip: 150 << 10}, shuffled(image), false, ErrOtherImage},
		"the writer fails":          {memory{}, func(context.Context, io.WriterAt) error { return broken }, true, broken},
	} {
		s := tt.slot
		s.b = mirrortest.Noise(1, len(image))
		h, err := Fill(t.Context(), &s, imageOf(image), Options{InOrder: tt.order}, tt.write)
		if !errors.Is(err, tt.want) || h != nil {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if s.began > 0 && s.bootable() {
			t.Errorf("%s: the slot can be booted", name)
		}
	}
}

// TestReleaseFails: a head that the medium does not keep leaves nothing bootable.
func TestReleaseFails(t *testing.T) {
	image := mirrortest.Noise(3, 30<<10)
	s := &memory{deaf: true}
	h, err := Fill(t.Context(), s, imageOf(image), Options{InOrder: true}, inOrder(image))
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Release(); !errors.Is(err, ErrVerify) || s.bootable() || s.began != 2 {
		t.Errorf("%v, bootable %v, begun %d times", err, s.bootable(), s.began)
	}
}

// TestFront enters pieces in any order: all before the first gap is there.
func TestFront(t *testing.T) {
	f := newFront()
	for _, step := range []struct{ off, end, want int64 }{
		{10, 20, 0}, {20, 20, 0}, {30, 40, 0}, {0, 10, 20}, {20, 30, 40},
	} {
		if f.add(step.off, step.end); !f.reached(step.want) || f.reached(step.want+1) {
			t.Errorf("after %d to %d: not %d bytes are there", step.off, step.end, step.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.wait(ctx, 100); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with a context that ended: %v", err)
	}
}
