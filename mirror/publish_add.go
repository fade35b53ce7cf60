package mirror

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"deltaup/chunkstore"
	"deltaup/internal/durable"
)

// add writes everything that a new release needs and then the release file.
func (u *publisher) add(ctx context.Context, in *inputs, done *Published) error {
	s, err := u.newStoring(in, done)
	if err != nil {
		return err
	}
	defer s.batch.Abort()
	var image *durable.File
	if in.recipe != nil {
		// The copy on the mirror is the rebuilt image, which thereby is proven to be the same.
		if image, err = durable.Create(u.tmp); err != nil {
			return err
		}
		defer image.Discard()
		src, err := u.verify(ctx, in, image)
		if err != nil {
			return err
		}
		if err := sameFile(ctx, image.Name(), in.files[0]); err != nil {
			return err
		}
		if err := s.image(ctx, in.recipe, src); err != nil {
			return err
		}
	}
	for _, f := range in.files {
		if f.kind == KindRaw {
			if err := s.raw(ctx, f); err != nil {
				return err
			}
		}
	}
	if err := s.commit(); err != nil {
		return err
	}
	if image != nil {
		if err := u.commitImage(image, in.files[0].object); err != nil {
			return err
		}
	}
	done.Release, err = u.writeRelease(in, s)
	return err
}

// sameFile holds what was built against the image that is published.
func sameFile(ctx context.Context, built string, image *input) error {
	f, err := os.Open(built)
	if err != nil {
		return err
	}
	defer f.Close()
	id, err := hashReader(ctx, f, nil)
	if err != nil {
		return err
	}
	if id != image.object.ID {
		return fmt.Errorf("%s: %w: the recipe builds other bytes than the image has", image.f.Name(), ErrMismatch)
	}
	return nil
}

func (u *publisher) commitImage(image *durable.File, o Object) error {
	path := u.path(ImagePath(o.ID))
	if info, err := os.Stat(path); err == nil && info.Size() == o.Size {
		return nil
	}
	return image.Commit(path)
}

// writeRelease writes recipe, index and, as the last, the release file.
func (u *publisher) writeRelease(in *inputs, s *storing) (*Release, error) {
	r := &Release{Version: u.p.Version, Compatible: u.p.Compatible}
	for _, f := range in.files {
		a := Artifact{Name: f.name, Kind: f.kind, Object: f.object}
		if f.kind == KindSquashfs {
			stored, o, err := encodeRecipe(in.plain)
			if err != nil {
				return nil, err
			}
			if _, err := o.Decode(stored); err != nil {
				return nil, fmt.Errorf("read back: %w", err)
			}
			if err := u.write(RecipePath(o.ID), stored); err != nil {
				return nil, err
			}
			a.Recipe = &o
		}
		r.Artifacts = append(r.Artifacts, a)
	}
	index, err := s.index(in.recipe)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	r.Index = Object{ID: chunkstore.Sum(index), Size: int64(len(index))}
	if err := u.write(IndexPath(r.Index.ID), index); err != nil {
		return nil, err
	}
	b, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	if r, err = ParseRelease(b); err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	return r, u.write(ReleasePath(r.Version), b)
}

// write makes a small file durable under its name, unless it is there with these bytes.
func (u *publisher) write(name string, b []byte) error {
	path := u.path(name)
	if old, err := readSmall(path, int64(len(b))); err == nil && bytes.Equal(old, b) {
		return nil
	}
	return durable.WriteFile(u.tmp, path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}
