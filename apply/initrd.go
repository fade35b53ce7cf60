package apply

import (
	"context"
	"fmt"
	"io"

	"deltaup/apply/slotwriter"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
	"deltaup/mkimage/squashfs"
)

// initrdParts is what an initrd is built from.
type initrdParts struct {
	recipe *initrd.Recipe
	// that gives the contents that neither image nor seeds have; nil: they come by chunks
	set    *initrdSet
	chunks delta.List               // of contents that the release's image lacks
	paths  map[chunkstore.ID]string // where the image has the others
}

// initrd gives the output that is to be rebuilt, nil when there is none.
func (u *Update) initrd() *output {
	for i := range u.outputs {
		if u.outputs[i].artifact.Kind == mirror.KindInitrd {
			return &u.outputs[i]
		}
	}
	return nil
}

// needsIndex tells whether something has to come by chunks of the release's own index.
func (u *Update) needsIndex() bool {
	if u.image != nil && !u.rebuilds() {
		return true
	}
	for _, o := range u.outputs {
		if o.artifact.Kind == mirror.KindRaw && o.same == nil {
			return true
		}
	}
	o := u.initrd()
	return o != nil && o.same == nil && u.image == nil && !u.seedIsImage()
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

// loadInitrd gets the recipe of an initrd that is wanted, out of a patch set where one leads from a
// seed, and plans again with what it needs beside the contents of the image.
func (u *Update) loadInitrd(ctx context.Context) error {
	o := u.initrd()
	if o == nil || o.same != nil {
		return nil
	}
	if u.recipe == nil {
		if err := u.loadRecipe(ctx); err != nil {
			return err
		}
	}
	parts := &initrdParts{paths: map[chunkstore.ID]string{}}
	var err error
	if parts.set, err = u.openInitrdSet(ctx, o); err != nil {
		return err
	}
	if parts.set != nil {
		parts.recipe = parts.set.Recipe
	} else if err := u.loadInitrdRecipe(ctx, o, parts); err != nil {
		return err
	}
	if !initrd.KnownCodec(parts.recipe.Codec) {
		return fmt.Errorf("artifact %s: %q: %w", o.artifact.Name, parts.recipe.Codec,
			mkimage.ErrUnknownCodec)
	}
	for i := range u.recipe.Entries {
		if e := &u.recipe.Entries[i]; e.Content != nil && e.Link == "" {
			parts.paths[e.Content.ID] = e.Path
		}
	}
	if o.initrd != nil {
		o.initrd.set.close()
	}
	o.initrd = parts
	u.addInitrd()
	u.seeds.find(u.contents())
	if err := u.checkChunks(); err != nil {
		return err
	}
	return u.replan(ctx)
}

// findSame finds the seeds that are the outputs as they are to be.
func (u *Update) findSame() {
	for i := range u.outputs {
		o := &u.outputs[i]
		for _, s := range u.seeds.list {
			if s.derived == nil && s.raw.ID == o.artifact.ID {
				o.same = s
			}
		}
	}
}

// loadInitrdRecipe fetches the recipe as it lies on the mirror, and where its chunks are.
func (u *Update) loadInitrdRecipe(ctx context.Context, o *output, parts *initrdParts) error {
	name := mirror.RecipePath(o.artifact.Recipe.ID)
	stored, err := u.meta.object(ctx, name, o.artifact.Recipe.Object, mirror.MaxRecipeSize)
	if err != nil {
		return err
	}
	if parts.recipe, err = o.artifact.Recipe.DecodeInitrd(stored, u.recipe); err != nil {
		return published(name, err)
	}
	return u.locateInitrd(ctx, &o.artifact, parts)
}

// locateInitrd finds the chunks that the initrd has and the image lacks.
func (u *Update) locateInitrd(ctx context.Context, a *mirror.Artifact, parts *initrdParts) error {
	chunks := mirror.InitrdChunks(parts.recipe, u.recipe)
	if a.Index == nil {
		if len(chunks) > 0 {
			return published(mirror.ReleasePath(u.release.Version),
				fmt.Errorf("no index for the initrd: %w", chunkstore.ErrCorrupt))
		}
		return nil
	}
	name := mirror.IndexPath(a.Index.ID)
	stored, err := u.meta.object(ctx, name, *a.Index, mirror.MaxIndexSize)
	if err != nil {
		return err
	}
	index, err := chunkstore.ParseIndex(stored)
	if err == nil {
		_, err = index.Locations(chunks)
	}
	if err != nil {
		return published(name, err)
	}
	u.fetcher.notePacks(index)
	parts.chunks = delta.List{Chunks: chunks, Locations: index.Image}
	return nil
}

// addInitrd adds the chunks of the initrd to what is needed: its own, and without an image to take
// the other contents from, those of them too.
func (u *Update) addInitrd() {
	o := u.initrd()
	if o == nil || o.initrd == nil {
		return
	}
	if u.at == nil {
		u.at = map[chunkstore.ID]chunkstore.Location{}
	}
	for i, c := range o.initrd.chunks.Chunks {
		u.at[c.ID] = o.initrd.chunks.Locations[i]
		u.needOther(c)
	}
	if u.image != nil || !u.indexed {
		return
	}
	for c := range o.initrd.recipe.Contents() {
		if o.initrd.paths[c.ID] == "" {
			continue
		}
		for _, chunk := range chunkstore.Distinct(one(c)) {
			u.needOther(chunk)
		}
	}
}

// needOther adds a chunk that is needed besides the image.
func (u *Update) needOther(c chunkstore.Chunk) {
	u.other.Chunks = append(u.other.Chunks, c)
	u.other.Locations = append(u.other.Locations, u.at[c.ID])
}

// initrdSource gives the contents of an initrd.
type initrdSource struct {
	image *squashfs.Image // the release's, in the slot; nil: it is a seed, or there is none
	paths map[chunkstore.ID]string
	set   *initrdSet
	rest  *source
}

// newInitrdSource takes the image out of the slot that was written, which is nil when there is
// none.
func newInitrdSource(parts *initrdParts, held *slotwriter.Held,
	rest *source) (*initrdSource, error) {
	s := &initrdSource{paths: parts.paths, set: parts.set, rest: rest}
	if held == nil {
		return s, nil
	}
	var err error
	s.image, err = squashfs.Open(held, held.Size())
	return s, err
}

// Open implements mkimage.Source.
func (s *initrdSource) Open(ctx context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
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
		h := chunkstore.NewHasher()
		_, err := io.Copy(io.MultiWriter(w, h), o.same.f.section())
		if err == nil && h.ID() != o.artifact.ID {
			err = o.same.changed(chunkstore.ErrCorrupt)
		}
		return err
	}
	if o.initrd != nil {
		from, err := newInitrdSource(o.initrd, held, src)
		if err != nil {
			return err
		}
		_, err = initrd.Build(ctx, o.initrd.recipe, from, w, initrd.BuildOptions{})
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
