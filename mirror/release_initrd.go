package mirror

import (
	"bytes"
	"fmt"
	"io"
	"iter"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/delta/initrdset"
	"deltaup/delta/patchset"
	"deltaup/mkimage"
	"deltaup/mkimage/initrd"
)

// InitrdPatch is a patch set of package initrdset.
type InitrdPatch struct {
	From   string        `json:"from"`   // version of the release whose initrd it leads from
	Initrd chunkstore.ID `json:"initrd"` // that initrd's hash, of the finished file
	Set    Object        `json:"set"`    // the whole file, at [PatchPath]
	// Head is the file's beginning. Its ID is patchset.Head.ID, which proves the whole set piece by
	// piece.
	Head Object `json:"head"`
}

// PatchFrom returns the patch set that leads from the finished initrd with this hash, nil when
// there is none.
func (a *Artifact) PatchFrom(initrd chunkstore.ID) *InitrdPatch {
	for i := range a.Patches {
		if a.Patches[i].Initrd == initrd {
			return &a.Patches[i]
		}
	}
	return nil
}

// initrdDictionaryID is in the frame header of an initrd's stored recipe.
const initrdDictionaryID = 1

// EncodeInitrdRecipe compresses an initrd's recipe for the mirror. Contents that the image has,
// too, lose their chunk lists: one hole stands for several chunks.
func EncodeInitrdRecipe(r *initrd.Recipe,
	image *mkimage.Recipe) (stored []byte, o RecipeObject, err error) {
	has := contentsOf(image)
	chunks := map[*chunkstore.Content][]chunkstore.Chunk{}
	for c := range r.Contents() {
		if has[c.ID] != nil && len(c.Chunks) > 1 {
			chunks[c] = c.Chunks
			c.Chunks = []chunkstore.Chunk{{Size: c.Size}}
		}
	}
	var plain bytes.Buffer
	_, err = r.WriteTo(&plain)
	for c, list := range chunks {
		c.Chunks = list
	}
	if err != nil {
		return nil, o, err
	}
	return EncodeRecipe(plain.Bytes(),
		zstd.WithEncoderDictRaw(initrdDictionaryID, initrdset.Dictionary(image)))
}

// DecodeInitrd is Decode for an initrd's recipe, beside the recipe of the release's image. Contents
// that the image has, too, have the chunks that they have there; when these are not known, a list
// of the right size.
func (o RecipeObject) DecodeInitrd(stored []byte,
	image *mkimage.Recipe) (r *initrd.Recipe, err error) {
	err = o.decode(stored, func(in io.Reader) (err error) {
		r, err = initrd.ParseRecipe(in)
		return err
	}, zstd.WithDecoderDictRaw(initrdDictionaryID, initrdset.Dictionary(image)))
	if err != nil {
		return nil, err
	}
	if err := initrdset.TakeChunks(r, image); err != nil {
		return nil, fmt.Errorf("recipe %s: %w", o.ID, err)
	}
	if err := r.Validate(); err != nil {
		return nil, fmt.Errorf("recipe %s: %w", o.ID, err)
	}
	return r, nil
}

// InitrdChunks lists the chunks of the contents that an initrd has and the image has not, which is
// what the initrd's own index locates.
func InitrdChunks(r *initrd.Recipe, image *mkimage.Recipe) []chunkstore.Chunk {
	return chunkstore.Distinct(InitrdContents(r, image))
}

// InitrdContents gives the contents that an initrd has and the image has not.
func InitrdContents(r *initrd.Recipe, image *mkimage.Recipe) iter.Seq[*chunkstore.Content] {
	has := contentsOf(image)
	return func(yield func(*chunkstore.Content) bool) {
		for c := range r.Contents() {
			if has[c.ID] == nil && !yield(c) {
				return
			}
		}
	}
}

func contentsOf(image *mkimage.Recipe) map[chunkstore.ID]*chunkstore.Content {
	has := map[chunkstore.ID]*chunkstore.Content{}
	for c := range image.Contents() {
		has[c.ID] = c
	}
	return has
}

// validateInitrd looks at what only an initrd that is rebuilt has.
func (a *Artifact) validateInitrd() error {
	if a.Recipe == nil || a.Blockmap != nil {
		return fmt.Errorf("has no recipe, or a block map")
	}
	if err := a.Recipe.validate(); err != nil {
		return err
	}
	if a.Index != nil {
		if err := a.Index.validate(MaxIndexSize); err != nil {
			return fmt.Errorf("index: %w", err)
		}
	}
	return a.validatePatches()
}

func (a *Artifact) validatePatches() error {
	if len(a.Patches) > MaxPatches {
		return fmt.Errorf("%d patch sets, at most %d are possible", len(a.Patches), MaxPatches)
	}
	from := map[chunkstore.ID]bool{{}: true, a.ID: true}
	for i := range a.Patches {
		p := &a.Patches[i]
		if err := CheckName("version", p.From); err != nil {
			return fmt.Errorf("patch set: %w", err)
		}
		switch {
		case from[p.Initrd]:
			return fmt.Errorf(
				"patch set from %q: leads from no initrd, from this one, or is the second one",
				p.From,
			)
		}
		from[p.Initrd] = true
		if err := validateSet(p.Set, p.Head); err != nil {
			return fmt.Errorf("patch set from %q: %w", p.From, err)
		}
	}
	return nil
}

// validateSet looks at the sizes of a patch set and its head.
func validateSet(set, head Object) error {
	if err := set.validate(MaxPatchSize); err != nil {
		return err
	}
	if err := head.validate(min(patchset.HeadMax, set.Size)); err != nil {
		return fmt.Errorf("head: %w", err)
	}
	return nil
}
