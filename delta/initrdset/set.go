package initrdset

import (
	"context"
	"fmt"
	"io"
	"slices"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// Set is a set together with the recipe that its first group gives.
type Set struct {
	// Recipe is the new initrd's. Contents have the chunks that they have in the image, when these
	// are known; all others have a list of the right size that nothing can be fetched by.
	Recipe *initrd.Recipe

	step  *patchset.Step
	first *patchset.Group
}

// Open reads the new initrd's recipe. old is the recipe of the initrd that the set leads from, made
// with whatever options, image the one beside the new initrd, and group the stored bytes of the
// set's first group. Errors wrap chunkstore.ErrCorrupt, chunkstore.ErrVersion, or patchset.ErrFrom
// when old or image is another one.
func Open(h *patchset.Head, old *initrd.Recipe, image *mkimage.Recipe, group []byte) (*Set, error) {
	from, err := oldListing(old, image)
	if err != nil {
		return nil, err
	}
	s := new(Set)
	if s.step, err = h.Step(from.recipe); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.step.To.Entries,
		func(e mkimage.Entry) bool { return e.Path == recipePath })
	if i < 0 || len(s.step.Entries) == 0 ||
		s.step.Entries[0].Content != s.step.To.Entries[i].Content ||
		len(h.Groups) == 0 {
		return nil, corrupt("it does not begin with a recipe")
	}
	if s.first, err = s.step.OpenGroup(0, group); err != nil {
		return nil, err
	}
	text, err := s.first.Content(0, from.reader())
	if err != nil {
		return nil, err
	}
	if s.Recipe, err = parse(text, image); err != nil {
		return nil, err
	}
	return s, s.complete(from, image)
}

// complete demands that image, old initrd and set together have all contents.
func (s *Set) complete(from *listing, image *mkimage.Recipe) error {
	has := map[chunkstore.ID]bool{}
	for c := range image.Contents() {
		has[c.ID] = true
	}
	for c := range from.recipe.Contents() {
		has[c.ID] = true
	}
	for i := range s.step.Entries {
		has[s.step.Entries[i].Content.ID] = true
	}
	for c := range s.Recipe.Contents() {
		if !has[c.ID] {
			return corrupt("it lacks content %v", c.ID)
		}
	}
	return nil
}

// Apply makes the contents that only the set has and gives them to write, one after another, each
// from its beginning to its end, and verified. group gives the stored bytes of a group, base opens
// a content of the old initrd. Errors in what the set or base gives wrap chunkstore.ErrCorrupt or
// chunkstore.ErrVersion; those of the functions are returned as they are.
func (s *Set) Apply(
	ctx context.Context,
	group func(n int) ([]byte, error),
	base func(c *chunkstore.Content) (io.ReaderAt, error),
	write func(c *chunkstore.Content, piece []byte) error,
) error {
	open, n := s.first, 0
	for i := 1; i < len(s.step.Entries); i++ { // the first one is the recipe
		e := &s.step.Entries[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Group != n {
			stored, err := group(e.Group)
			if err != nil {
				return err
			}
			open = nil // not two in memory
			if open, err = s.step.OpenGroup(e.Group, stored); err != nil {
				return err
			}
			n = e.Group
		}
		var old io.ReaderAt
		if e.Base != nil {
			var err error
			if old, err = base(e.Base); err != nil {
				return err
			}
		}
		piece, err := open.Content(i, old)
		if err != nil {
			return err
		}
		if err := write(e.Content, piece); err != nil {
			return err
		}
	}
	return nil
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf(
		"patch set of an initrd: %w: "+format,
		append([]any{chunkstore.ErrCorrupt}, args...)...)
}
