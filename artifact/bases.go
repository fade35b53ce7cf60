package artifact

import (
	"strings"

	"deltaup/chunkstore"
	"deltaup/mkimage/tree"
)

// bases gives for contents of the new artifact those of the old one, by their ids. Their paths are
// others where only one of both is a unified kernel image, and where another section comes before
// one that stays as it is.
func (p *Pair) bases() map[chunkstore.ID]chunkstore.ID {
	if uki, ok := p.Old.(*ukiRecipe); ok {
		if initrd, ok := p.New.(initrdRecipe); ok {
			return uki.basesOf(initrd)
		}
	}
	old, new := kernelOf(p.Old).Recipe, kernelOf(p.New).Recipe
	if old == nil || new == nil {
		return nil
	}
	list := map[chunkstore.ID]chunkstore.ID{}
	for _, c := range [...][2]*chunkstore.Content{
		{old.Before, new.Before}, {old.Behind, new.Behind}, {old.Payload, new.Payload},
	} {
		if c[0] != nil && c[1] != nil {
			list[c[1].ID] = c[0].ID
		}
	}
	return list
}

// kernelOf gives the recipe of the kernel in an artifact; an empty one when there is none.
func kernelOf(r Recipe) kernelRecipe {
	switch r := r.(type) {
	case kernelRecipe:
		return r
	case *ukiRecipe:
		return r.linux
	}
	return kernelRecipe{}
}

// basesOf gives those for the files of an initrd, by their names but for versions.
func (r *ukiRecipe) basesOf(new initrdRecipe) map[chunkstore.ID]chunkstore.ID {
	old, list := map[string]chunkstore.ID{}, map[chunkstore.ID]chunkstore.ID{}
	for name, c := range r.Files() {
		_, name, _ = strings.Cut(name, "/") // the part
		old[tree.Unversioned(name)] = c.ID
	}
	for name, c := range new.Files() {
		if id, ok := old[tree.Unversioned(name)]; ok {
			list[c.ID] = id
		}
	}
	return list
}
