package mirror

import "deltaup/mkimage"

// Decode decompresses and parses a stored recipe, whose bytes the caller has
// verified against o.Object. At most o.Plain bytes are taken.
// Errors wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion.
func (o RecipeObject) Decode(stored []byte) (*mkimage.Recipe, error) { panic("unbuilt") }
