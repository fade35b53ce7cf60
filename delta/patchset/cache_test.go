package patchset

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/suffix"
)

// memory is a Keeper that counts.
type memory struct {
	mu    sync.Mutex
	kept  map[chunkstore.ID][]byte
	found int // Gets that gave something
	puts  map[chunkstore.ID]int
	after func(puts int) // called after each Put; may be nil
}

func newMemory() *memory {
	return &memory{kept: map[chunkstore.ID][]byte{}, puts: map[chunkstore.ID]int{}}
}

func (m *memory) Get(key chunkstore.ID) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept[key] != nil {
		m.found++
	}
	return m.kept[key]
}

func (m *memory) Put(key chunkstore.ID, value []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[key] = value
	m.puts[key]++
	if m.after != nil {
		m.after(len(m.puts))
	}
}

// TestCache: a set is the same with an empty cache, a full one and none; with a full one nothing is
// made anew, and for a set from another release only what that has otherwise.
func TestCache(t *testing.T) {
	from, to := long(t)
	want, _ := makeSet(t, from, to, MakeOptions{})
	c := newMemory()
	for run := range 2 {
		got, _ := makeSet(t, from, to, MakeOptions{Cache: c, workers: 1 + run*6})
		if !bytes.Equal(got, want) {
			t.Errorf("run %d: another set", run)
		}
		if first := len(c.puts); first < 12 || c.found != run*first {
			t.Errorf("run %d: %d were put, %d found", run, first, c.found)
		}
		for key, n := range c.puts {
			if n > 1 {
				t.Errorf("%v is made %d times", key, n)
			}
		}
	}

	var files []file // another release, with other contents before and among those
	for _, path := range []string{"usr/lib/00", "usr/lib/05"} {
		files = append(files, file{path: path, plain: text(77, 90<<10)})
	}
	for _, e := range from.recipe.Entries.All() {
		if e.Content != nil && !slices.ContainsFunc(files, func(f file) bool { return f.path == e.Path }) {
			files = append(files, file{path: e.Path, plain: from.plain[e.Content.ID]})
		}
	}
	other := newRelease(t, 9, chunkstore.DefaultParams, files)
	want, _ = makeSet(t, other, to, MakeOptions{})
	c.found = 0
	before := len(c.puts)
	got, _ := makeSet(t, other, to, MakeOptions{Cache: c})
	if !bytes.Equal(got, want) {
		t.Error("from another release: another set")
	}
	if more := len(c.puts) - before; c.found < 10 || more == 0 || more > 10 {
		t.Errorf("from another release: %d found, %d new", c.found, more)
	}
}

// TestHostileCache: whatever a cache gives, the set is right; and where it is not a larger patch of
// the same bytes, it is the same set.
func TestHostileCache(t *testing.T) {
	from, to := long(t)
	want, _ := makeSet(t, from, to, MakeOptions{})
	whole := newMemory()
	makeSet(t, from, to, MakeOptions{Cache: whole})
	keys := slices.Collect(maps.Keys(whole.kept))
	bomb := packer().EncodeAll(make([]byte, 64<<20), nil)
	var before, far suffix.Streams // copies from before the window, and from behind it
	before = suffix.Streams{{0x80, 0xa0, 0x06}, {0}, {1}, {0x80, 0xa0, 0x06}}
	far = suffix.Streams{{0x80, 0xa0, 0x06}, {0}, {0xfe, 0xff, 0xff, 0xff, 0x0f}, {0x80, 0xa0, 0x06}}
	packed := func(s *suffix.Streams) []byte {
		m := newMemory()
		cache{m}.keepPatch(keys[0], s, 100<<10)
		return m.kept[keys[0]]
	}
	for what, forged := range map[string]func(i int, was []byte) []byte{
		"nothing":      func(int, []byte) []byte { return []byte{} },
		"a byte":       func(int, []byte) []byte { return []byte{1} },
		"cut off":      func(_ int, was []byte) []byte { return was[:len(was)-1] },
		"a bit":        func(i int, was []byte) []byte { was = bytes.Clone(was); was[i*37%len(was)] ^= 4; return was },
		"more":         func(_ int, was []byte) []byte { return append(bytes.Clone(was), 0) },
		"another's":    func(i int, _ []byte) []byte { return whole.kept[keys[(i+1)%len(keys)]] },
		"no coder":     func(_ int, was []byte) []byte { return append([]byte{77}, was[1:]...) },
		"a bomb":       func(int, []byte) []byte { return bomb },
		"from before":  func(int, []byte) []byte { return packed(&before) },
		"from far off": func(int, []byte) []byte { return packed(&far) },
	} {
		c := newMemory()
		for i, key := range keys {
			c.kept[key] = forged(i, whole.kept[key])
		}
		got, _ := makeSet(t, from, to, MakeOptions{Cache: c})
		if !bytes.Equal(got, want) {
			t.Errorf("%s: another set, of %d bytes", what, len(got))
		}
	}
	// what is right but larger is taken, and checked
	c := newMemory()
	for _, k := range to.recipe.DataOrder() {
		plain := to.plain[k.ID]
		for _, old := range from.plain {
			x := (&maker{cache: cache{c}}).matcher(old, 0)
			s := suffix.NewIndex(nil, 0).Search(plain).Diff(suffix.TextGain)
			x.cache.keepPatch(x.cache.patchKey(x, plain), &s, len(plain))
		}
	}
	got, _ := makeSet(t, from, to, MakeOptions{Cache: c})
	if checkSet(t, got, from, to); len(got) <= len(want) {
		t.Errorf("%d bytes with large patches, %d without", len(got), len(want))
	}
}

// TestKilled: a run that ends anywhere leaves what it has made to the next one.
func TestKilled(t *testing.T) {
	from, to := long(t)
	want, _ := makeSet(t, from, to, MakeOptions{})
	all := newMemory()
	makeSet(t, from, to, MakeOptions{Cache: all})
	for _, at := range []int{1, 5, 11, len(all.puts) - 1} {
		ctx, cancel := context.WithCancel(t.Context())
		c := newMemory()
		c.after = func(puts int) {
			if puts == at {
				cancel()
			}
		}
		_, err := Make(ctx, io.Discard, Side{from.recipe, from}, Side{to.recipe, to}, MakeOptions{Cache: c})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("ended at %d of %d: error %v", at, len(all.puts), err)
		}
		c.after = nil
		made := len(c.puts)
		got, _ := makeSet(t, from, to, MakeOptions{Cache: c})
		if !bytes.Equal(got, want) {
			t.Errorf("ended at %d: another set", at)
		}
		if c.found < made {
			t.Errorf("ended at %d: %d were made, and %d found", at, made, c.found)
		}
		for key, n := range c.puts {
			if n > 1 {
				t.Errorf("ended at %d: %v is made %d times", at, key, n)
			}
		}
	}
}

// FuzzKeptPatch: whatever a cache gives is a patch that gives the right bytes, or none.
func FuzzKeptPatch(f *testing.F) {
	old, plain := text(1, 20<<10), changed(text(1, 20<<10), 700)
	m := newMemory()
	x := (&maker{cache: cache{m}}).matcher(old, 4096)
	x.diff(plain, func() {})
	key := x.cache.patchKey(x, plain)
	if len(m.kept[key]) == 0 {
		f.Fatal("nothing is kept")
	}
	f.Add(m.kept[key])
	f.Add(packer().EncodeAll(make([]byte, 6), nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newMemory()
		c.kept[key] = b
		s, ok := cache{c}.patch(key, x, plain)
		if !ok {
			return
		}
		if s.Len() > patchMost(len(plain)) {
			t.Errorf("a patch of %d bytes", s.Len())
		}
		got, err := suffix.Patch(nil, shifted{old, 4096}, 4096+int64(len(old)), s, int64(len(plain)))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("it gives other bytes (%v)", err)
		}
	})
}
