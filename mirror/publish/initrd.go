package publish

import (
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/internal/durable"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// initrdInput is an initrd that was taken apart.
type initrdInput struct {
	recipe *initrd.Recipe
	source mkimage.Source
	spool  *durable.File // what source reads
}

// takeApart makes the artifact named initrd one that is rebuilt, if it can be taken apart. What is
// published then is the initrd that its recipe builds.
func (u *publisher) takeApart(ctx context.Context, in *inputs) error {
	if in.recipe == nil {
		return nil
	}
	for _, f := range in.files {
		if f.name != mirror.InitrdName {
			continue
		}
		var err error
		in.initrd, err = u.newInitrd(ctx, f, in.recipe)
		if errors.Is(err, initrd.ErrUnsupported) {
			in.warnings = append(in.warnings,
				fmt.Sprintf("%s is published as it is: %v", f.f.Name(), err))
			return nil
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.f.Name(), err)
		}
		f.kind = mirror.KindInitrd
		if f.object, err = u.buildInitrd(ctx, in.initrd); err != nil {
			return fmt.Errorf("%s: %w", f.f.Name(), err)
		}
	}
	return nil
}

func (u *publisher) newInitrd(ctx context.Context, f *input,
	image *mkimage.Recipe) (_ *initrdInput, err error) {
	spool, err := durable.Create(u.tmp)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			spool.Discard()
		}
	}()
	recipe, source, err := initrd.NewRecipe(
		ctx,
		io.NewSectionReader(f.f, 0, f.object.Size),
		initrd.Options{
			Level: levelOf(image), Chunking: image.Chunking, Spool: spool,
		},
	)
	if err != nil {
		return nil, err
	}
	return &initrdInput{recipe: recipe, source: source, spool: spool}, nil
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

// buildInitrd builds the initrd and proves that the recipe is one of what was built.
func (u *publisher) buildInitrd(ctx context.Context, x *initrdInput) (mirror.Object, error) {
	f, err := durable.Create(u.tmp)
	if err != nil {
		return mirror.Object{}, err
	}
	defer f.Discard()
	w := verify.NewWriter(f)
	stats, err := initrd.Build(ctx, x.recipe, x.source, w, initrd.BuildOptions{})
	if err != nil {
		return mirror.Object{}, err
	}
	if err := x.recipe.Verify(ctx, io.NewSectionReader(f, 0, stats.Size)); err != nil {
		return mirror.Object{}, fmt.Errorf("take apart what was built: %w", err)
	}
	return mirror.Object{ID: w.ID(), Size: stats.Size}, nil
}

// initrd stores the chunks of what the image lacks.
func (s *storing) initrd(ctx context.Context, x *initrdInput, image *mkimage.Recipe) error {
	buf := make([]byte, image.Chunking.Max)
	for c := range mirror.InitrdContents(x.recipe, image) {
		if err := s.content(ctx, c, x.source, buf); err != nil {
			return fmt.Errorf("store content %s of the initrd: %w", c.ID, err)
		}
	}
	return nil
}

// writeInitrd writes the recipe of the initrd, and where the chunks lie that the image lacks.
func (u *publisher) writeInitrd(r *mirror.Release, in *inputs, s *storing) error {
	stored, o, err := mirror.EncodeInitrdRecipe(in.initrd.recipe, in.recipe)
	if err != nil {
		return err
	}
	back, err := o.DecodeInitrd(stored, in.recipe)
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	a := r.Artifact(mirror.InitrdName)
	a.Recipe = &o
	if err := u.write(mirror.RecipePath(o.ID), stored); err != nil {
		return err
	}
	chunks := mirror.InitrdChunks(back, in.recipe)
	if len(chunks) == 0 {
		return nil
	}
	x, err := s.folder.Index(chunks, nil)
	if err != nil {
		return err
	}
	file, err := x.MarshalBinary()
	if err != nil {
		return err
	}
	index := mirror.ObjectOf(file)
	a.Index = &index
	s.out.Chunks += len(chunks)
	return u.write(mirror.IndexPath(index.ID), file)
}
