package apply

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/durable"
)

func write(t *testing.T, c *cache, id chunkstore.ID, offset int64, p []byte) {
	t.Helper()
	w, err := c.create(id, offset)
	if err != nil {
		t.Fatal(err)
	}
	for len(p) > 0 {
		n := min(len(p), 7)
		if _, err := w.Write(p[:n]); err != nil {
			t.Fatal(err)
		}
		p = p[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i*7 + i>>8)
	}
	return p
}

// TestCacheAgainstModel writes, cuts and reopens at random and compares with a map of bytes.
func TestCacheAgainstModel(t *testing.T) {
	const size = 2000
	want := pattern(size)
	id := chunkstore.Sum([]byte("pack"))
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 2))
		dir := filepath.Join(t.TempDir(), "fetch")
		c, err := openCache(dir)
		if err != nil {
			t.Fatal(err)
		}
		var have [size]bool
		for range 40 {
			from := rnd.IntN(size)
			to := from + 1 + rnd.IntN(min(300, size-from))
			switch rnd.IntN(3) {
			case 0:
				// what is there is never fetched again
				for to > from && (have[to-1] || have[from]) {
					to--
				}
				for i := from; i < to; i++ {
					if have[i] {
						to = i
						break
					}
					have[i] = true
				}
				if to > from {
					write(t, c, id, int64(from), want[from:to])
				}
			case 1:
				if err := c.cut(id, delta.Extent{Offset: int64(from), Length: int64(to - from)}); err != nil {
					t.Fatal(err)
				}
				clear(have[from:to])
			case 2:
				if c, err = openCache(dir); err != nil {
					t.Fatal(err)
				}
			}
			checkCache(t, c, id, want, have[:])
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
	}
}

func checkCache(t *testing.T, c *cache, id chunkstore.ID, want []byte, have []bool) {
	t.Helper()
	got := make([]bool, len(have))
	for _, e := range c.Extents(id) {
		for i := e.Offset; i < e.End(); i++ {
			got[i] = true
		}
		p := make([]byte, e.Length)
		if err := c.readAt(id, p, e.Offset); err != nil {
			t.Error(err)
		} else if !bytes.Equal(p, want[e.Offset:e.End()]) {
			t.Errorf("extent %v reads other bytes than were written", e)
		}
	}
	for i := range have {
		if got[i] != have[i] {
			t.Fatalf("byte %d: have %v, want %v", i, got[i], have[i])
		}
	}
}

func TestCacheReadsAcrossParts(t *testing.T) {
	c, err := openCache(filepath.Join(t.TempDir(), "fetch"))
	if err != nil {
		t.Fatal(err)
	}
	id, want := chunkstore.Sum(nil), pattern(300)
	write(t, c, id, 100, want[100:200])
	write(t, c, id, 0, want[:100])
	write(t, c, id, 200, want[200:])
	p := make([]byte, 250)
	if err := c.readAt(id, p, 20); err != nil || !bytes.Equal(p, want[20:270]) {
		t.Errorf("readAt: %v, equal %v", err, bytes.Equal(p, want[20:270]))
	}
	if err := c.readAt(id, p, 100); err == nil {
		t.Error("read beyond what is there")
	}
}

// TestCacheIgnoresStrangers: names that are not ours, and parts that a kill left empty.
func TestCacheIgnoresStrangers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "fetch")
	id := chunkstore.Sum(nil)
	folder := filepath.Join(dir, id.String())
	for path, content := range map[string]string{
		filepath.Join(folder, "007"):                 "leading zeros",
		filepath.Join(folder, "-5"):                  "negative",
		filepath.Join(folder, "9223372036854775807"): "beyond the end of int64",
		filepath.Join(folder, "0"):                   "",
		filepath.Join(folder, "12.tmp"):              "x",
		filepath.Join(dir, "notes", "0"):             "x",
		filepath.Join(folder, "3"):                   "good",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	c, err := openCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Extents(id); len(got) != 1 || got[0] != (delta.Extent{Offset: 3, Length: 4}) {
		t.Errorf("extents %v, want only 3+4", got)
	}
	write(t, c, id, 0, []byte("abc")) // where the empty part was
}

// TestCacheSyncs: all that was written is durable once the first of it is older than syncEvery,
// parts that were ended included; no sooner.
func TestCacheSyncs(t *testing.T) {
	c, err := openCache(filepath.Join(t.TempDir(), "fetch"))
	if err != nil {
		t.Fatal(err)
	}
	one, two := chunkstore.Sum([]byte("1")), chunkstore.Sum([]byte("2"))
	write(t, c, one, 0, []byte("ended"))
	w, err := c.create(two, 5)
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]int{}
	defer durable.SetHook(func(s durable.Step) error {
		if s.Op == durable.OpSyncFolder {
			folders[s.Path]++
		}
		return nil
	})()
	if _, err := w.Write([]byte("a")); err != nil {
		t.Fatal(err)
	}
	if len(folders) != 0 {
		t.Errorf("synced at once: %v", folders)
	}
	c.unsynced.since = c.unsynced.since.Add(-syncEvery)
	if _, err := w.Write([]byte("b")); err != nil {
		t.Fatal(err)
	}
	if folders[c.folder(one)] != 1 || folders[c.folder(two)] != 1 {
		t.Errorf("synced: %v", folders)
	}
	// The part that is written to goes on to be looked after, the ended one does not.
	c.unsynced.since = c.unsynced.since.Add(-syncEvery)
	if _, err := w.Write([]byte("c")); err != nil {
		t.Fatal(err)
	}
	if folders[c.folder(one)] != 1 || folders[c.folder(two)] != 2 {
		t.Errorf("synced: %v", folders)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}
