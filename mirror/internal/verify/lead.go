package verify

import (
	"context"
	"fmt"
	"io"

	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
	"deltaup/mkimage"
)

// Lead is both ends of a patch set: what it leads from, with contents, and what it leads to.
type Lead interface {
	// Apply reads the whole set as a target does, and demands that it gives all that it promises.
	// Nothing is written. progress is told of patchset.PhaseApply, when that takes long.
	Apply(ctx context.Context, s *Set, progress func(done, total int64)) error
}

// Apply holds the set in file against p, which a release says of it, and applies it.
func Apply(ctx context.Context, file io.ReaderAt, p *mirror.Patch, l Lead,
	progress func(done, total int64)) error {
	s, err := OpenSet(file, p)
	if err != nil {
		return err
	}
	return l.Apply(ctx, s, progress)
}

// ImageLead is the Lead of a patch set between images.
type ImageLead struct {
	From *mkimage.Recipe
	Old  patchset.Contents // of From
	To   chunkstore.ID     // hash of the text of the recipe that it leads to
}

// Apply implements Lead: the set has to give that recipe, too.
func (l *ImageLead) Apply(ctx context.Context, s *Set, progress func(done, total int64)) error {
	if s.Head.To != l.To {
		return fmt.Errorf("%w: it leads to the recipe %s", chunkstore.ErrCorrupt, s.Head.To)
	}
	step, err := s.Head.Step(l.From)
	if err != nil {
		return err
	}
	if err := s.applyAll(ctx, step, l.Old, progress); err != nil {
		return err
	}
	if err := s.openOthers(step); err != nil {
		return err
	}
	return step.Finish()
}

// BesideLead is the Lead of a patch set between artifacts beside an image.
type BesideLead struct {
	Kind  artifact.Kind
	From  artifact.Recipe
	Old   patchset.Contents // of From
	Image *mkimage.Recipe   // beside the artifact that the set leads to
	To    artifact.Recipe   // of that artifact; nil: it is not known
}

// Apply implements Lead: the set has to give To, too.
func (l *BesideLead) Apply(ctx context.Context, s *Set, _ func(done, total int64)) error {
	if len(s.Head.Groups) == 0 {
		return fmt.Errorf("%w: it is empty", chunkstore.ErrCorrupt)
	}
	first, err := s.stored(0)
	if err != nil {
		return err
	}
	set, err := artifact.Open(s.Head, l.Kind, l.From, l.Image)
	if err == nil {
		err = set.ReadRecipe(first)
	}
	if err != nil {
		return err
	}
	if l.To != nil {
		same, err := set.Gives(l.To)
		if err == nil && !same {
			err = fmt.Errorf("%w: it gives another recipe", chunkstore.ErrCorrupt)
		}
		if err != nil {
			return err
		}
	}
	known := map[chunkstore.ID]*chunkstore.Content{}
	for c := range l.From.Contents() {
		known[c.ID] = c
	}
	base := func(c *chunkstore.Content) (io.ReaderAt, error) { return l.Old.Open(ctx, known[c.ID]) }
	_, err = set.Apply(ctx, s.stored, base,
		func(*chunkstore.Content, []byte) error { return nil })
	if err != nil {
		return err
	}
	return s.openOthers(set.Step)
}
