package device

import (
	"errors"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/internal/plainfile"
	"deltaup/mirror"
	"deltaup/mkimage/squashfs"
	"deltaup/slotboot/config"
)

// runs tells whether the machine runs from the image. It reads a slot that somebody else filled,
// once.
func (d *Device) runs(booted string, r *records, version string,
	image mirror.Object) (bool, error) {
	s := d.Config.Slot(booted)
	if s == nil {
		return false, nil
	}
	if rec := r.slot(booted); !rec.Image.IsZero() {
		if rec.Image != image.ID || rec.Version != "" {
			return rec.Image == image.ID, nil
		}
		return true, d.changeRecords(func(r *records) error {
			r.slot(booted).Version = version
			return nil
		})
	}
	id, size, err := d.identify(s, image.Size)
	if err != nil || id != image.ID {
		return false, err
	}
	return true, d.changeRecords(func(r *records) error {
		rec := r.slot(booted)
		rec.Version, rec.Image, rec.Size, rec.Whole = version, id, size, true
		return nil
	})
}

// identify hashes the image in a slot. The id is zero when there is none, or when its size is
// another than want (0: any).
func (d *Device) identify(s *config.Slot, want int64) (id chunkstore.ID, size int64, err error) {
	f, err := plainfile.OpenDevice(d.path(s.Path))
	if err != nil {
		return id, 0, err
	}
	defer f.Close() // read only
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return id, 0, err
	}
	image, err := squashfs.Open(f, end)
	if errors.Is(err, squashfs.ErrCorrupt) || errors.Is(err, squashfs.ErrUnsupported) {
		return id, 0, nil
	}
	if err != nil {
		return id, 0, fmt.Errorf("slot %s: %w", s.Name, err)
	}
	const align = 4 << 10 // images are padded to it
	size = (image.Info().BytesUsed + align - 1) &^ (align - 1)
	if size > end || want > 0 && size != want {
		return id, size, nil
	}
	h := chunkstore.NewHasher()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, size)); err != nil {
		return id, 0, fmt.Errorf("slot %s: %w", s.Name, err)
	}
	return h.ID(), size, nil
}
