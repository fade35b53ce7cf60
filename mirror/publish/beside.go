package publish

import (
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// apart is an artifact that was taken apart, to be rebuilt beside the image.
type apart struct {
	kind   artifact.Kind
	recipe artifact.Recipe
	source mkimage.Source
	spool  mirror.Draft         // what source reads
	same   bool                 // it is built as it was
	whole  []chunkstore.RawList // the file itself, for those who can't build it
}

// takeApart makes each artifact that has the name of a kind one that is rebuilt, if it can be taken
// apart. What is published then is what its recipe builds.
func (u *publisher) takeApart(ctx context.Context, in *inputs) error {
	if in.recipe == nil {
		return nil
	}
	has := map[chunkstore.ID]bool{}
	for c := range in.recipe.Contents() {
		has[c.ID] = true
	}
	for _, f := range in.files[1:] {
		if f.file.Raw {
			continue
		}
		o := artifact.Options{
			Level: levelOf(in.recipe), Chunking: in.recipe.Chunking, Whole: has[f.object.ID],
			Warn: func(text string) { in.warnings = append(in.warnings, f.f.Name()+": "+text) },
		}
		for _, k := range artifact.For(f.name) {
			x, err := u.newApart(ctx, f, k, o)
			if errors.Is(err, artifact.ErrUnsupported) {
				if !errors.Is(err, artifact.ErrForeign) {
					in.warnings = append(in.warnings,
						fmt.Sprintf("%s is published as it is: %v", f.f.Name(), err))
				}
				continue
			}
			if err == nil {
				f.apart, f.kind = x, k.Name()
				was := f.object
				f.object, err = u.build(ctx, x)
				x.same = f.object == was
			}
			if err != nil {
				return fmt.Errorf("%s: %w", f.f.Name(), err)
			}
			break
		}
	}
	return nil
}

func (u *publisher) newApart(ctx context.Context, f *input, k artifact.Kind,
	o artifact.Options) (_ *apart, err error) {
	spool, err := u.store.Create(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			spool.Discard()
		}
	}()
	x := &apart{kind: k, spool: spool}
	o.Spool = spool
	x.recipe, x.source, err = k.TakeApart(ctx, io.NewSectionReader(f.f, 0, f.object.Size), o)
	if err != nil {
		return nil, err
	}
	return x, nil
}

// levelOf names the level of an image's codec, "" when it is not known.
func levelOf(image *mkimage.Recipe) string {
	for _, level := range mkimage.Levels() {
		if id, err := mkimage.CodecFor(level); err == nil && id == image.Codec {
			return level
		}
	}
	return ""
}

// build builds the artifact and proves that the recipe is one of what was built.
func (u *publisher) build(ctx context.Context, x *apart) (mirror.Object, error) {
	f, err := u.store.Create(ctx)
	if err != nil {
		return mirror.Object{}, err
	}
	defer f.Discard()
	h := chunkstore.NewHasher()
	size, err := x.recipe.Build(ctx, x.source, io.MultiWriter(f, h))
	if err != nil {
		return mirror.Object{}, err
	}
	if err := x.recipe.Verify(ctx, io.NewSectionReader(f, 0, size)); err != nil {
		return mirror.Object{}, fmt.Errorf("take apart what was built: %w", err)
	}
	return mirror.Object{ID: h.ID(), Size: size}, nil
}

// beside stores the chunks of what the image lacks.
func (s *storing) beside(ctx context.Context, x *apart, image *mkimage.Recipe) error {
	buf := make([]byte, image.Chunking.Max)
	for c := range artifact.Own(x.recipe, image) {
		if err := s.content(ctx, c, x.source, buf); err != nil {
			return fmt.Errorf("store content %s of the %s: %w", c.ID, x.kind.Name(), err)
		}
	}
	return nil
}

// fallback stores the chunks of the file itself, unless it is a content anyway.
func (s *storing) fallback(ctx context.Context, f *input) error {
	for c := range f.apart.recipe.Contents() {
		if c.ID == f.object.ID {
			return nil
		}
	}
	c, err := s.file(ctx, f, f.apart.recipe.Chunking())
	if err != nil {
		return err
	}
	f.apart.whole = []chunkstore.RawList{{Name: f.name, Content: c}}
	return nil
}

// writeBeside writes the recipe of artifact a, and where the chunks lie that the image lacks.
func (u *publisher) writeBeside(ctx context.Context, a *mirror.Artifact, x *apart,
	image *mkimage.Recipe,
	s *storing) error {
	stored, o, err := mirror.EncodeBeside(x.kind, x.recipe, image)
	if err != nil {
		return err
	}
	a.Recipe = &o
	back, err := a.DecodeBeside(stored, image)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if err := u.write(ctx, mirror.RecipePath(o.ID), stored); err != nil {
		return err
	}
	chunks := artifact.OwnChunks(back, image)
	if len(chunks) == 0 && len(x.whole) == 0 {
		return nil
	}
	index, err := s.folder.Index(chunks, x.whole)
	if err != nil {
		return err
	}
	file, err := index.MarshalBinary()
	if err != nil {
		return err
	}
	object := mirror.ObjectOf(file)
	a.Index = &object
	s.out.Chunks += len(chunks)
	return u.write(ctx, mirror.IndexPath(object.ID), file)
}
