package verify

import (
	"context"
	"fmt"
	"io"
	"slices"

	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// Old is what a target has that takes apart an artifact of an old release: a patch set may lead
// from it.
type Old struct {
	Recipe   artifact.Recipe
	Contents patchset.Contents // of Recipe
	temp     Temp              // nil: the contents come out of packs
}

// Temp is a temporary file that one goroutine writes and several may read then. A mirror.Draft is
// one.
type Temp interface {
	io.Writer
	artifact.Spool
	Discard()
}

// Close frees what the contents take.
func (o *Old) Close() {
	if o.temp != nil {
		o.temp.Discard()
	}
}

// OldReader reads old releases.
type OldReader struct {
	Files mirror.Files
	Packs patchset.Contents
	Temp  func(context.Context) (Temp, error) // makes one
}

// Beside takes apart artifact a of the release r. The recipe on the mirror mostly says what that
// gives. Else the file itself is taken apart: of a raw artifact, and of one with parts of which a
// target may have more than a publisher can make again.
func (x *OldReader) Beside(ctx context.Context, r *mirror.Release, a *mirror.Artifact) (*Old, error) {
	if a.Kind == mirror.KindRaw {
		c, err := rawContent(ctx, x.Files, r, a)
		if err != nil {
			return nil, err
		}
		f, err := x.Packs.Open(ctx, c)
		if err != nil {
			return nil, err
		}
		defer f.Close() // read only
		return x.takeApart(ctx, io.NewSectionReader(f, 0, c.Size), r, a)
	}
	recipe, err := beside(ctx, x.Files, r, a)
	if err != nil {
		return nil, err
	}
	if !recipe.Partial() {
		return &Old{Recipe: recipe, Contents: x.Packs}, nil
	}
	file, err := x.Temp(ctx)
	if err != nil {
		return nil, err
	}
	defer file.Discard()
	size, err := recipe.Build(ctx, ContentSource{x.Packs}, file)
	if err != nil {
		return nil, err
	}
	return x.takeApart(ctx, io.NewSectionReader(file, 0, size), r, a)
}

// takeApart does what a target does.
func (x *OldReader) takeApart(ctx context.Context, f artifact.File, r *mirror.Release,
	a *mirror.Artifact) (*Old, error) {
	whole, err := x.inImage(ctx, r, a.ID)
	if err != nil {
		return nil, err
	}
	temp, err := x.Temp(ctx)
	if err != nil {
		return nil, err
	}
	recipe, src, err := artifact.TakeApart(ctx, a.Name, f,
		artifact.Options{Spool: temp, Seed: true, Whole: whole})
	if err != nil {
		temp.Discard()
		return nil, err
	}
	return &Old{recipe, takenContents{src}, temp}, nil
}

// inImage tells whether a release's image has a content.
func (x *OldReader) inImage(ctx context.Context, r *mirror.Release,
	id chunkstore.ID) (bool, error) {
	image := r.Artifact(mirror.ImageName)
	if image == nil || image.Recipe == nil {
		return false, nil
	}
	recipe, err := mirror.ReadRecipe(ctx, x.Files, image.Recipe)
	if err != nil {
		return false, err
	}
	for c := range recipe.Contents() {
		if c.ID == id {
			return true, nil
		}
	}
	return false, nil
}

// rawContent finds a raw artifact in its release's index.
func rawContent(ctx context.Context, files mirror.Files, r *mirror.Release,
	a *mirror.Artifact) (*chunkstore.Content, error) {
	stored, err := mirror.ReadVerified(ctx, files, mirror.IndexPath(r.Index.ID), r.Index,
		mirror.MaxIndexSize)
	if err != nil {
		return nil, err
	}
	index, err := chunkstore.ParseIndex(stored)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(index.Raw, func(l chunkstore.RawList) bool {
		return l.Name == a.Name && l.Content.ID == a.ID
	})
	if i < 0 {
		return nil, fmt.Errorf("artifact %s: %w: not in the index", a.Name, chunkstore.ErrCorrupt)
	}
	return &index.Raw[i].Content, nil
}

// takenContents opens contents of an artifact that was taken apart.
type takenContents struct{ mkimage.Source }

// Open implements patchset.Contents.
func (s takenContents) Open(ctx context.Context, c *chunkstore.Content) (patchset.Reading, error) {
	r, err := s.Source.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return r.(patchset.Reading), nil // as artifact.Kind says
}

// ContentSource gives contents to who builds. It is a mkimage.Source.
type ContentSource struct{ Contents patchset.Contents }

// Open implements mkimage.Source.
func (s ContentSource) Open(ctx context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	r, err := s.Contents.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(r, 0, c.Size), r}, nil
}
