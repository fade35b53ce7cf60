package artifact

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mkimage"
)

// Pair is two artifacts between which a publisher makes a set.
type Pair struct {
	Kind        Kind // of both
	Old, New    Recipe
	Image       *mkimage.Recipe   // beside New; it may lack its chunks
	OldContents patchset.Contents // of Old
	Store       chunkstore.Store  // has the chunks of all contents of New that Image lacks
}

// Make writes the patch set that leads from the old artifact of a pair to the new one. It is for a
// target that has the old artifact and has, or is about to have, the image beside the new one. The
// set holds the recipe of the new artifact, and those of its contents that neither the image nor
// the old artifact has.
//
// The file is a set of package patchset between two listings of contents, which publisher and
// target each make for themselves. Format: doc/initrd.md.
func Make(ctx context.Context, w io.Writer, p Pair,
	o patchset.MakeOptions) (*patchset.Stats, error) {
	from, to, err := p.listings()
	if err != nil {
		return nil, err
	}
	o.ChunkLists = true // both sides know those of a listing
	o.Steps = true      // no image is under way when a target makes contents
	packs := patchset.FromStore(p.Store)
	return patchset.Make(ctx, w,
		patchset.Side{Recipe: from.recipe, Contents: &contents{from, byID(p.Old), p.OldContents}},
		patchset.Side{Recipe: to.recipe, Contents: &contents{to, byID(p.New), packs}}, o)
}

// Amounts is what Make has to do for a pair. Its OldContents and Store are not needed.
func (p *Pair) Amounts() (patchset.Amounts, error) {
	from, to, err := p.listings()
	if err != nil {
		return patchset.Amounts{}, err
	}
	return patchset.AmountsOf(from.recipe, to.recipe), nil
}

func (p *Pair) listings() (from, to *listing, err error) {
	if from, err = oldListing(p.Kind, p.Old, p.Image, true); err != nil {
		return nil, nil, err
	}
	to, err = newListing(p.New, p.Image)
	return from, to, err
}

// contents opens the contents of a listing. It is a patchset.Contents.
type contents struct {
	*listing
	known map[chunkstore.ID]*chunkstore.Content // with their chunks, which a listing lacks
	rest  patchset.Contents
}

// byID gives the contents of a recipe, of an artifact or an image.
func byID(r interface {
	Contents() iter.Seq[*chunkstore.Content]
}) map[chunkstore.ID]*chunkstore.Content {
	known := map[chunkstore.ID]*chunkstore.Content{}
	for c := range r.Contents() {
		known[c.ID] = c
	}
	return known
}

// Open implements patchset.Contents.
func (c *contents) Open(ctx context.Context, x *chunkstore.Content) (patchset.Reading, error) {
	if x.ID == c.textID {
		return textReading{c.reader()}, nil
	}
	return c.rest.Open(ctx, c.known[x.ID])
}

type textReading struct{ io.ReaderAt }

// Close implements patchset.Reading.
func (textReading) Close() error { return nil }

// Set is a set together with the recipe that its first group gives.
type Set struct {
	// Recipe is the new artifact's. Its contents have the ids and chunks that they have in the
	// image, as far as these are known. The others have lists by which nothing can be fetched.
	Recipe Recipe

	step *patchset.Step
	old  *listing

	open   *patchset.Group // nil: none is
	number int             // of open
}

// Open reads the new artifact's recipe. old is the recipe of the artifact that the set leads from,
// made with any options. image is the recipe of the image beside the new artifact; unless h tells
// ids, it may lack some. group has the stored bytes of the set's first group. Errors wrap
// chunkstore.ErrCorrupt or chunkstore.ErrVersion, or patchset.ErrFrom when the set leads from
// another artifact or belongs beside another image.
func Open(h *patchset.Head, k Kind, old Recipe, image *mkimage.Recipe, group []byte) (*Set, error) {
	s, err := openStep(h, k, old, image)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(s.step.To.Entries,
		func(e mkimage.Entry) bool { return e.Path == recipePath })
	if i < 0 || len(s.step.Entries) == 0 ||
		s.step.Entries[0].Content != s.step.To.Entries[i].Content ||
		s.step.Entries[0].Group != 0 {
		return nil, corrupt("it does not begin with a recipe")
	}
	if s.open, err = s.step.OpenGroup(0, group); err != nil {
		return nil, err
	}
	text, err := s.open.Content(0, s.old.reader())
	if err != nil {
		return nil, err
	}
	if s.Recipe, err = parse(k, text, image); err != nil {
		return nil, err
	}
	return s, s.complete(image)
}

// complete demands that image, old artifact and set together have all contents.
func (s *Set) complete(image *mkimage.Recipe) error {
	has := byID(image)
	maps.Copy(has, byID(s.old.recipe))
	for i := range s.step.Entries {
		c := s.step.Entries[i].Content
		has[c.ID] = c
	}
	for c := range s.Recipe.Contents() {
		if has[c.ID] == nil {
			return corrupt("it lacks content %v", c.ID)
		}
	}
	return nil
}

// Gives tells whether Recipe is r, however the contents of both were cut.
func (s *Set) Gives(r Recipe) (bool, error) {
	got, err := recipeText(s.Recipe)
	if err != nil {
		return false, err
	}
	want, err := recipeText(r)
	return bytes.Equal(got, want), err
}

// openStep is what Open does without the first group.
func openStep(h *patchset.Head, k Kind, old Recipe, image *mkimage.Recipe) (*Set, error) {
	from, err := oldListing(k, old, image, !h.TellsIDs())
	if err != nil {
		return nil, err
	}
	s := &Set{old: from}
	s.step, err = h.Step(from.recipe)
	return s, err
}

// Entries lists how the contents of a set that Open is to read are made. Its errors are those of
// Open.
func Entries(h *patchset.Head, k Kind, old Recipe, image *mkimage.Recipe) ([]patchset.Entry,
	error) {
	s, err := openStep(h, k, old, image)
	if err != nil {
		return nil, err
	}
	return s.step.Entries, nil
}

// Apply makes the contents that only the set has. It gives their bytes to write, content after
// content, each from its beginning to its end. They are verified when Apply returns; after an error
// they are of no use. group gives the stored bytes of a group. base opens a content of the old
// artifact. Errors wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion when the set or a base is
// damaged, or are those of the functions. In the end s keeps no group.
func (s *Set) Apply(
	ctx context.Context,
	group func(n int) ([]byte, error),
	base func(c *chunkstore.Content) (io.ReaderAt, error),
	write func(c *chunkstore.Content, piece []byte) error,
) error {
	opened := func(n int) (*patchset.Group, error) {
		if s.open != nil && s.number == n {
			return s.open, nil
		}
		stored, err := group(n)
		if err != nil {
			return nil, err
		}
		s.open = nil // not two in memory
		s.open, err = s.step.OpenGroup(n, stored)
		s.number = n
		return s.open, err
	}
	for i := 1; i < len(s.step.Entries); i++ { // the first one is the recipe
		e := &s.step.Entries[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.step.Prepare(i, opened); err != nil {
			return err
		}
		g, err := opened(e.Group)
		if err != nil {
			return err
		}
		old, err := s.base(e.Base, base)
		if err != nil {
			return err
		}
		err = g.WriteContent(i, old, func(p []byte) error { return write(e.Content, p) })
		if err != nil {
			return err
		}
	}
	s.open = nil
	s.step.Release()
	return nil
}

// base opens the base of an entry, which may be nil. The old listing's text is one too: a list of
// files resembles it. open opens the others.
func (s *Set) base(c *chunkstore.Content,
	open func(c *chunkstore.Content) (io.ReaderAt, error)) (io.ReaderAt, error) {
	switch {
	case c == nil:
		return nil, nil
	case c.ID == s.old.textID:
		return s.old.reader(), nil
	}
	return open(c)
}

func corrupt(format string, args ...any) error {
	return fmt.Errorf(
		"patch set beside an image: %w: "+format,
		append([]any{chunkstore.ErrCorrupt}, args...)...)
}
