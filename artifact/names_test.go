package artifact

import (
	"testing"

	"deltaup/chunkstore"
)

// TestUnknownIDs opens a set beside an image of whose contents nobody knows the ids yet. The recipe
// has what stands in for them.
func TestUnknownIDs(t *testing.T) {
	old, new, image := fixture(t)
	set := mustMake(t, old, new, image)
	standIn := map[chunkstore.ID]chunkstore.ID{}
	for c := range image.Contents() {
		id := chunkstore.StandIn(c.ID)
		standIn[c.ID], c.ID = id, id
	}
	_, s, err := open(t, set, old.recipe, image)
	if err != nil {
		t.Fatal(err)
	}
	has, found := byID(s.Recipe), 0
	for c := range new.recipe.Contents() {
		id, ok := standIn[c.ID]
		if ok {
			found++
		} else {
			id = c.ID
		}
		if got := has[id]; got == nil || got.Size != c.Size {
			t.Errorf("content %v: %v", id, got)
		}
	}
	if found == 0 {
		t.Error("nothing of the image is in the initrd, so that this test proves nothing")
	}
}
