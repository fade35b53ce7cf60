package apply

import (
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mirror"
)

// FuzzHead gives a target any bytes in the place of a patch set's head: none but the one that the
// release names is taken.
func FuzzHead(f *testing.F) {
	f.Add([]byte("dupatch\x00"), int64(8))
	f.Add(make([]byte, patchset.FixedSize+40), int64(patchset.FixedSize+40))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		want := mirror.Object{ID: chunkstore.Sum(b), Size: size}
		h, err := parseHead(b, want)
		if err != nil {
			return
		}
		if n, _ := patchset.HeadSize(b); h.ID != want.ID || n != size {
			t.Errorf("a head of %d bytes, %s, is taken for %+v", n, h.ID, want)
		}
	})
}
