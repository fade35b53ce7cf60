package publish

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage/blockmap"
)

// add writes everything that a new release needs and then the release file.
func (u *publisher) add(ctx context.Context, in *inputs, done *Result) error {
	s, err := u.newStoring(ctx, in, done)
	if err != nil {
		return err
	}
	defer s.batch.Abort()
	var image mirror.Draft
	var open *opened
	if in.recipe != nil {
		// The copy on the mirror is the rebuilt image, which thereby is proven to be the same.
		if image, err = u.store.Create(ctx); err != nil {
			return err
		}
		defer image.Discard()
		if open, err = u.verify(ctx, in, image); err != nil {
			return err
		}
		if err := sameFile(ctx, image, in.files[0]); err != nil {
			return err
		}
		if err := s.image(ctx, in.recipe, open.source); err != nil {
			return err
		}
	}
	for _, f := range in.files {
		if f.kind == mirror.KindRaw {
			if err := s.raw(ctx, f); err != nil {
				return err
			}
		}
	}
	for _, f := range in.files {
		if f.apart != nil {
			if err := s.beside(ctx, f.apart, in.recipe); err != nil {
				return err
			}
		}
		if f.fallsBack() {
			if err := s.fallback(ctx, f); err != nil {
				return err
			}
		}
	}
	if err := s.commit(); err != nil {
		return err
	}
	if image != nil {
		if err := u.commitFile(ctx, image, mirror.ImagePath(in.files[0].object.ID),
			in.files[0].object); err != nil {
			return err
		}
	}
	done.Release, err = u.release(ctx, in, s, open)
	return err
}

// sameFile holds what was built against the image that is published.
func sameFile(ctx context.Context, built io.ReaderAt, image *input) error {
	id, err := verify.Hash(ctx, io.NewSectionReader(built, 0, image.object.Size), nil)
	if err != nil {
		return err
	}
	if id != image.object.ID {
		return fmt.Errorf("%s: %w: the recipe builds other bytes than the image has",
			image.f.Name(), ErrMismatch)
	}
	return nil
}

// commitFile gives a file its name on the mirror, unless it is there. A damaged one is replaced.
func (u *publisher) commitFile(ctx context.Context, f mirror.Draft, name string,
	o mirror.Object) error {
	err := u.intact(ctx, name, o)
	if err == nil || ctx.Err() != nil {
		return err
	}
	return f.Commit(ctx, name)
}

// intact holds a file of the mirror against its size and hash. Errors say what is wrong, or are the
// context's.
func (u *publisher) intact(ctx context.Context, name string, o mirror.Object) error {
	f, err := u.store.Open(ctx, name)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	if f.Size() != o.Size {
		return fmt.Errorf("has %d of %d bytes", f.Size(), o.Size)
	}
	id, err := verify.Hash(ctx, io.NewSectionReader(f, 0, o.Size), nil)
	if err == nil && id != o.ID {
		err = fmt.Errorf("has the hash %s", id)
	}
	return err
}

// release writes what describes the release and, as the last, the release file.
func (u *publisher) release(ctx context.Context, in *inputs, s *storing,
	open *opened) (*mirror.Release, error) {
	r := &mirror.Release{Version: u.p.Version, Compatible: u.p.Compatible}
	for _, f := range in.files {
		r.Artifacts = append(r.Artifacts, mirror.Artifact{Name: f.name, Kind: f.kind,
			Object: f.object})
	}
	at, err := u.writeIndex(ctx, r, in, s)
	if err != nil {
		return nil, err
	}
	for i, f := range in.files {
		if f.apart == nil {
			continue
		}
		if err := u.writeBeside(ctx, &r.Artifacts[i], f.apart, in.recipe, s); err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	r.Previous = u.previous(ctx, s.out)
	if open != nil {
		if err := u.writeRecipe(ctx, r, in.plain); err != nil {
			return nil, err
		}
		blocks, err := u.writeBlockmap(ctx, r, open)
		if err != nil {
			return nil, err
		}
		p := &patching{u: u, to: in.recipe, folder: s.folder, work: newWork(u.p.Progress), out: s.out}
		before := u.before(ctx, r.Previous, s.out)
		toImage := &imageGoal{
			patching: p, text: r.Artifact(mirror.ImageName).Recipe.Text,
			new: patchset.FromImage(open.contents), blocks: blocks, chunks: at,
			meta: mirror.LeftOutCost(r),
		}
		p.expect(ctx, before, toImage)
		var beside []*besideGoal
		for i, f := range in.files {
			if f.apart != nil {
				g := &besideGoal{p, &r.Artifacts[i], f.apart, map[chunkstore.ID]*verify.Old{}}
				defer g.close()
				p.expect(ctx, before, g)
				beside = append(beside, g)
			}
		}
		if r.Patches, err = p.all(ctx, before, toImage); err != nil {
			return nil, err
		}
		for _, g := range beside {
			if g.artifact.Patches, err = p.all(ctx, before, g); err != nil {
				return nil, err
			}
		}
	}
	b, err := r.Marshal()
	if err != nil {
		return nil, err
	}
	if r, err = mirror.ParseRelease(b); err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	return r, u.write(ctx, mirror.ReleasePath(r.Version), b)
}

// writeIndex returns where all chunks of the release lie.
func (u *publisher) writeIndex(ctx context.Context, r *mirror.Release, in *inputs,
	s *storing) (map[chunkstore.ID]chunkstore.Location, error) {
	index, at, err := s.index(in.recipe)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	r.Index = mirror.ObjectOf(index)
	return at, u.write(ctx, mirror.IndexPath(r.Index.ID), index)
}

func (u *publisher) writeRecipe(ctx context.Context, r *mirror.Release, plain []byte) error {
	stored, o, err := mirror.EncodeRecipe(plain)
	if err != nil {
		return err
	}
	if _, err := o.Decode(stored); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	r.Artifact(mirror.ImageName).Recipe = &o
	return u.write(ctx, mirror.RecipePath(o.ID), stored)
}

func (u *publisher) writeBlockmap(ctx context.Context, r *mirror.Release,
	open *opened) (*blockmap.Map, error) {
	image := r.Artifact(mirror.ImageName)
	blocks, err := blockmap.Make(ctx, open.image, open.file, image.Size)
	if err != nil {
		return nil, err
	}
	file, err := blocks.MarshalBinary()
	if err != nil {
		return nil, err
	}
	if blocks, err = blockmap.Parse(file, image.Size); err != nil {
		return nil, fmt.Errorf("read back: %w", err)
	}
	o := mirror.ObjectOf(file)
	if o.Size > mirror.MaxBlockmapSize {
		return nil, fmt.Errorf("block map of %d bytes is over the limit of %d", o.Size,
			mirror.MaxBlockmapSize)
	}
	image.Blockmap = &o
	return blocks, u.write(ctx, mirror.BlockmapPath(o.ID), file)
}

// write makes a small file durable under its name, unless it is there with these bytes.
func (u *publisher) write(ctx context.Context, name string, b []byte) error {
	old, err := mirror.ReadFile(ctx, u.store, name, int64(len(b)))
	if err == nil && bytes.Equal(old, b) {
		return nil
	}
	return u.store.Write(ctx, name, b)
}
