package artifact

import (
	"bytes"
	"fmt"
	"testing"

	"deltaup/chunkstore"
)

// TestDictionaryAsBase has a new file that resembles nothing as much as the lines that the old
// listing's text has for the files of the image: a list of a kernel's modules.
func TestDictionaryAsBase(t *testing.T) {
	files := map[string][]byte{}
	var list bytes.Buffer
	for i := range 200 {
		path := fmt.Sprintf("usr/lib/modules/6.1.0-50/kernel/drivers/net/ethernet/%x.ko",
			noise(byte(i), 24))
		files[path] = noise(byte(i), 40+i)
		fmt.Fprintf(&list, "%s:\n", path)
	}
	image := imageOf(files)
	old := takeApart(t, map[string][]byte{"init": noise(1, 3000)})
	new := takeApart(t, map[string][]byte{"init": noise(1, 3000), "modules.dep": list.Bytes()})
	set := mustMake(t, old, new, image)
	wantApplied(t, set, old, new, image)

	_, s, err := open(t, set, old.recipe, image)
	if err != nil {
		t.Fatal(err)
	}
	wanted := chunkstore.Sum(list.Bytes())
	for _, e := range s.Step.Entries {
		if e.Content.ID == wanted && (e.Base == nil || e.Base.ID != s.old.textID) {
			t.Error("the list has another base, so that this test proves nothing")
		}
	}
}
