package apply

import (
	"bytes"
	"testing"

	"deltaup/apply/cache"
	"deltaup/chunkstore"
	"deltaup/delta"
)

// TestTakeStart: the beginning of a file is taken, or all of it, once; not more than it has.
func TestTakeStart(t *testing.T) {
	c, err := cache.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fetcher{cache: c}
	for i, tt := range []struct {
		start string
		size  int64
		want  int64 // bytes taken
	}{{"", 5, 0}, {"begin", 100, 5}, {"begin", 5, 5}, {"begin", 4, 0}, {"begin", 0, 0}} {
		file := delta.File{Kind: delta.SetFile, ID: chunkstore.Sum([]byte{byte(i)})}
		for range 2 {
			if err := f.takeStart(file, tt.size, []byte(tt.start)); err != nil {
				t.Error(err)
			}
		}
		if lacks := c.Lacks(file.ID, delta.Extent{Length: 5}); lacks != 5-tt.want {
			t.Errorf("%q of %d bytes: %d of 5 lack, want %d", tt.start, tt.size, lacks, 5-tt.want)
		}
		got := make([]byte, tt.want)
		if err := c.ReadAt(file.ID, got, 0); err != nil || !bytes.Equal(got, []byte(tt.start)[:tt.want]) {
			t.Errorf("%q, %v", got, err)
		}
	}
}
