package artifact

import "deltaup/chunkstore"

// bases gives for the contents of the new kernel those of the old one, by their ids. Their paths are
// others where only one of both is in a unified kernel image, and where another section comes before
// one that stays as it is.
func (p *Pair) bases() map[chunkstore.ID]chunkstore.ID {
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
