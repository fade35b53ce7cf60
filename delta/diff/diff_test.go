package diff

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mkimage"
	"deltaup/mkimage/blockmap"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// file is one name of a test's tree; a name that ends in a slash is a directory.
type file struct {
	path string
	data []byte
	attr func(*tree.Attr)
}

// memTree is a tree in memory.
type memTree struct {
	entries []tree.Entry
	data    map[string][]byte
}

func (t *memTree) Entries() []tree.Entry { return t.entries }
func (t *memTree) Warnings() []string    { return nil }
func (t *memTree) Close() error          { return nil }
func (t *memTree) Open(i int) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(t.data[t.entries[i].Path])), nil
}

func newTree(files []file) *memTree {
	t := &memTree{data: map[string][]byte{}}
	add := func(path string, kind tree.Type, mode uint16, f *file) {
		e := tree.Entry{Path: path, Attr: tree.Attr{Type: kind, Mode: mode, ModTime: 1_000_000_000}}
		if f != nil {
			e.Size = int64(len(f.data))
			t.data[path] = f.data
			if f.attr != nil {
				f.attr(&e.Attr)
			}
		}
		t.entries = append(t.entries, e)
	}
	known := map[string]bool{"": true}
	add("", tree.Directory, 0o755, nil)
	for _, f := range files {
		for i, c := range f.path {
			if dir := f.path[:i]; c == '/' && !known[dir] {
				known[dir] = true
				add(dir, tree.Directory, 0o755, nil)
			}
		}
		add(f.path, tree.Regular, 0o644, &f)
	}
	slices.SortFunc(t.entries, func(a, b tree.Entry) int { return tree.Compare(a.Path, b.Path) })
	return t
}

// release is an image in memory.
type release struct{ Side }

type memFile struct{ b []byte }

func (m *memFile) WriteAt(p []byte, off int64) (int, error) {
	if grow := int(off) + len(p) - len(m.b); grow > 0 {
		m.b = append(m.b, make([]byte, grow)...)
	}
	return copy(m.b[off:], p), nil
}

func newRelease(t *testing.T, o mkimage.Options, files ...file) release {
	t.Helper()
	if o.Level == "" {
		o.Level = "fastest"
	}
	r, source, err := mkimage.NewRecipe(t.Context(), newTree(files), o)
	if err != nil {
		t.Fatal(err)
	}
	var out memFile
	if _, err := mkimage.Build(t.Context(), r, source, &out, mkimage.BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	m, err := squashfs.Open(bytes.NewReader(out.b), int64(len(out.b)))
	if err != nil {
		t.Fatal(err)
	}
	d, err := mkimage.Derive(t.Context(), m, chunkstore.Params{}, mkimage.DeriveOptions{})
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := blockmap.Make(t.Context(), m, bytes.NewReader(out.b), int64(len(out.b)))
	if err != nil {
		t.Fatal(err)
	}
	return release{Side{d.Recipe, patchset.FromImage(d), blocks}}
}

func compare(t *testing.T, from, to release, o Options) *Report {
	t.Helper()
	r, err := Compare(t.Context(), from.Side, to.Side, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

func (r *Report) reason(kind string) *Reason {
	i := slices.IndexFunc(r.Reasons, func(s Reason) bool { return s.Kind == kind })
	if i < 0 {
		return nil
	}
	return &r.Reasons[i]
}

func TestCompare(t *testing.T) {
	big := noise(1, 300<<10)
	changed := bytes.Clone(big)
	copy(changed[100<<10:], noise(2, 3000))
	same := file{path: "lib/a/same", data: noise(3, 200<<10)}
	from := newRelease(t, mkimage.Options{}, file{path: "lib/a/big", data: big}, same, file{path: "etc/old", data: noise(4, 500)})
	to := newRelease(t, mkimage.Options{}, file{path: "lib/a/big", data: changed}, same,
		file{path: "etc/renamed", data: noise(4, 500)}, file{path: "lib/b/c/new", data: noise(5, 50<<10)})

	r := compare(t, from, to, Options{})
	if r.Whole.PatchSet < 53<<10 || r.Whole.PatchSet > 60<<10 || r.Whole.Recipe <= 0 || r.Whole.LeftChunks != 0 {
		t.Errorf("the patch set: %+v", r.Whole)
	}
	if r.Whole.Chunks < 60<<10 || r.Whole.Chunks > 400<<10 {
		t.Errorf("the chunks: %+v", r.Whole)
	}
	wantStored, wantPlain := to.Blocks.Lacking(from.Blocks), to.Recipe.Lacking(from.Recipe)
	if r.Whole.Blocks != wantStored || r.Whole.Compress != wantPlain || wantPlain < 350<<10 || wantPlain > 360<<10 {
		t.Errorf("the blocks: %+v, want %d and %d", r.Whole, wantStored, wantPlain)
	}
	for i, want := range []RouteCost{{Patch, 2, 350 << 10, 0}, {Chunks, 0, 0, 0}, {Unchanged, 2, 200<<10 + 500, 0}} {
		got := r.Routes[i]
		if got.Route != want.Route || got.Files != want.Files || got.Size != want.Size || (got.Cost > 0) != (got.Route == Patch) {
			t.Errorf("route %+v, want %+v", got, want)
		}
	}
	if sum := r.Files[0].Cost + r.Files[1].Cost; sum != r.Routes[0].Cost || sum > r.Whole.PatchSet || sum < r.Whole.PatchSet-1000 {
		t.Errorf("files cost %d, the set has %d", sum, r.Whole.PatchSet)
	}
	if len(r.Files) != 2 || r.Files[0].Path != "lib/b/c/new" || !r.Files[0].New || r.Files[1].Path != "lib/a/big" ||
		r.Files[1].New || r.Files[1].Base != "lib/a/big" || r.Files[1].Cost < 3000 || r.Files[1].Cost > 4000 || r.Files[0].Size != 50<<10 {
		t.Errorf("files: %+v", r.Files)
	}
	// All of lib/b is in lib/b/c, which says it better.
	if !slices.EqualFunc(r.Directories, []string{"lib", "lib/b/c", "lib/a"}, func(d DirCost, path string) bool { return d.Path == path }) || r.Directories[0].Files != 2 {
		t.Errorf("directories: %+v", r.Directories)
	}
	if len(r.Reasons) != 0 {
		t.Errorf("reasons: %+v", r.Reasons)
	}

	frames := 0
	chunks := compare(t, from, to, Options{NoPatches: true, Frame: func(c chunkstore.Chunk) int64 { frames++; return 10 }})
	if chunks.Whole.PatchSet != 0 || chunks.Routes[1].Files != 2 || chunks.Whole.Chunks != int64(frames)*10 || chunks.Routes[1].Cost != chunks.Whole.Chunks {
		t.Errorf("by chunks of 10 bytes: %+v %+v, %d frames", chunks.Whole, chunks.Routes, frames)
	}
	if none := compare(t, to, to, Options{}); len(none.Files) != 0 || none.Whole.Chunks != 0 || none.Whole.Compress != 0 || none.Routes[2].Files != 4 {
		t.Errorf("the same release: %+v", none)
	}
}

func TestNames(t *testing.T) {
	attr := func(change func(a *tree.Attr)) func(*tree.Attr) { return change }
	a, b := noise(1, 100), noise(2, 100)
	from := newRelease(t, mkimage.Options{}, file{path: "content", data: a}, file{path: "mode", data: a}, file{path: "time", data: a},
		file{path: "xattr", data: a}, file{path: "both", data: a}, file{path: "gone", data: b}, file{path: "same", data: a}, file{path: "became/dir", data: a})
	later := func(a *tree.Attr) { a.ModTime += 60 }
	to := newRelease(t, mkimage.Options{}, file{path: "content", data: b, attr: later}, file{path: "mode", data: a, attr: attr(func(a *tree.Attr) { a.Mode = 0o600 })},
		file{path: "time", data: a, attr: later}, file{path: "same", data: a},
		file{path: "xattr", data: a, attr: attr(func(a *tree.Attr) {
			a.Xattrs = []tree.Xattr{{Name: "user.a", Value: []byte("b")}}
		})},
		file{path: "both", data: a, attr: attr(func(a *tree.Attr) { a.UID = 5; a.ModTime++ })},
		file{path: "moved", data: b}, file{path: "new", data: noise(3, 10)}, file{path: "became", data: a})
	n := compare(t, from, to, Options{NoPatches: true}).Names
	want := Names{Total: 10, Added: 2, Removed: 2, Content: 2, Owner: 3, Times: 1, Unchanged: 2, Renamed: 1,
		TimesExample: "time", OwnerExample: "both"}
	n.Moved, n.Repacked = 0, 0
	if n != want {
		t.Errorf("got %+v, want %+v", n, want)
	}
}

func TestReasons(t *testing.T) {
	var old, times []file
	for i := range 40 {
		f := file{path: fmt.Sprintf("bin/%02d", i), data: noise(byte(i), 200<<10)}
		old = append(old, f)
		f.attr = func(a *tree.Attr) { a.ModTime++ }
		times = append(times, f)
	}
	state := append(slices.Clone(old), file{path: "var/cache/a", data: noise(99, 100)})
	from := newRelease(t, mkimage.Options{}, old...)
	if r := compare(t, from, newRelease(t, mkimage.Options{}, times...), Options{}).reason(reasonTimes); r == nil || r.Files != 40 {
		t.Errorf("all times changed: %+v", r)
	}
	if r := compare(t, from, newRelease(t, mkimage.Options{}, state...), Options{}).reason(reasonState); r == nil || r.Files != 1 || r.Cost < 100 || r.Example != "var/cache/a" {
		t.Errorf("a cache: %+v", r)
	}
	r := compare(t, from, newRelease(t, mkimage.Options{Level: "best", BlockSize: 64 << 10, Chunking: chunkstore.Params{Min: 8 << 10, Average: 32 << 10, Max: 64 << 10}}, old...), Options{})
	n := 0
	for _, reason := range r.Reasons {
		if reason.Kind == reasonFormat {
			n++
		}
	}
	if n != 3 {
		t.Errorf("another codec, block size and chunking: %+v", r.Reasons)
	}
	// Small files in another order share other blocks.
	var small []file
	var first []string
	for i := range 300 {
		small = append(small, file{path: fmt.Sprintf("etc/%03d", i), data: noise(byte(i), 5000+i)})
		first = append(first, small[i].path)
	}
	slices.Reverse(first)
	sorted := newRelease(t, mkimage.Options{}, small...)
	moved := compare(t, sorted, newRelease(t, mkimage.Options{Order: first}, small...), Options{NoPatches: true})
	if got := moved.reason(reasonOrder); got == nil || got.Files != 299 || moved.Names.Repacked < 1<<20 {
		t.Errorf("another order: %+v, %+v", got, moved.Names)
	}
	dir := "usr/lib/modules/6.1/kernel/"
	packed := func(seed byte) release {
		return newRelease(t, mkimage.Options{}, file{path: dir + "a.ko.xz", data: noise(seed, 600<<10)},
			file{path: dir + "b.ko.zst", data: noise(seed+1, 600<<10)})
	}
	step := compare(t, packed(10), packed(20), Options{NoPatches: true})
	if got := step.reason(reasonModules); got == nil || got.Files != 2 || got.Cost < 1<<20 || !strings.Contains(got.What, "--plain-modules") {
		t.Errorf("packed modules: %+v", step.Reasons)
	}
	one := newRelease(t, mkimage.Options{}, file{path: dir + "a.ko.xz", data: noise(30, 600<<10)})
	if got := compare(t, packed(10), one, Options{NoPatches: true}).reason(reasonModules); got != nil {
		t.Errorf("one packed module of 600 KiB: %+v", got)
	}
	if got := compare(t, sorted, sorted, Options{NoPatches: true}); len(got.Reasons) != 0 || got.Names.Moved != 0 {
		t.Errorf("the same order: %+v", got)
	}
}

func TestKindOfChange(t *testing.T) {
	pyc := func(flags, time uint32) []byte {
		b := binary.LittleEndian.AppendUint32([]byte{0xa7, 0x0d, 0x0d, 0x0a}, flags)
		return append(binary.LittleEndian.AppendUint32(b, time), "size and code"...)
	}
	gzip := func(time byte, data string) []byte {
		return append([]byte{0x1f, 0x8b, 8, 0, time, 2, 3, 4, 2, 3}, data...)
	}
	for what, c := range map[string]struct {
		path string
		a, b []byte
		want string
	}{
		"pyc":               {"a.pyc", pyc(0, 1), pyc(0, 0x01020304), reasonPyc},
		"pyc with hash":     {"a.pyc", pyc(1, 1), pyc(1, 2), reasonFewBytes},
		"pyc of other size": {"a.pyc", append(pyc(0, 1), 1), append(pyc(0, 1), 2), reasonFewBytes},
		"short pyc":         {"a.pyc", []byte("a"), []byte("b"), reasonFewBytes},
		"gzip":              {"a.gz", gzip(1, "data"), gzip(9, "data"), reasonGzip},
		"gzip of others":    {"a.gz", gzip(1, "data"), gzip(1, "date"), reasonFewBytes},
		"few":               {"a", noise(1, 100), append(noise(1, 90), noise(2, 10)...), reasonFewBytes},
		"many":              {"a", noise(1, 100), noise(2, 100), ""},
		"lines":             {"a", []byte("a long line of some text\nanother one of the length\nend\n"), []byte("another one of the length\na long line of some text\nend\n"), reasonLines},
		"same":              {"a", noise(1, 100), noise(1, 100), ""},
	} {
		if got := kindOfChange(c.path, c.a, c.b); got != c.want {
			t.Errorf("%s: %q, want %q", what, got, c.want)
		}
	}
}

func TestLongestRise(t *testing.T) {
	for _, c := range []struct {
		list []int
		want int
	}{{nil, 0}, {[]int{5}, 1}, {[]int{1, 2, 3}, 3}, {[]int{3, 2, 1}, 1}, {[]int{1, 9, 2, 3, 8, 4}, 4}, {[]int{4, 5, 6, 1, 2, 3}, 3}} {
		if got := longestRise(c.list); got != c.want {
			t.Errorf("%v: %d, want %d", c.list, got, c.want)
		}
	}
}

// broken are contents that nobody can read.
type broken struct{ err error }

func (b broken) Open(context.Context, *chunkstore.Content) (patchset.Reading, error) {
	return nil, b.err
}

func TestCompareFails(t *testing.T) {
	from := newRelease(t, mkimage.Options{}, file{path: "a", data: noise(1, 1000)})
	to := newRelease(t, mkimage.Options{}, file{path: "a", data: noise(2, 1000)})
	cause := errors.New("disk")
	bad := from
	bad.Contents = broken{cause}
	if _, err := Compare(t.Context(), bad.Side, to.Side, Options{}); !errors.Is(err, cause) {
		t.Errorf("an old release that can't be read: %v", err)
	}
	bad = to
	bad.Contents = broken{cause}
	for _, noPatches := range []bool{true, false} {
		if _, err := Compare(t.Context(), from.Side, bad.Side, Options{NoPatches: noPatches}); !errors.Is(err, cause) {
			t.Errorf("a new release that can't be read: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Compare(ctx, from.Side, to.Side, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
