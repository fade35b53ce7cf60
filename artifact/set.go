package artifact

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"maps"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mkimage"
)

// Pair is two artifacts between which a publisher makes a set.
type Pair struct {
	Kind        Kind // of New; Old may be of any that For gives beside it
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
	o.StepsApart, o.Large = true, true
	o.Bases = p.bases()
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

// Set is a set that leads from an artifact which the caller has.
type Set struct {
	// Recipe is the new artifact's, once ReadRecipe has read it. Its contents have the ids and
	// chunks that they have in the image, as far as these are known. The others have lists by which
	// nothing can be fetched.
	Recipe Recipe
	// Step has how the recipe and the contents are made. The caller may put patchset.Entry.Other in
	// the place of an entry before Apply.
	Step *patchset.Step

	kind  Kind
	image *mkimage.Recipe
	old   *listing

	groups *patchset.Groups
	open   *patchset.Group // nil: none is
	number int             // of open
	read   func(n int) ([]byte, error)
}

// Open reads the head of a set that leads to an artifact of kind k. ReadRecipe comes next. old is
// the recipe of the artifact that the set leads from, made with any options. image is the recipe of
// the image beside the new artifact; unless h tells ids, it may lack some. Errors wrap
// chunkstore.ErrCorrupt or chunkstore.ErrVersion, or patchset.ErrFrom when the set leads from
// another artifact or belongs beside another image.
func Open(h *patchset.Head, k Kind, old Recipe, image *mkimage.Recipe) (*Set, error) {
	from, err := oldListing(k, old, image, !h.TellsIDs())
	if err != nil {
		return nil, err
	}
	s := &Set{kind: k, image: image, old: from}
	s.Step, err = h.Step(from.recipe)
	return s, err
}

// ReadRecipe reads the new artifact's recipe. group has the stored bytes of the set's first group.
// Errors wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion.
func (s *Set) ReadRecipe(group []byte) error {
	i, ok := s.Step.To.Entries.Find(recipePath)
	if !ok || len(s.Step.Entries) == 0 ||
		s.Step.Entries[0].Content != s.Step.To.Entries.Content(i) ||
		s.Step.Entries[0].Group != 0 {
		return corrupt("it does not begin with a recipe")
	}
	s.read = func(int) ([]byte, error) { return group, nil }
	s.groups = s.Step.Groups(func(n int) ([]byte, error) { return s.read(n) })
	var err error
	if s.open, err = s.groups.Open(0); err != nil {
		return err
	}
	text, err := s.open.Content(0, s.old.reader(), nil)
	if err != nil {
		return err
	}
	if s.Recipe, err = parse(s.kind, text, s.image); err != nil {
		return err
	}
	return s.complete(s.image)
}

// complete demands that image, old artifact and set together have all contents.
func (s *Set) complete(image *mkimage.Recipe) error {
	has := byID(image)
	maps.Copy(has, byID(s.old.recipe))
	for i := range s.Step.Entries {
		c := s.Step.Entries[i].Content
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

// Apply makes the contents that only the set has. It gives their bytes to write, content after
// content, each from its beginning to its end. They are verified when Apply returns; after an error
// they are of no use. group gives the stored bytes of a group. base opens a content of the old
// artifact. Errors wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion when the set or a base is
// damaged, or are those of the functions; failed is then the entry that could not be made. In the
// end s keeps no group.
func (s *Set) Apply(
	ctx context.Context,
	group func(n int) ([]byte, error),
	base func(c *chunkstore.Content) (io.ReaderAt, error),
	write func(c *chunkstore.Content, piece []byte) error,
) (failed int, err error) {
	s.read = group
	opened := func(n int) (_ *patchset.Group, err error) {
		if s.open != nil && s.number == n {
			return s.open, nil
		}
		s.open = nil // not two in memory
		s.open, err = s.groups.Open(n)
		s.number = n
		return s.open, err
	}
	var ready *patchset.Prepared
	for i := 1; i < len(s.Step.Entries); i++ { // the first one is the recipe
		if err := ctx.Err(); err != nil {
			return i, err
		}
		if s.Step.Entries[i].Content != s.Step.Entries[i-1].Content {
			ready = nil // not two in memory
			if ready, err = s.Step.Prepare(i, opened); err != nil {
				return i, err
			}
		}
		if err := s.apply(i, opened, ready, base, write); err != nil {
			return i, err
		}
	}
	s.open, s.read = nil, nil
	s.groups.Close()
	return 0, nil
}

// apply makes one entry, for which ready is prepared.
func (s *Set) apply(
	i int,
	opened func(n int) (*patchset.Group, error),
	ready *patchset.Prepared,
	base func(c *chunkstore.Content) (io.ReaderAt, error),
	write func(c *chunkstore.Content, piece []byte) error,
) error {
	e := &s.Step.Entries[i]
	g, err := opened(e.Group)
	if err != nil {
		return err
	}
	old, err := s.base(e.Base, base)
	if err != nil {
		return err
	}
	return g.WriteContent(i, old, ready, func(p []byte) error { return write(e.Content, p) })
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
