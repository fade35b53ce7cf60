package device

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

	"deltaup/chunkstore"
	"deltaup/internal/durable"
	"deltaup/internal/idle"
	"deltaup/internal/medium"
	"deltaup/internal/plainfile"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
)

// ScrubOptions say what is read, and how quickly.
type ScrubOptions struct {
	Slot     string                                     // the only one to read; "": all that GRUB may boot
	Rate     int64                                      // bytes per second at most; 0: as quickly as an idle disk gives them
	Progress func(slot, what string, done, total int64) // may be nil
	Warning  func(string)                               // may be nil
}

// What a scrub reads of a slot.
const (
	ScrubImage  = "image"
	ScrubKernel = "kernel"
	ScrubInitrd = "initrd"
)

// scrubSize is how much is read at once.
const scrubSize = 1 << 20

// Scrub reads images, kernels and initrds from their media, past the page cache, whenever nobody
// else wants the disk, and holds them against the hashes that are remembered. What it found is
// remembered in turn, until the next scrub or until the slot is written anew: [Device.Status] and
// [Device.Doctor] tell it. Nothing that it reads is changed.
//
// An image of which no hash is known yet, since a factory has put it there, is taken to be right
// when it can be read. ErrBusy is wrapped when another scrub is under way. When ctx ends, what was
// found to be damaged until then is remembered.
func (d *Device) Scrub(ctx context.Context, o ScrubOptions) error {
	if err := durable.MkdirAll(d.state()); err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(d.state(), "scrub.lock"), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = fmt.Errorf("%w: a scrub", ErrBusy)
	}
	if err != nil {
		return err
	}
	defer unlock()
	idle.Do(func(err error) { o.warn(err) }, func() { err = d.scrubAll(ctx, o) })
	return err
}

func (o *ScrubOptions) warn(err error) {
	if o.Warning != nil {
		o.Warning(err.Error())
	}
}

func (d *Device) scrubAll(ctx context.Context, o ScrubOptions) error {
	state, err := d.counted()
	if err != nil && o.Slot == "" {
		o.warn(err) // no reason not to read the slots
	}
	read := 0
	for i := range d.Config.Slots {
		s := &d.Config.Slots[i]
		if o.Slot != "" && s.Name != o.Slot {
			continue
		}
		wanted, err := d.holdsSome(s, state, o.Slot != "")
		if err != nil {
			return err
		}
		if !wanted {
			continue
		}
		read++
		if err := d.scrubSlot(ctx, s, &o); err != nil {
			return err
		}
	}
	if read == 0 {
		return fmt.Errorf("%w that holds an image to read", ErrNoSlot)
	}
	return nil
}

// holdsSome tells whether a slot is read: GRUB may boot it, or it was asked for by name and holds
// something.
func (d *Device) holdsSome(s *config.Slot, state counted.State, named bool) (bool, error) {
	r, err := d.records()
	if err != nil {
		return false, err
	}
	rec := r.slot(s.Name)
	if !rec.Whole && !rec.Image.IsZero() { // it is being written, or that was cut off
		return false, nil
	}
	given := state.IsBad(s.Name) || state.FellBack() == s.Name
	return (named || !given) && (!rec.Image.IsZero() || exists(d.kernel(s))), nil
}

// scrubSlot reads one slot and remembers what it found, unless the slot was written meanwhile.
func (d *Device) scrubSlot(ctx context.Context, s *config.Slot, o *ScrubOptions) error {
	before, err := d.record(s.Name)
	if err != nil {
		return err
	}
	x := &scrubber{d: d, s: s, o: o, rec: before, result: ScrubResult{Image: before.Image, Order: before.Order, Damage: []Damage{}}}
	if before.Image.IsZero() {
		x.measureUnknown()
	}
	if o.Rate > 0 {
		x.limit = rate.NewLimiter(rate.Limit(o.Rate), scrubSize)
	}
	for _, file := range []func(context.Context) error{x.image, x.kernel, x.initrd} {
		if err = file(ctx); err != nil {
			break
		}
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("scrub slot %s: %w", s.Name, err)
	}
	if x.result.Complete = err == nil; err != nil && len(x.result.Damage) == 0 {
		return err // nothing new: what was known before still is
	}
	x.result.Time = time.Now().UTC().Truncate(time.Second)
	after, recordErr := d.record(s.Name)
	if recordErr != nil {
		return errors.Join(err, recordErr)
	}
	if !after.Image.IsZero() && (after.Image != x.result.Image || after.Order != before.Order || after.Whole != before.Whole && before.Whole) {
		o.warn(fmt.Errorf("slot %s was written while it was read: it is not judged", s.Name))
		return err
	}
	return errors.Join(err, d.keepScrub(s.Name, &x.result))
}

// record is a copy of what is known of a slot.
func (d *Device) record(slot string) (Record, error) {
	r, err := d.records()
	if err != nil {
		return Record{}, err
	}
	return *r.slot(slot), nil
}

// scrubber reads one slot.
type scrubber struct {
	d      *Device
	s      *config.Slot
	o      *ScrubOptions
	limit  *rate.Limiter // nil: none
	rec    Record
	result ScrubResult
}

// measureUnknown finds out how much there is to read when nothing is known of the slot: an image,
// or else all of it.
func (x *scrubber) measureUnknown() {
	f, image, end, err := openImage(x.d.path(x.s.Path))
	if err != nil {
		return // told when it is read
	}
	defer f.Close() // read only
	x.rec.Size = end
	if image != nil {
		x.rec.Size = min(end, (image.Info().BytesUsed+medium.Align-1)&^(medium.Align-1)) // images are padded to it
	}
}

// image reads the image.
func (x *scrubber) image(ctx context.Context) error {
	path := x.d.path(x.s.Path)
	kept, err := x.d.readSums(x.rec.Image, x.rec.Size)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !x.rec.Image.IsZero() {
		x.o.warn(fmt.Errorf("where an image in slot %s is damaged cannot be told: %w", x.s.Name, err))
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

// baseline remembers the hash of an image that somebody else has put there.
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
func (x *scrubber) file(ctx context.Context, what, path string, want chunkstore.ID) error {
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

// read reads size bytes of a file or device, -1 for all, and writes them to w: zeros for what
// cannot be read, which is the damage that it tells.
func (x *scrubber) read(ctx context.Context, what, path string, size int64, w io.Writer) (Damage, chunkstore.ID, error) {
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
		out.Write(buf[:n])
		if off += int64(n); err != nil {
			break
		}
		if x.o.Progress != nil {
			x.o.Progress(x.s.Name, what, off, size)
		}
		if damage.hopeless() {
			damage.Error = cmp.Or(damage.Error, fmt.Sprintf("reading ended at %d of %d bytes: too much of it cannot be read", off, size))
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
