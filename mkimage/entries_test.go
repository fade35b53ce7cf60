package mkimage

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage/tree"
)

// oddEntries has every kind of entry, also such as Validate refuses.
func oddEntries() []Entry {
	shared := &chunkstore.Content{ID: chunkstore.ID{1}, Size: 5}
	twin := &chunkstore.Content{ID: chunkstore.ID{1}, Size: 6}
	xattrs := []tree.Xattr{{Name: "user.a", Value: []byte{0, 1}}, {Name: "user.b", Value: []byte{}}}
	entry := func(path string, a tree.Attr) Entry {
		return Entry{Entry: tree.Entry{Path: path, Attr: a}}
	}
	file := func(path string, c *chunkstore.Content) Entry {
		e := entry(path, tree.Attr{Type: tree.Regular, Mode: 0o644, UID: 1 << 31, ModTime: 1<<32 - 1})
		e.Content, e.Size = c, c.Size
		return e
	}
	wrong := file("e", shared)
	wrong.Size = 1 << 40
	link := file("f", shared)
	link.Content, link.Link = nil, "e"
	second := link
	second.Path = "g"
	both := file("h", twin)
	both.Link, both.Target = "e", "t"
	return []Entry{
		entry("", tree.Attr{Type: tree.Directory, Mode: 0o755, Xattrs: xattrs}),
		file("a", shared),
		file("a/b/\x00\xff", emptyContent),
		file("c", twin),
		file("d", shared),
		wrong, link, second, both,
		entry("i", tree.Attr{Type: tree.Symlink, Target: strings.Repeat("../", 300)}),
		entry("j", tree.Attr{Type: tree.CharDevice, Major: 4095, Minor: 1<<20 - 1, Xattrs: xattrs}),
		entry("k", tree.Attr{Type: 77, Mode: 0xffff, GID: 7}),
		entry("k", tree.Attr{Type: tree.FIFO}),
		entry("A", tree.Attr{Type: tree.Socket, Xattrs: xattrs[:1]}),
	}
}

// TestEntries packs entries and demands each of them again.
func TestEntries(t *testing.T) {
	list := oddEntries()
	packed := PackEntries(list...)
	if packed.Len() != len(list) {
		t.Fatalf("%d entries of %d", packed.Len(), len(list))
	}
	for i, e := range packed.All() {
		if !reflect.DeepEqual(e, list[i]) || !reflect.DeepEqual(packed.At(i), list[i]) {
			t.Errorf("entry %d is %+v, and by At %+v, instead of %+v", i, e, packed.At(i), list[i])
		}
		if e.Content != list[i].Content || packed.Content(i) != list[i].Content {
			t.Errorf("entry %d has another content", i)
		}
	}
	var paths []string
	for c, path := range packed.FirstPaths() {
		paths = append(paths, fmt.Sprintf("%s %d", path, c.Size))
	}
	var firsts []string
	for i, c := range packed.Contents() {
		firsts = append(firsts, fmt.Sprintf("%s %d", list[i].Path, c.Size))
	}
	if want := []string{"a 5", "c 6"}; !slices.Equal(paths, want) || !slices.Equal(firsts, want) {
		t.Errorf("contents %q and %q, want %q", paths, firsts, want)
	}
}

// manyPaths gives paths in path order as an image has them.
func manyPaths(n int) []string {
	paths := map[string]bool{"": true}
	for i := range n {
		p := fmt.Sprintf("usr/share/doc/package-%d/changelog-%d.gz", i%(n/20+1), i)
		for ; p != "" && !paths[p]; p, _ = splitPath(p) {
			paths[p] = true
		}
	}
	var list []string
	for p := range paths {
		list = append(list, p)
	}
	slices.SortFunc(list, tree.Compare)
	return list
}

// TestFindEntry finds each path of lists of many lengths, and no other.
func TestFindEntry(t *testing.T) {
	for _, n := range []int{0, 1, 2, 15, 16, 17, 33, 500} {
		paths := manyPaths(n)
		var e Entries
		for _, p := range paths {
			e.Append(Entry{Entry: tree.Entry{Path: p, Attr: tree.Attr{Type: tree.Directory}}})
		}
		for i, p := range paths {
			if at, ok := e.Find(p); !ok || at != i {
				t.Fatalf("%d paths: %q is at %d, found %d, %v", n, p, i, at, ok)
			}
			for _, other := range []string{p + "!", p + "/0", p + "\xff", "0" + p} {
				if at, ok := e.Find(other); ok && paths[at] != other {
					t.Fatalf("%d paths: %q found at %d", n, other, at)
				}
			}
		}
	}
	var none Entries
	if _, ok := none.Find(""); ok {
		t.Error("the root of no tree was found")
	}
}

// FuzzPathList packs any paths and demands each of them again.
func FuzzPathList(f *testing.F) {
	f.Add("a\na/b\na/b/c\nab\n\nzz", uint8(1))
	f.Add(strings.Join(manyPaths(40), "\n"), uint8(7))
	f.Fuzz(func(t *testing.T, text string, seed uint8) {
		paths := strings.Split(text, "\n")
		if r := rand.New(rand.NewPCG(uint64(seed), 0)); seed > 0 {
			r.Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
		}
		var l pathList
		for _, p := range paths {
			l.append(p)
		}
		for i, p := range l.all() {
			if string(p) != paths[i] || string(l.at(i, nil)) != paths[i] {
				t.Fatalf("path %d is %q, and by at %q, instead of %q", i, p, l.at(i, nil), paths[i])
			}
		}
		slices.SortFunc(paths, tree.Compare)
		paths = slices.Compact(paths)
		l = pathList{}
		for _, p := range paths {
			l.append(p)
		}
		for i, p := range paths {
			if at, ok := l.find(p); !ok || at != i {
				t.Fatalf("%q is at %d, found %d, %v", p, i, at, ok)
			}
		}
	})
}

// held is how many bytes what build makes holds.
func held(build func() any) int64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	x := build()
	runtime.GC()
	runtime.ReadMemStats(&after)
	runtime.KeepAlive(x)
	return int64(after.HeapAlloc) - int64(before.HeapAlloc)
}

// TestRecipeMemory bounds what a recipe in memory takes: 60 bytes a name, and 240 for a file with
// its content and one chunk. As a list of structs it took 400.
func TestRecipeMemory(t *testing.T) {
	paths := manyPaths(20_000)
	list := make([]Entry, 0, len(paths))
	for i, p := range paths {
		e := Entry{Entry: tree.Entry{Path: p, Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}}}
		if strings.HasSuffix(p, ".gz") {
			c := &chunkstore.Content{ID: chunkstore.Sum([]byte(p)), Size: int64(i + 1)}
			c.Chunks = []chunkstore.Chunk{{ID: c.ID, Size: c.Size}}
			e = Entry{Entry: tree.Entry{Path: p, Size: c.Size, Attr: tree.Attr{
				Type: tree.Regular, Mode: 0o644, ModTime: uint32(i)}}, Content: c}
		}
		list = append(list, e)
	}
	names := held(func() any { t := PackEntries(list...); return &t })
	if each := names / int64(len(list)); each > 60 {
		t.Errorf("an entry takes %d bytes without its content", each)
	}
	r := &Recipe{BlockSize: defaultBlockSize, Codec: codecs[0].ID, Chunking: chunkstore.DefaultParams,
		Entries: PackEntries(list...)}
	text := recipeText(t, r)
	parsed := held(func() any {
		r, err := ParseRecipe(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return r
	})
	t.Logf("%d entries take %d bytes, with their contents %d", len(list), names, parsed)
	if each := parsed / int64(len(list)); each > 240 {
		t.Errorf("an entry takes %d bytes with its content", each)
	}
	runtime.KeepAlive(list)
}
