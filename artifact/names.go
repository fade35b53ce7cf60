package artifact

import (
	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// A set names the contents of the image beside the artifact by the image's paths. A target that
// learns of that image by a patch set does not know all of their ids.

// nameOf gives the name that the content of a file of the image has.
func nameOf(path string) chunkstore.ID {
	return chunkstore.Sum([]byte("path of an image: " + path))
}

// named copies a recipe. Contents that the image has are named by their first paths there.
func named(r Recipe, image *mkimage.Recipe) Recipe {
	names := map[chunkstore.ID]chunkstore.ID{}
	for _, e := range image.Entries.All() {
		if c := e.Content; c != nil && names[c.ID].IsZero() {
			names[c.ID] = nameOf(e.Path)
		}
	}
	contents := map[*chunkstore.Content]*chunkstore.Content{}
	return r.With(func(c *chunkstore.Content) *chunkstore.Content {
		if contents[c] == nil {
			copied := *c
			if name, ok := names[c.ID]; ok {
				copied.ID = name
			}
			contents[c] = &copied
		}
		return contents[c]
	})
}
