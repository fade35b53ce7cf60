package mirror

import (
	"fmt"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
)

// MaxPatches is the most patch sets that one release lists.
const MaxPatches = 64

// Patch is a patch set that leads to an artifact of the release that lists it: to the image, or to
// one that is rebuilt beside it.
type Patch struct {
	From string `json:"from"` // version of the release that it leads from
	// Release is that release's file, so that a way through several releases is known by hash from
	// its end. Only patch sets to images have it, and those of releases that were published before
	// there was such a member lack it.
	Release *Object `json:"release,omitempty"`
	// What it leads from, either the one or the other.
	Recipe chunkstore.ID `json:"recipe,omitzero"` // of an image: BLAKE3-256 of its plain recipe
	// of any other artifact: the hash of the finished file. Its name is that of the kind that had
	// patch sets first.
	File chunkstore.ID `json:"initrd,omitzero"`
	Set  Object        `json:"set"` // the whole file, at [PatchPath]
	// Head is the file's beginning. Its ID is patchset.Head.ID, which proves the whole set piece by
	// piece.
	Head   Object `json:"head"`
	*Costs        // to an image
}

// Costs is what a target with all of the release that a patch set to an image leads from, and
// nothing else, has to do by the other routes.
type Costs struct {
	Chunks   int64 `json:"chunks"`   // bytes of chunks that From lacks, as packs hold them
	Blocks   int64 `json:"blocks"`   // bytes of stored blocks that From's image lacks
	Compress int64 `json:"compress"` // plain bytes to compress unless stored blocks are fetched
}

// PatchFrom returns the patch set that leads from the release with this plain recipe, nil when
// there is none.
func (r *Release) PatchFrom(recipe chunkstore.ID) *Patch {
	for i := range r.Patches {
		if r.Patches[i].Recipe == recipe {
			return &r.Patches[i]
		}
	}
	return nil
}

func (r *Release) validatePatches() error {
	image := r.Artifact(ImageName)
	if len(r.Patches) > 0 && (image == nil || image.Recipe == nil) {
		return fmt.Errorf("patch sets without a recipe to lead to")
	}
	from, recipes := map[string]bool{}, map[chunkstore.ID]bool{}
	return validatePatches(r.Patches, func(p *Patch) error {
		switch {
		case p.From == r.Version || p.Recipe == image.Recipe.Text:
			return fmt.Errorf("leads from the release to itself")
		case from[p.From] || recipes[p.Recipe]:
			return fmt.Errorf("is the second one from there or from its recipe")
		}
		from[p.From], recipes[p.Recipe] = true, true
		return p.validateImage()
	})
}

// validateImage looks at what only a patch set to an image has.
func (p *Patch) validateImage() error {
	switch {
	case p.Recipe.IsZero():
		return fmt.Errorf("no recipe")
	case !p.File.IsZero() || p.Costs == nil:
		return fmt.Errorf("leads from a file, or has no costs")
	}
	if p.Release != nil {
		if err := p.Release.validate(MaxReleaseSize); err != nil {
			return fmt.Errorf("release: %w", err)
		}
	}
	for _, n := range [...]int64{p.Chunks, p.Blocks, p.Compress} {
		if n < 0 || n > maxObjectSize {
			return fmt.Errorf("a route of %d bytes", n)
		}
	}
	return nil
}

// validatePatches looks at what all patch sets to one artifact have, and has own look at the rest.
func validatePatches(list []Patch, own func(p *Patch) error) error {
	if len(list) > MaxPatches {
		return fmt.Errorf("%d patch sets, at most %d are possible", len(list), MaxPatches)
	}
	for i := range list {
		p := &list[i]
		if err := CheckName("version", p.From); err != nil {
			return fmt.Errorf("patch set: %w", err)
		}
		err := own(p)
		if err == nil {
			err = p.validateSizes()
		}
		if err != nil {
			return fmt.Errorf("patch set from %q: %w", p.From, err)
		}
	}
	return nil
}

// validateSizes looks at the sizes of the set and its head.
func (p *Patch) validateSizes() error {
	if err := p.Set.validate(maxPatchSize); err != nil {
		return err
	}
	if err := p.Head.validate(min(patchset.HeadMax, p.Set.Size)); err != nil {
		return fmt.Errorf("head: %w", err)
	}
	return nil
}

// LeftOutCost is how many bytes a target fetches, besides chunks, when a patch set of a release's
// image leaves contents out: recipe and index, and what three requests are worth.
func LeftOutCost(r *Release) int64 {
	const request = 4 << 10
	n := r.Index.Size + 3*request
	if a := r.Artifact(ImageName); a != nil && a.Recipe != nil {
		n += a.Recipe.Size
	}
	return n
}
