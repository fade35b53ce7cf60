package mkimage

import (
	"fmt"
	"slices"
	"testing"

	"deltaup/chunkstore"
)

// sizedRecipe is a recipe of files with sizes but without bytes, which suffices for planLayout.
func sizedRecipe(blockSize int, sizes map[string]int64) *Recipe {
	var files []file
	for path, size := range sizes {
		f := regular(path, nil)
		f.Size = size
		files = append(files, f)
	}
	r := &Recipe{BlockSize: blockSize, Codec: "zstd-best.1", Chunking: chunkstore.DefaultParams}
	for _, f := range newTree(files...).files {
		e := Entry{Entry: f.Entry}
		if f.Size > 0 {
			id := chunkstore.Sum(fmt.Appendf(nil, "%s %d", f.Path, f.Size))
			e.Content = &chunkstore.Content{ID: id, Size: f.Size, Chunks: []chunkstore.Chunk{{ID: id, Size: f.Size}}}
		}
		r.Entries.Append(e)
	}
	return r
}

// shape gives the paths of each item, in brackets for a fragment block.
func shape(r *Recipe) (s []string) {
	for _, it := range planLayout(r) {
		var paths []string
		for _, m := range it.members {
			paths = append(paths, string(r.Entries.pathOf(m.number)))
		}
		if it.fragment {
			s = append(s, fmt.Sprint(paths))
		} else {
			s = append(s, paths...)
		}
	}
	return s
}

func TestPlanLayout(t *testing.T) {
	sizes := map[string]int64{"a": 4096, "b": 100, "c": 9000, "d": 200, "e": 5000, "f": 3900, "g": 1}
	r := sizedRecipe(4096, sizes)
	cases := []struct {
		first []string
		want  []string
	}{
		{nil, []string{"a", "[b d]", "c", "e", "[f g]"}},
		{[]string{"e"}, []string{"e", "a", "[b d]", "c", "[f g]"}},
		{[]string{"g", "d"}, []string{"[g d]", "a", "[b f]", "c", "e"}},
		{[]string{"g", "c", "d", "a"}, []string{"[g d]", "c", "a", "[b f]", "e"}},
		{[]string{"f", "e", "b"}, []string{"[f b]", "e", "a", "c", "[d g]"}},
	}
	for _, c := range cases {
		r.setOrder(c.first)
		if got := shape(r); !slices.Equal(got, c.want) {
			t.Errorf("%v first: %v, want %v", c.first, got, c.want)
		}
		if len(r.First) != len(c.first) {
			t.Errorf("%v first became %v", c.first, r.First)
		}
		again := slices.Clone(r.First)
		r.setOrder(r.First)
		if !slices.Equal(r.First, again) {
			t.Errorf("order %v became %v when set again", again, r.First)
		}
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// manyFiles gives sizes of small files as a root file system has them.
func manyFiles(n int) map[string]int64 {
	sizes := make(map[string]int64, n)
	for i := range n {
		path := fmt.Sprintf("usr/share/%04d", i)
		sizes[path] = 1 + int64(pathKey([]byte(path))%6000)
	}
	sizes["usr"], sizes["usr/share"] = 0, 0
	return sizes
}

func smallRecipe(sizes map[string]int64) *Recipe {
	r := sizedRecipe(128<<10, sizes)
	r.Entries = changed(&r.Entries, func(_ int, e *Entry) {
		if e.Path == "usr" || e.Path == "usr/share" {
			*e = Entry{Entry: folder(e.Path).Entry}
		}
	})
	return r
}

// TestFragmentsResynchronise changes one file among thousands and demands that nearly all fragment
// blocks have the same contents as before.
func TestFragmentsResynchronise(t *testing.T) {
	const n = 3000
	sizes := manyFiles(n)
	before := make(map[string]bool)
	blocks := shape(smallRecipe(sizes))
	for _, s := range blocks {
		before[s] = true
	}
	var total int64
	for _, size := range sizes {
		total += size
	}
	fill := float64(total) / float64(len(blocks)) / float64(128<<10)
	t.Logf("%d blocks, %.1f %% full", len(blocks), 100*fill)
	if fill < 0.8 {
		t.Errorf("fragment blocks are %.0f %% full", 100*fill)
	}
	worst, sum, cases := 0, 0, 0
	for i := 7; i < n; i += 97 {
		path := fmt.Sprintf("usr/share/%04d", i)
		old := sizes[path]
		for name, change := range map[string]func(){
			"grown":   func() { sizes[path] += 900 },
			"shrunk":  func() { sizes[path] = 1 },
			"removed": func() { delete(sizes, path) },
			"added":   func() { sizes[path+".new"] = 2000 },
		} {
			change()
			changed := 0
			for _, s := range shape(smallRecipe(sizes)) {
				if !before[s] {
					changed++
				}
			}
			sizes[path] = old
			delete(sizes, path+".new")
			if changed > worst {
				t.Logf("%s %s: %d blocks differ", path, name, changed)
				worst = changed
			}
			sum += changed
			cases++
		}
	}
	// A file that only changes its size may keep the paths of its block the same, and shape then
	// does not count that block.
	if average := float64(sum) / float64(cases); average > 2.5 || worst > len(blocks)/3 {
		t.Errorf("%.1f blocks differ on average, %d at worst", average, worst)
	}
}

func TestFragmentsKeepWithinBlocks(t *testing.T) {
	for _, blockSize := range []int{4096, 65536, 1 << 20} {
		sizes := map[string]int64{}
		for i := range 500 {
			path := fmt.Sprintf("%03d", i)
			sizes[path] = 1 + int64(pathKey([]byte(path))%uint64(blockSize+1))
		}
		seen := 0
		for _, it := range planLayout(sizedRecipe(blockSize, sizes)) {
			var sum int64
			for _, m := range it.members {
				sum += m.content.Size
			}
			seen += len(it.members)
			if it.fragment && sum > int64(blockSize) || !it.fragment && (sum < int64(blockSize) || len(it.members) != 1) {
				t.Errorf("block size %d: %d contents with %d bytes, fragment: %v", blockSize, len(it.members), sum, it.fragment)
			}
		}
		if seen != 500 {
			t.Errorf("%d of 500 contents have a place", seen)
		}
	}
}

func TestDuplicatesOfFirst(t *testing.T) {
	tree := newTree(
		regular("a", []byte("same")), regular("b", []byte("other")), regular("c", []byte("same")), regular("e", nil),
		regular("z", make([]byte, 50)),
	)
	r, _, _ := makeImage(t, tree, Options{Order: []string{"c", "a", "e", "z", "unknown", "b"}})
	if !slices.Equal(r.First, []string{"a", "b"}) {
		t.Errorf("order %v: want each content by its first path, and none without data", r.First)
	}
}
