package cache

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/durable"
)

func write(t *testing.T, c *Cache, id chunkstore.ID, offset int64, p []byte) {
	t.Helper()
	w, err := c.Create(id, offset)
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
		c, err := Open(dir)
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
				if err := c.Cut(id, delta.Extent{Offset: int64(from), Length: int64(to - from)}); err != nil {
					t.Fatal(err)
				}
				clear(have[from:to])
			case 2:
				if c, err = Open(dir); err != nil {
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

func checkCache(t *testing.T, c *Cache, id chunkstore.ID, want []byte, have []bool) {
	t.Helper()
	got := make([]bool, len(have))
	for _, e := range c.Extents(id) {
		for i := e.Offset; i < e.End(); i++ {
			got[i] = true
		}
		p := make([]byte, e.Length)
		if err := c.ReadAt(id, p, e.Offset); err != nil {
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
	c, err := Open(filepath.Join(t.TempDir(), "fetch"))
	if err != nil {
		t.Fatal(err)
	}
	id, want := chunkstore.Sum(nil), pattern(300)
	write(t, c, id, 100, want[100:200])
	write(t, c, id, 0, want[:100])
	write(t, c, id, 200, want[200:])
	p := make([]byte, 250)
	if err := c.ReadAt(id, p, 20); err != nil || !bytes.Equal(p, want[20:270]) {
		t.Errorf("ReadAt: %v, equal %v", err, bytes.Equal(p, want[20:270]))
	}
	if err := c.ReadAt(id, p, 100); err == nil {
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
	c, err := Open(dir)
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
	c, err := Open(filepath.Join(t.TempDir(), "fetch"))
	if err != nil {
		t.Fatal(err)
	}
	one, two := chunkstore.Sum([]byte("1")), chunkstore.Sum([]byte("2"))
	write(t, c, one, 0, []byte("ended"))
	w, err := c.Create(two, 5)
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]int{}
	defer durable.SetHook(func(s durable.Action) error {
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

// TestMissing: what is missing of an extent is what no part has of it, in order.
func TestMissing(t *testing.T) {
	c, err := Open(filepath.Join(t.TempDir(), "fetch"))
	if err != nil {
		t.Fatal(err)
	}
	id := chunkstore.Sum(nil)
	write(t, c, id, 30, pattern(10))
	write(t, c, id, 10, pattern(10))
	for _, tt := range []struct {
		e    delta.Extent
		want []delta.Extent
	}{
		{delta.Extent{Offset: 0, Length: 50}, []delta.Extent{{Offset: 0, Length: 10}, {Offset: 20, Length: 10}, {Offset: 40, Length: 10}}},
		{delta.Extent{Offset: 12, Length: 5}, nil},
		{delta.Extent{Offset: 15, Length: 10}, []delta.Extent{{Offset: 20, Length: 5}}},
		{delta.Extent{Offset: 40, Length: 1}, []delta.Extent{{Offset: 40, Length: 1}}},
	} {
		var n int64
		for _, m := range tt.want {
			n += m.Length
		}
		if got := c.Missing(id, tt.e); !slices.Equal(got, tt.want) || c.Lacks(id, tt.e) != n {
			t.Errorf("of %v: missing %v, want %v; lacks %d", tt.e, got, tt.want, c.Lacks(id, tt.e))
		}
	}
	if err := c.Clear(); err != nil || c.Lacks(id, delta.Extent{Length: 50}) != 50 {
		t.Errorf("cleared: %v, %d of 50 bytes are missing", err, c.Lacks(id, delta.Extent{Length: 50}))
	}
}

// TestAwait waits for bytes that another goroutine writes, and for none when its context ends.
func TestAwait(t *testing.T) {
	c, err := Open(filepath.Join(t.TempDir(), "fetch"))
	if err != nil {
		t.Fatal(err)
	}
	id, all := chunkstore.Sum(nil), delta.Extent{Length: 100}
	there := func() bool { return c.Lacks(id, all) == 0 }
	done := make(chan error)
	go func() { done <- c.Await(t.Context(), there) }()
	write(t, c, id, 0, pattern(100))
	if err := <-done; err != nil || !there() {
		t.Errorf("awaited: %v, %d bytes are missing", err, c.Lacks(id, all))
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- c.Await(ctx, func() bool { return false }) }()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("a context that ended: %v", err)
	}
}
