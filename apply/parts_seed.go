package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"deltaup/apply/internal/nospace"
	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/internal/durable"
	"deltaup/mkimage"
)

// unpacked is a seed that is an artifact of a kind and was taken apart. Its spool, a file in the
// state folder, has what no image among the seeds has: next to nothing when one of them is the
// image that the artifact belongs to.
type unpacked struct {
	name   string // of the artifacts that it is taken apart for
	recipe artifact.Recipe
	source mkimage.Source              // of what is in the spool
	images func(id chunkstore.ID) bool // tells whether an image among the seeds has a content
	whole  bool                        // one of them has the artifact as a content
	spool  *durable.File
	own    chunkstore.ContentTable // what is in the spool
}

// unpack takes apart the seeds that are of a kind that one of the outputs may have, with spools in
// the folder tmp; others stay what they are.
func (s *seeds) unpack(ctx context.Context, wanted []*output, tmp string) error {
	images := func(id chunkstore.ID) bool {
		return slices.ContainsFunc(s.list,
			func(seed *seed) bool { return seed.derived != nil && seed.has(id) })
	}
	for _, o := range wanted {
		for _, seed := range s.list {
			if seed.derived != nil || seed.apart != nil {
				continue
			}
			if err := seed.unpack(ctx, o.artifact.Name, images, tmp); err != nil {
				return err
			}
		}
	}
	return nil
}

// unpack takes the seed apart, if a set may lead from it to an artifact with a name. Images tells
// which contents need no spool.
func (s *seed) unpack(ctx context.Context, name string, images func(chunkstore.ID) bool,
	tmp string) error {
	spool, err := durable.Create(tmp)
	if err != nil {
		return nospace.Mark(fmt.Errorf("state folder: %w", err))
	}
	x := &unpacked{name: name, images: images, spool: spool}
	x.whole = images(s.raw.ID)
	if err = x.read(ctx, s.f.section(), s.params); err == nil {
		s.apart = x
		return nil
	}
	spool.Discard()
	if !errors.Is(err, artifact.ErrUnsupported) {
		return nospace.Mark(fmt.Errorf("seed %s: %w", s.path, err))
	}
	return nil
}

// read takes the seed apart and cuts its contents by params.
func (x *unpacked) read(ctx context.Context, f artifact.File, params chunkstore.Params) (err error) {
	x.recipe, x.source, err = artifact.TakeApart(ctx, x.name, f, artifact.Options{
		Chunking: params, Spool: x.spool,
		Keep: func(c *chunkstore.Content) bool { return !x.images(c.ID) },
		Seed: true, Whole: x.whole,
	})
	if err != nil {
		return err
	}
	x.own = chunkstore.ContentTable{}
	x.contents(func(c *chunkstore.Content) { x.own.Add(c) })
	return nil
}

// contents calls fn for every content in the spool.
func (x *unpacked) contents(fn func(c *chunkstore.Content)) {
	for c := range x.recipe.Contents() {
		if !x.images(c.ID) {
			fn(c)
		}
	}
}

// file opens a content in the spool.
func (x *unpacked) file(ctx context.Context, id chunkstore.ID) (io.ReaderAt, error) {
	for c := range x.recipe.Contents() {
		if c.ID != id {
			continue
		}
		r, err := x.source.Open(ctx, c)
		if err != nil {
			return nil, err
		}
		return r.(io.ReaderAt), nil // as TakeApart says
	}
	return nil, fmt.Errorf("content %v: %w", id, chunkstore.ErrNotFound)
}

// fileOf opens a content that a seed has, whether it is needed as it is or as a base only.
func (s *seeds) fileOf(ctx context.Context, id chunkstore.ID) (io.ReaderAt, error) {
	for _, seed := range s.list {
		has := false
		seed.contents(func(c *chunkstore.Content) { has = has || c.ID == id })
		if !has {
			continue
		}
		f, err := seed.file(ctx, id)
		if err != nil {
			return nil, seed.changed(err)
		}
		return &seedFile{seed, f}, nil
	}
	return nil, fmt.Errorf("content %v: %w in the seeds", id, chunkstore.ErrNotFound)
}
