package publish_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"sync"
	"testing"

	"deltaup/chunkstore"
	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
)

// counting is a cache in memory.
type counting struct {
	mu    sync.Mutex
	kept  map[chunkstore.ID][]byte
	found int
	twice int
	put   func() // called after each Put; may be nil
}

func (c *counting) Get(key chunkstore.ID) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept[key] != nil {
		c.found++
	}
	return c.kept[key]
}

func (c *counting) Put(key chunkstore.ID, value []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept[key] != nil {
		c.twice++
	}
	c.kept[key] = value
	if c.put != nil {
		c.put()
	}
}

// TestCache: a release whose sets lead from two old ones has what these have in common made once,
// also when a run is cut off and another goes on; and the mirror is the same as without a cache.
func TestCache(t *testing.T) {
	old := bytes.Repeat(mirrortest.Noise(1, 40), 2000)
	new := bytes.Clone(old)
	for i := 100; i < len(new); i += 300 + i%7 {
		new[i]++
	}
	trees := []map[string][]byte{
		{"bin/lib": old, "bin/other": mirrortest.Noise(2, 30<<10)},
		{"bin/lib": old, "bin/other": mirrortest.Noise(3, 31<<10)},
		{"bin/lib": new, "bin/other": mirrortest.Noise(4, 32<<10)},
	}
	var list []publish.Publication
	for i, files := range trees {
		p := publish.Publication{
			Version: string('1' + rune(i)), Channel: "stable", Image: publishtest.Image(t, files),
			PatchFrom: i,
		}
		list = append(list, p)
	}
	plain := t.TempDir()
	for _, p := range list {
		publishtest.Publish(t, plain, p)
	}
	want := publishtest.Snapshot(t, plain)

	for _, cut := range []bool{false, true} {
		dir, c := t.TempDir(), &counting{kept: map[chunkstore.ID][]byte{}}
		for i, p := range list {
			p.Cache = c
			if cut && i == 2 {
				ctx, cancel := context.WithCancel(t.Context())
				c.put = cancel
				if _, err := publish.Add(ctx, folder.At(dir), p); !errors.Is(err, context.Canceled) {
					t.Fatalf("cut off: error %v", err)
				}
				c.put = nil
			}
			publishtest.Publish(t, dir, p)
		}
		if c.found == 0 || c.twice > 0 {
			t.Errorf("cut off %v: %d were found, %d made twice", cut, c.found, c.twice)
		}
		if got := publishtest.Snapshot(t, dir); !maps.Equal(got, want) {
			t.Errorf("cut off %v: the mirror has %q, without a cache %q", cut,
				publishtest.Names(got), publishtest.Names(want))
		}
	}
}
