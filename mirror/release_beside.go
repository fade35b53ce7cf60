package mirror

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// Beside gives the kind of an artifact that is rebuilt beside the release's image, nil for the
// image and raw artifacts.
func (a *Artifact) Beside() artifact.Kind { return artifact.ByName(a.Kind) }

// Beside gives the artifacts that are rebuilt beside the release's image.
func (r *Release) Beside() (list []*Artifact) {
	for i := range r.Artifacts {
		if a := &r.Artifacts[i]; a.Beside() != nil {
			list = append(list, a)
		}
	}
	return list
}

// PatchFrom returns the patch set that leads from the finished file with this hash, nil when there
// is none.
func (a *Artifact) PatchFrom(file chunkstore.ID) *Patch {
	for i := range a.Patches {
		if a.Patches[i].File == file {
			return &a.Patches[i]
		}
	}
	return nil
}

// dictionaryID is in the frame header of a stored recipe that is compressed beside an image's.
const dictionaryID = 1

// EncodeBeside is EncodeRecipe for an artifact of kind k, beside the recipe of the release's image.
func EncodeBeside(k artifact.Kind, r artifact.Recipe,
	image *mkimage.Recipe) (stored []byte, o RecipeObject, err error) {
	plain, err := artifact.Encode(r, image)
	if err != nil {
		return nil, o, err
	}
	return EncodeRecipe(plain,
		zstd.WithEncoderDictRaw(dictionaryID, artifact.Dictionary(k, image)))
}

// DecodeBeside is RecipeObject.Decode for an artifact of a kind beside the image, whose recipe it
// needs. Contents that the image has, too, have the chunks that they have there; when these are not
// known, a list of the right size.
func (a *Artifact) DecodeBeside(stored []byte, image *mkimage.Recipe) (artifact.Recipe, error) {
	k := a.Beside()
	var r artifact.Recipe
	err := a.Recipe.decode(stored, func(in io.Reader) (err error) {
		r, err = k.Parse(in)
		return err
	}, zstd.WithDecoderDictRaw(dictionaryID, artifact.Dictionary(k, image)))
	if err != nil {
		return nil, err
	}
	if err := artifact.Complete(r, image); err != nil {
		return nil, fmt.Errorf("recipe %s: %w", a.Recipe.ID, err)
	}
	return r, nil
}

// validateBeside looks at what only an artifact has that is rebuilt beside an image.
func (a *Artifact) validateBeside() error {
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
	from := map[chunkstore.ID]bool{{}: true, a.ID: true}
	return validatePatches(a.Patches, func(p *Patch) error {
		if from[p.File] {
			return fmt.Errorf("leads from no %s, from this one, or is the second one", a.Name)
		}
		from[p.File] = true
		if p.Release != nil || !p.Recipe.IsZero() || p.Costs != nil {
			return fmt.Errorf("has what only patch sets of images have")
		}
		return nil
	})
}
