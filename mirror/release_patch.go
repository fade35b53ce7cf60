package mirror

import (
	"fmt"

	"deltaup/chunkstore"
)

// MaxPatches is the most patch sets that one release lists.
const MaxPatches = 64

// Patch is a patch set that leads to the image of the release that lists it, and what the step
// costs by other routes.
type Patch struct {
	From string `json:"from"` // version of the release that it leads from
	// Release is that release's file, so that a way through several releases is known by hash from
	// its end. Releases that were published before there was such a member lack it.
	Release *Object       `json:"release,omitempty"`
	Recipe  chunkstore.ID `json:"recipe"` // BLAKE3-256 of that release's plain recipe
	Set     Object        `json:"set"`    // the whole file, at [PatchPath]
	// Head is the file's beginning. Its ID is patchset.Head.ID, which proves the whole set piece by
	// piece.
	Head Object `json:"head"`

	// What a target with all of From, and nothing else, has to do by the other routes.
	Chunks   int64 `json:"chunks"`   // bytes of chunks that From lacks, as packs hold them
	Blocks   int64 `json:"blocks"`   // bytes of stored blocks that From's image lacks
	Compress int64 `json:"compress"` // plain bytes that it compresses again unless it fetches stored blocks
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
	if len(r.Patches) > MaxPatches {
		return fmt.Errorf("%d patch sets, at most %d are possible", len(r.Patches), MaxPatches)
	}
	image := r.Artifact(ImageName)
	if len(r.Patches) > 0 && (image == nil || image.Recipe == nil) {
		return fmt.Errorf("patch sets without a recipe to lead to")
	}
	from, recipes := map[string]bool{}, map[chunkstore.ID]bool{}
	for i := range r.Patches {
		p := &r.Patches[i]
		if err := CheckName("version", p.From); err != nil {
			return fmt.Errorf("patch set: %w", err)
		}
		switch {
		case p.From == r.Version || p.Recipe == image.Recipe.Text:
			return fmt.Errorf("patch set from %q: leads from the release to itself", p.From)
		case from[p.From] || recipes[p.Recipe]:
			return fmt.Errorf("two patch sets from %q or its recipe", p.From)
		}
		from[p.From], recipes[p.Recipe] = true, true
		if err := p.validate(); err != nil {
			return fmt.Errorf("patch set from %q: %w", p.From, err)
		}
	}
	return nil
}

func (p *Patch) validate() error {
	if p.Recipe.IsZero() {
		return fmt.Errorf("no recipe")
	}
	if p.Release != nil {
		if err := p.Release.validate(MaxReleaseSize); err != nil {
			return fmt.Errorf("release: %w", err)
		}
	}
	if err := validateSet(p.Set, p.Head); err != nil {
		return err
	}
	for _, n := range [...]int64{p.Chunks, p.Blocks, p.Compress} {
		if n < 0 || n > MaxObjectSize {
			return fmt.Errorf("a route of %d bytes", n)
		}
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
