package mirror

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// FuzzDecodeBeside: a text of any kind, compressed as recipes of initrds are, gives an error or a
// recipe with chunks for all contents.
func FuzzDecodeBeside(f *testing.F) {
	image, err := mkimage.ParseRecipe(strings.NewReader(shortRecipe))
	if err != nil {
		f.Fatal(err)
	}
	enc := quickEncoder(f)
	f.Add([]byte("deltaup-initrd 1\ncodec x\nchunks min=64 average=64 max=64\nframe\ncpio newc upper\nt 0 0 0 0 1 0\nend 6\n"), false)
	f.Add([]byte(fmt.Sprintf("deltaup-initrd 1\ncodec x\nchunks min=64 average=64 max=64\nframe\ncpio newc upper\n"+
		"f 0644 0 0 1 1 1 3 %v x\nt 0 0 0 0 1 0\nend 7\n", chunkstore.Sum([]byte("abc")))), false)
	f.Add(enc.EncodeAll([]byte("deltaup-initrd 1\n"), nil), true)
	f.Fuzz(func(t *testing.T, text []byte, raw bool) {
		if len(text) == 0 || len(text) > 1<<20 {
			return
		}
		stored := text
		if !raw {
			stored = enc.EncodeAll(text, nil)
		}
		o := RecipeObject{Object: ObjectOf(stored), Plain: int64(len(text)), Text: chunkstore.Sum(text)}
		a := Artifact{Name: "initrd", Kind: "initrd", Recipe: &o}
		r, err := a.DecodeBeside(stored, image)
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		for c := range r.Contents() {
			if len(c.Chunks) == 0 {
				t.Errorf("content %v has no chunks", c.ID)
			}
		}
	})
}
