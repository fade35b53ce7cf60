package apply

import (
	"context"
	"errors"
	"io"

	"deltaup/apply/slotwriter"
	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage/squashfs"
)

// parts is what an artifact is rebuilt from beside the image.
type parts struct {
	recipe artifact.Recipe
	// that gives the contents that neither image nor seeds have; nil: they come by chunks
	set    *partsSet
	chunks delta.List               // of contents that the release's image lacks
	paths  map[chunkstore.ID]string // where the image has the others
}

// needsIndex tells whether something has to come by chunks of the release's own index.
func (u *Update) needsIndex() bool {
	if u.image != nil && !u.rebuilds() {
		return true
	}
	return u.outputs.raw() ||
		len(u.outputs.rebuilt()) > 0 && u.image == nil && !u.seedIsImage()
}

// seedIsImage tells whether a seed is the release's image, and takes its recipe then.
func (u *Update) seedIsImage() bool {
	for _, s := range u.seeds.list {
		if s.recipe == u.release.Artifact(mirror.ImageName).Recipe.Text {
			u.setRecipe(s.derived.Recipe)
			return true
		}
	}
	return false
}

// loadParts gets the recipes of the outputs that are rebuilt beside the image, out of a patch set
// where one leads from a seed, and plans again with what they need beside the contents of the
// image.
func (u *Update) loadParts(ctx context.Context) error {
	var lacking []*output
	for _, o := range u.outputs.rebuilt() {
		if o.parts == nil {
			lacking = append(lacking, o)
		}
	}
	if len(lacking) == 0 {
		return nil
	}
	if u.recipe == nil {
		if err := u.loadRecipe(ctx); err != nil {
			return err
		}
	}
	loader := &partsLoader{u.ways(), u.seeds, u.release, u.recipe, u.recipeWithIDs}
	// one for all outputs; contents may get other ids on the way
	paths := map[chunkstore.ID]string{}
	for _, o := range lacking {
		o.parts = loader.inImage(o, paths)
	}
	if err := loader.fetchSets(ctx, lacking); err != nil {
		return err
	}
	for _, o := range lacking {
		x := o.parts
		if x == nil {
			var err error
			if x, err = loader.parts(ctx, o); err != nil {
				return err
			}
		}
		x.paths = paths
		for _, e := range u.recipe.Entries.All() {
			if e.Content != nil {
				paths[e.Content.ID] = e.Path
			}
		}
		o.parts = x
		u.needParts(o)
	}
	u.seeds.index()
	if err := u.checkChunks(u.release); err != nil {
		return err
	}
	return u.replan(ctx)
}

// needParts adds the chunks of an output that is rebuilt to what is needed: its own, and without an
// image to take the other contents from, those of them too.
func (u *Update) needParts(o *output) {
	if u.at == nil {
		u.at = map[chunkstore.ID]chunkstore.Location{}
	}
	for i, c := range o.parts.chunks.Chunks {
		u.at[c.ID] = o.parts.chunks.Locations[i]
		u.needOther(c)
	}
	if u.image != nil || !u.indexed {
		return
	}
	for c := range o.parts.recipe.Contents() {
		if o.parts.paths[c.ID] == "" {
			continue
		}
		for _, chunk := range chunkstore.Distinct(one(c)) {
			u.needOther(chunk)
		}
	}
}

// partsSource gives the contents of an artifact beside the image.
type partsSource struct {
	image *squashfs.Image // the release's, in the slot; nil: it is a seed, or there is none
	paths map[chunkstore.ID]string
	set   *partsSet
	rest  *source
}

// newPartsSource takes the image out of the slot that was written, which is nil when there is
// none.
func newPartsSource(x *parts, held *slotwriter.Held,
	rest *source) (*partsSource, error) {
	s := &partsSource{paths: x.paths, set: x.set, rest: rest}
	if held == nil {
		return s, nil
	}
	var err error
	s.image, err = squashfs.Open(held, held.Size())
	return s, err
}

// Open implements mkimage.Source.
func (s *partsSource) Open(ctx context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	if r := s.set.open(c.ID); r != nil {
		return r, nil
	}
	path, ok := s.paths[c.ID]
	if s.image == nil || !ok {
		return s.rest.Open(ctx, c)
	}
	node, err := s.image.Lookup(path)
	if err != nil {
		return nil, err
	}
	f, err := s.image.File(node)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.NewSectionReader(f, 0, f.Size())), nil
}

// content writes what the output is made of.
func (u *Update) content(ctx context.Context, o *output, held *slotwriter.Held, src *source,
	w io.Writer) error {
	if o.same != nil {
		c := &o.same.raw
		_, err := io.Copy(w, chunkstore.NewVerifier(o.same.f.section(), c.ID, c.Size))
		if _, ok := errors.AsType[*chunkstore.Mismatch](err); ok {
			err = o.same.changed(chunkstore.ErrCorrupt)
		}
		return err
	}
	if o.parts != nil {
		from, err := newPartsSource(o.parts, held, src)
		if err != nil {
			return err
		}
		_, err = o.parts.recipe.Build(ctx, from, w)
		return err
	}
	r, err := src.Open(ctx, o.content)
	if err != nil {
		return err
	}
	defer r.Close() // read only
	_, err = io.Copy(w, r)
	return err
}
