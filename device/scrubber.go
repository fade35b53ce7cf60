package device

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"golang.org/x/time/rate"

	"deltaup/chunkstore"
	"deltaup/internal/medium"
	"deltaup/internal/plainfile"
	"deltaup/slotboot/config"
)

// scrubSize is how much is read at once.
const scrubSize = 1 << 20

// scrubber reads one slot.
type scrubber struct {
	d      *Device
	s      *config.Slot
	o      *ScrubOptions
	limit  *rate.Limiter // nil: none
	rec    Record
	result ScrubResult
}

// measureUnknown sets how much is read of a slot that somebody else filled: its image, or all of
// the slot when no image is found.
func (x *scrubber) measureUnknown() {
	f, image, end, err := openImage(x.d.path(x.s.Path))
	if err != nil {
		return // told when it is read
	}
	defer f.Close() // read only
	x.rec.Size = end
	if image != nil {
		// images are padded to it
		x.rec.Size = min(end, (image.Info().BytesUsed+medium.Align-1)&^(medium.Align-1))
	}
}

// image reads the image.
func (x *scrubber) image(ctx context.Context) error {
	path := x.d.path(x.s.Path)
	kept, err := x.d.readSums(x.rec.Image, x.rec.Size)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !x.rec.Image.IsZero() {
		x.o.warn(fmt.Errorf("where an image in slot %s is damaged cannot be told: %w",
			x.s.Name, err))
	}
	now := newSummer()
	damage, id, err := x.read(ctx, ScrubImage, path, x.rec.Size, now)
	sums := now.done()
	wrong := !x.rec.Image.IsZero() && id != x.rec.Image
	if (wrong || err != nil) && kept != nil {
		damage.compare(kept, sums)
	}
	if damage.any() || err == nil && wrong {
		damage.Files = affected(path, x.rec.Size, damage.Ranges)
		x.add(damage)
		return err
	}
	if err != nil {
		return err
	}
	if x.rec.Image.IsZero() {
		if err := x.baseline(id); err != nil {
			return err
		}
	}
	if kept == nil || kept.differs(sums) {
		return x.d.keepSums(x.result.Image, sums)
	}
	return nil
}

// baseline remembers the hash of an image that somebody else put there.
func (x *scrubber) baseline(id chunkstore.ID) error {
	if x.rec.Size == 0 {
		return nil
	}
	x.result.Image = id
	return x.d.changeRecords(func(r *records) error {
		if rec := r.slot(x.s.Name); rec.Image.IsZero() {
			rec.Image, rec.Size, rec.Whole = id, x.rec.Size, true
		}
		return nil
	})
}

func (x *scrubber) kernel(ctx context.Context) error {
	return x.file(ctx, ScrubKernel, x.d.kernel(x.s), x.rec.KernelID)
}

func (x *scrubber) initrd(ctx context.Context) error {
	return x.file(ctx, ScrubInitrd, x.d.initrd(x.s), x.rec.InitrdID)
}

// file reads a kernel or an initrd; want is zero when it is not known.
func (x *scrubber) file(ctx context.Context, what Scrubbed, path string, want chunkstore.ID) error {
	damage, id, err := x.read(ctx, what, path, -1, io.Discard)
	if damage.any() || err == nil && !want.IsZero() && id != want {
		x.add(damage)
	}
	return err
}

func (x *scrubber) add(d Damage) {
	d.bound()
	x.result.Damage = append(x.result.Damage, d)
}

// read reads size bytes of a file or device, -1 for all, and writes them to w. What it cannot read
// is the damage that it gives, and zeros for w.
func (x *scrubber) read(ctx context.Context, what Scrubbed, path string, size int64,
	w io.Writer) (Damage, chunkstore.ID, error) {
	damage := Damage{What: what, Path: path}
	f, err := plainfile.OpenDevice(path)
	if err != nil {
		damage.Error = err.Error()
		return damage, chunkstore.ID{}, nil
	}
	defer f.Close() // read only
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return damage, chunkstore.ID{}, err
	}
	if size < 0 {
		size = end
	}
	if end < size {
		damage.Error = fmt.Sprintf("it has %d bytes, not %d", end, size)
		size = end
	}
	direct := medium.NewReader(f)
	r := &medium.Salvage{R: direct, Size: end, Bad: func(off, n int64, err error) {
		damage.unreadable(off, min(n, size-off), err)
	}}
	h := chunkstore.NewHasher()
	out := io.MultiWriter(w, h)
	buf := medium.Buffer(scrubSize)
	for off := int64(0); off < size; {
		if err = x.wait(ctx, min(scrubSize, size-off)); err != nil {
			break
		}
		var n int
		n, err = r.ReadAt(buf, off)
		if n = int(min(int64(n), size-off)); err == io.EOF {
			err = nil
		}
		if err == nil && n == 0 {
			err = io.ErrUnexpectedEOF
		}
		if _, e := out.Write(buf[:n]); err == nil {
			err = e
		}
		if off += int64(n); err != nil {
			break
		}
		if x.o.Progress != nil {
			x.o.Progress(x.s.Name, string(what), off, size)
		}
		if damage.hopeless() {
			if damage.Error == "" {
				damage.Error = fmt.Sprintf(
					"reading ended at %d of %d bytes: too much of it cannot be read", off, size)
			}
			break
		}
	}
	if closeErr := direct.Close(); err == nil {
		err = closeErr
	}
	return damage, h.ID(), err
}

// wait returns when n more bytes may be read.
func (x *scrubber) wait(ctx context.Context, n int64) error {
	if x.limit == nil {
		return ctx.Err()
	}
	return x.limit.WaitN(ctx, int(n))
}
