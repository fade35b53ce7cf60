package apply

import (
	"context"
	"fmt"
	"io"

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
		if o.artifact.Kind == mirror.KindRaw {
			return true
		}
	}
	return u.initrd() != nil && u.image == nil && !u.seedIsImage()
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

// loadInitrd fetches the recipe of an initrd that is wanted, and plans again with the chunks that it needs
// beside the contents of the image.
func (u *Update) loadInitrd(ctx context.Context) error {
	o := u.initrd()
	if o == nil {
		return nil
	}
	if u.recipe == nil {
		if err := u.loadRecipe(ctx); err != nil {
			return err
		}
	}
	name := mirror.RecipePath(o.artifact.Recipe.ID)
	stored, err := u.meta.object(ctx, name, o.artifact.Recipe.Object, mirror.MaxRecipeSize)
	if err != nil {
		return err
	}
	parts := &initrdParts{paths: map[chunkstore.ID]string{}}
	if parts.recipe, err = o.artifact.Recipe.DecodeInitrd(stored, u.recipe); err != nil {
		return published(name, err)
	}
	if !initrd.KnownCodec(parts.recipe.Codec) {
		return fmt.Errorf("artifact %s: %q: %w", o.artifact.Name, parts.recipe.Codec, mkimage.ErrUnknownCodec)
	}
	if err := u.locateInitrd(ctx, &o.artifact, parts); err != nil {
		return err
	}
	for i := range u.recipe.Entries {
		if e := &u.recipe.Entries[i]; e.Content != nil && e.Link == "" {
			parts.paths[e.Content.ID] = e.Path
		}
	}
	o.initrd = parts
	u.addInitrd()
	u.seeds.find(u.contents())
	if err := u.checkChunks(); err != nil {
		return err
	}
	return u.replan(ctx)
}

// locateInitrd finds the chunks that the initrd has and the image lacks.
func (u *Update) locateInitrd(ctx context.Context, a *mirror.Artifact, parts *initrdParts) error {
	chunks := mirror.InitrdChunks(parts.recipe, u.recipe)
	if a.Index == nil {
		if len(chunks) > 0 {
			return published(mirror.ReleasePath(u.release.Version), fmt.Errorf("no index for the initrd: %w", chunkstore.ErrCorrupt))
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
	parts.chunks = delta.List{Chunks: chunks, Locations: index.Image}
	return nil
}

// addInitrd adds the chunks of the initrd to what is needed. Without an image to take the other contents
// from, all of them are.
func (u *Update) addInitrd() {
	o := u.initrd()
	if o == nil || o.initrd == nil {
		return
	}
	if u.at == nil {
		u.at = map[chunkstore.ID]chunkstore.Location{}
	}
	list := o.initrd.chunks
	for i, c := range list.Chunks {
		u.at[c.ID] = list.Locations[i]
	}
	if u.image == nil && u.indexed {
		list = delta.List{Chunks: o.initrd.recipe.Chunks()}
		for _, c := range list.Chunks {
			list.Locations = append(list.Locations, u.at[c.ID])
		}
	}
	u.other.Chunks = append(u.other.Chunks, list.Chunks...)
	u.other.Locations = append(u.other.Locations, list.Locations...)
}

// initrdSource gives the contents of an initrd.
type initrdSource struct {
	image *squashfs.Image // the release's, in the slot; nil: it is a seed, or there is none
	paths map[chunkstore.ID]string
	rest  *source
}

// newInitrdSource takes the image out of the slot that was written, which is nil when there is none.
func newInitrdSource(parts *initrdParts, held *heldSlot, rest *source) (*initrdSource, error) {
	s := &initrdSource{paths: parts.paths, rest: rest}
	if held == nil {
		return s, nil
	}
	var err error
	s.image, err = squashfs.Open(provedImage{held}, held.size)
	return s, err
}

// Open implements mkimage.Source.
func (s *initrdSource) Open(ctx context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
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

// provedImage reads an image that is in the slot but for its head.
type provedImage struct{ *heldSlot }

// ReadAt implements io.ReaderAt.
func (p provedImage) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.Slot.ReadAt(b, off)
	if off < headSize {
		copy(b[:n], p.head[off:])
	}
	return n, err
}

// content writes what the output is made of.
func (u *Update) content(ctx context.Context, o *output, held *heldSlot, src *source, w io.Writer) error {
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
