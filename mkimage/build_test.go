package mkimage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// checkContents reads every file of an image and compares it with the tree.
func checkContents(t *testing.T, image []byte, want *memTree) {
	t.Helper()
	m, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	data := make(map[string][]byte)
	for _, f := range want.files {
		data[f.Path] = f.data
	}
	seen := 0
	err = m.Walk(func(n *squashfs.Node) error {
		f := want.files[seen]
		seen++
		if n.Path != f.Path || n.Type != f.Type || n.Mode != f.Mode || n.UID != f.UID || n.GID != f.GID || n.ModTime != f.ModTime ||
			n.Target != f.Target || n.Major != f.Major || n.Minor != f.Minor || len(n.Xattrs) != len(f.Xattrs) {
			return fmt.Errorf("%q is %+v, want %+v", n.Path, n.Attr, f.Attr)
		}
		if n.Type != tree.Regular {
			return nil
		}
		if f.Link != "" {
			f.data = data[f.Link]
		}
		file, err := m.File(n)
		if err != nil {
			return err
		}
		got, err := io.ReadAll(io.NewSectionReader(file, 0, file.Size()))
		if err != nil || !bytes.Equal(got, f.data) {
			return fmt.Errorf("%q has %d bytes, want %d: %v", n.Path, len(got), len(f.data), err)
		}
		return nil
	})
	if err != nil || seen != len(want.files) {
		t.Fatalf("%d of %d entries: %v", seen, len(want.files), err)
	}
}

func TestBuild(t *testing.T) {
	for _, blockSize := range blockSizes() {
		for _, level := range Levels() {
			if level == "best" && blockSize != 128<<10 {
				continue // slow, and the codec makes no difference to this test
			}
			t.Run(fmt.Sprint(level, blockSize), func(t *testing.T) {
				tree := zoo(blockSize)
				o := Options{BlockSize: blockSize, Level: level, Order: []string{"usr/lib/small-010", "usr/lib/size-5", "usr/lib/small-002"}}
				r, image, stats := makeImage(t, tree, o)
				checkContents(t, image, tree)

				var text bytes.Buffer
				if _, err := r.WriteTo(&text); err != nil {
					t.Fatal(err)
				}
				parsed, err := ParseRecipe(&text)
				if err != nil {
					t.Fatal(err)
				}
				_, source, err := NewRecipe(context.Background(), tree, Options{Level: "fastest"})
				if err != nil {
					t.Fatal(err)
				}
				if again, _ := build(t, parsed, source); !bytes.Equal(again, image) {
					t.Error("the recipe gives another image")
				}
				if stats.blocksHole < 5 || stats.BlocksCopied != 0 || stats.Contents != len(r.DataOrder()) {
					t.Errorf("stats %+v", stats)
				}
			})
		}
	}
}

// TestBuildDeterministic demands the same image on 1, 2 and 8 processors, from a tar in order and
// from shuffled tars.
func TestBuildDeterministic(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	zoo := zoo(32 << 10)
	// entries that are neither sockets, which tar does not have, nor hard links, which come after
	// their files
	var plain []int
	var links []int
	for i, f := range zoo.files {
		if f.Type != tree.Socket && f.Link == "" {
			plain = append(plain, i)
		} else if f.Link != "" {
			links = append(links, i)
		}
	}
	var image []byte
	for run, procs := range []int{1, 2, 8} {
		runtime.GOMAXPROCS(procs)
		archive, err := rootfs.FromTar(context.Background(), bytes.NewReader(zoo.writeTar(t, append(plain[:len(plain):len(plain)], links...))), rootfs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		_, got, _ := makeImage(t, archive, Options{BlockSize: 32 << 10, Level: "better"})
		if run == 0 {
			image = got
		} else if !bytes.Equal(got, image) {
			t.Errorf("on %d processors, from a shuffled tar, the image is another", procs)
		}
		if err := archive.Close(); err != nil {
			t.Fatal(err)
		}
		rand.New(rand.NewPCG(uint64(run), 3)).Shuffle(len(plain), func(i, k int) { plain[i], plain[k] = plain[k], plain[i] })
	}
}

func TestBuildSmallTrees(t *testing.T) {
	for name, tree := range map[string]*memTree{
		"empty":          newTree(),
		"one empty file": newTree(regular("file", nil)),
		"one byte":       newTree(regular("file", []byte("x"))),
		"one block":      newTree(regular("file", realistic(1, defaultBlockSize))),
		"only zeros":     newTree(regular("large", make([]byte, 300_000)), regular("small", make([]byte, 3))),
		"deep":           newTree(folder("a"), folder("a/b"), folder("a/b/c"), folder("a.b"), regular("a/b/c/d", []byte("x"))),
	} {
		t.Run(name, func(t *testing.T) {
			r, image, stats := makeImage(t, tree, Options{})
			checkContents(t, image, tree)
			if name == "only zeros" && (stats.BlocksCompressed != 0 || stats.fragments != 0 || stats.PlainBytes != 0) {
				t.Errorf("zeros were stored: %+v", stats)
			}
			if got := derive(t, image, DeriveOptions{}); recipeText(t, got.Recipe) != recipeText(t, r) {
				t.Error("the derived recipe differs")
			}
		})
	}
}

func TestBuildStoresDuplicatesOnce(t *testing.T) {
	large, small := realistic(1, 500_000), realistic(2, 5000)
	_, once, _ := makeImage(t, newTree(regular("a", large), regular("b", small)), Options{Level: "fastest"})
	_, many, stats := makeImage(t, newTree(
		regular("a", large), regular("b", small), regular("c", large), regular("d", small), regular("e", small)), Options{Level: "fastest"})
	if stats.Contents != 2 || len(many) > len(once) {
		t.Errorf("%d bytes with duplicates, %d without; %+v", len(many), len(once), stats)
	}
}

// brokenSource gives other bytes for one content.
type brokenSource struct {
	Source
	id     chunkstore.ID
	change func([]byte) []byte
}

func (s brokenSource) Open(ctx context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	in, err := s.Source.Open(ctx, c)
	if err != nil || c.ID != s.id {
		return in, err
	}
	b, err := io.ReadAll(in)
	return io.NopCloser(bytes.NewReader(s.change(b))), err
}

func TestBuildVerifiesContents(t *testing.T) {
	tree := newTree(regular("small", realistic(1, 500)), regular("large", realistic(2, 300_000)))
	r, source, err := NewRecipe(context.Background(), tree, Options{Level: "fastest"})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func([]byte) []byte{
		"longer":      func(b []byte) []byte { return append(b, 0) },
		"shorter":     func(b []byte) []byte { return b[:len(b)-1] },
		"empty":       func([]byte) []byte { return nil },
		"other bytes": func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
	} {
		for i := range tree.files {
			e := r.Entries.At(i)
			if e.Content == nil {
				continue
			}
			var out memFile
			_, err := Build(context.Background(), r, brokenSource{source, e.Content.ID, change}, &out, BuildOptions{})
			if !errors.Is(err, ErrContent) || !strings.Contains(err.Error(), "/"+e.Path) {
				t.Errorf("%s %s: error %v", e.Path, name, err)
			}
			if out.sealed {
				t.Errorf("%s %s: a superblock was written", e.Path, name)
			}
		}
	}
}

func TestBuildErrors(t *testing.T) {
	tree := zoo(64 << 10)
	r, source, err := NewRecipe(context.Background(), tree, Options{BlockSize: 64 << 10, Level: "fastest"})
	if err != nil {
		t.Fatal(err)
	}
	unknown := *r
	unknown.Codec = "zstd-best.9"
	if _, err := Build(context.Background(), &unknown, source, new(memFile), BuildOptions{}); !errors.Is(err, ErrUnknownCodec) {
		t.Errorf("unknown codec: %v", err)
	}
	invalid := *r
	invalid.BlockSize = 5000
	if _, err := Build(context.Background(), &invalid, source, new(memFile), BuildOptions{}); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("invalid recipe: %v", err)
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Build(canceled, r, source, new(memFile), BuildOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if _, _, err := NewRecipe(canceled, tree, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	full := &fullDisk{left: 200_000}
	if _, err := Build(context.Background(), r, source, full, BuildOptions{}); !errors.Is(err, errFull) {
		t.Errorf("full disk: %v", err)
	}
}

var errFull = errors.New("no space left")

// fullDisk takes left bytes, then fails.
type fullDisk struct{ left int }

func (d *fullDisk) WriteAt(p []byte, _ int64) (int, error) {
	if d.left -= len(p); d.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// TestNewRecipeNamesWhatChanged cuts a file short while NewRecipe reads it.
func TestNewRecipeNamesWhatChanged(t *testing.T) {
	tree := newTree(regular("etc", realistic(1, 1000)))
	tree.files[1].data = tree.files[1].data[:999]
	if _, _, err := NewRecipe(context.Background(), tree, Options{}); err == nil || !strings.Contains(err.Error(), "/etc") {
		t.Errorf("error %v", err)
	}
	tree.files[1].Mode = 0o17777
	tree.files[1].data = append(tree.files[1].data, 1)
	if _, _, err := NewRecipe(context.Background(), tree, Options{}); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("impossible mode: %v", err)
	}
}

func TestProgress(t *testing.T) {
	tree := zoo(64 << 10)
	check := func(name string) (func(done, total int64), func()) {
		var last, end int64
		return func(done, total int64) {
				if done < last || done > total {
					t.Errorf("%s: %d after %d of %d", name, done, last, total)
				}
				last, end = done, total
			}, func() {
				if last == 0 || last != end {
					t.Errorf("%s ended at %d of %d", name, last, end)
				}
			}
	}
	report, done := check("NewRecipe")
	r, source, err := NewRecipe(context.Background(), tree, Options{BlockSize: 64 << 10, Level: "fastest", Progress: report})
	if err != nil {
		t.Fatal(err)
	}
	done()
	report, done = check("Build")
	var out memFile
	if _, err := Build(context.Background(), r, source, &out, BuildOptions{Progress: report}); err != nil {
		t.Fatal(err)
	}
	done()
	report, done = check("Derive")
	derive(t, out.b, DeriveOptions{Progress: report})
	done()
}

// TestBuildGolden fails when the image's bytes change without a new recipe version or codec id.
func TestBuildGolden(t *testing.T) {
	const (
		ordered   = "0e4273aaa5905433eddb23c27effaeaf20aabbd692417fe8351811edfbed169f"
		unordered = "72a225a6e14112165480b04881cee610263a2618723c62ac8b3f70b4b680cdfa"
	)
	f, err := os.Open(goldenRecipe)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := ParseRecipe(f)
	if err != nil {
		t.Fatal(err)
	}
	_, source, err := NewRecipe(context.Background(), zoo(64<<10), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{ordered, unordered} {
		image, _ := build(t, r, source)
		if got := chunkstore.Sum(image).String(); got != want {
			t.Errorf("the image is %s, want %s", got, want)
		}
		r.First = nil
	}
}

// TestBuildWithoutChunks builds from a recipe whose contents nobody has cut.
func TestBuildWithoutChunks(t *testing.T) {
	tree := newTree(folder("usr"), regular("usr/big", realistic(1, 700<<10)), regular("usr/small", realistic(2, 900)), regular("usr/empty", nil))
	r, image, _ := makeImage(t, tree, Options{Level: "fastest"})
	_, source, err := NewRecipe(context.Background(), tree, Options{Level: "fastest"})
	if err != nil {
		t.Fatal(err)
	}
	for c := range r.Contents() {
		c.Chunks = nil
	}
	if err := r.Validate(); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("Validate gives %v, want ErrCorrupt", err)
	}
	var out memFile
	if _, err := Build(context.Background(), r, source, &out, BuildOptions{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.b, image) {
		t.Error("another image than with chunks")
	}
}
