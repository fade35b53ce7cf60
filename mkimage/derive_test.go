package mkimage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

func TestDerive(t *testing.T) {
	for _, blockSize := range blockSizes() {
		for _, order := range [][]string{nil, {"usr/lib/small-120", "usr/lib/size-5", "etc/xattr", "usr/lib/small-005", "usr/lib/sparse"}} {
			t.Run(fmt.Sprint(blockSize, len(order)), func(t *testing.T) {
				params := chunkstore.Params{Min: 4 << 10, Average: 16 << 10, Max: 64 << 10}
				r, image, made := makeImage(t, zoo(blockSize), Options{BlockSize: blockSize, Level: "default", Order: order, Chunking: params})
				d := derive(t, image, DeriveOptions{})
				if got, want := recipeText(t, d.Recipe), recipeText(t, r); got != want {
					t.Fatalf("derived\n%.3000s\nwant\n%.3000s", got, want)
				}
				again, stats := build(t, d.Recipe, d.Source(d.Recipe))
				if !bytes.Equal(again, image) {
					t.Error("the derived recipe gives another image")
				}
				if stats.BlocksCompressed != 0 || stats.BlocksCopied != made.BlocksCompressed+made.blocksHole {
					t.Errorf("copied %d blocks and compressed %d, first there were %d", stats.BlocksCopied, stats.BlocksCompressed, made.BlocksCompressed)
				}
				if stats.bytesCopied == 0 || stats.Size != made.Size {
					t.Errorf("stats %+v", stats)
				}
				if plain, _ := build(t, d.Recipe, d.Source(nil)); !bytes.Equal(plain, image) {
					t.Error("built from contents alone it is another image")
				}
			})
		}
	}
}

// TestBuildCopiesWhatStayed changes some files and counts the blocks that Build compresses anew.
func TestBuildCopiesWhatStayed(t *testing.T) {
	old := zoo(64 << 10)
	_, image, made := makeImage(t, old, Options{BlockSize: 64 << 10, Level: "fastest"})
	seed := derive(t, image, DeriveOptions{})

	changed := zoo(64 << 10)
	for i := range changed.files {
		if f := &changed.files[i]; f.Path == "usr/lib/small-042" || f.Path == "usr/lib/size-5" {
			f.data = realistic(77, int(f.Size)+13)
			f.Size += 13
		}
	}
	r, source, err := NewRecipe(context.Background(), changed, Options{BlockSize: 64 << 10, Level: "fastest"})
	if err != nil {
		t.Fatal(err)
	}
	want, _ := build(t, r, source)
	got, stats := build(t, r, struct {
		Source
		Stored
	}{source, seed.Source(r).(Stored)})
	if !bytes.Equal(got, want) {
		t.Fatal("with copied blocks the image is another")
	}
	t.Logf("%+v", stats)
	if stats.BlocksCompressed > 4+3 || stats.BlocksCopied < made.BlocksCompressed-4-3 {
		t.Errorf("copied %d blocks, compressed %d", stats.BlocksCopied, stats.BlocksCompressed)
	}
	for path, n := range changed.opens {
		if n > 2 { // NewRecipe and the first Build open each content
			if f, err := seed.File(chunkstore.Sum(contentOf(t, changed, path))); err == nil && f.Size() >= 64<<10 {
				t.Errorf("%s was opened %d times though all of its blocks were there", path, n)
			}
		}
	}
}

func contentOf(t *testing.T, m *memTree, path string) []byte {
	t.Helper()
	for _, f := range m.files {
		if f.Path == path {
			return f.data
		}
	}
	t.Fatal("no file ", path)
	return nil
}

func TestSourceOfAnotherCodec(t *testing.T) {
	r, image, _ := makeImage(t, zoo(64<<10), Options{BlockSize: 64 << 10, Level: "fastest"})
	d := derive(t, image, DeriveOptions{})
	other := *r
	other.Codec = "zstd-default.1"
	if _, ok := d.Source(&other).(Stored); ok {
		t.Error("blocks are offered to a recipe with another codec")
	}
	other = *r
	other.BlockSize *= 2
	if _, ok := d.Source(&other).(Stored); ok {
		t.Error("blocks are offered to a recipe with another block size")
	}
	if _, err := d.File(chunkstore.Sum([]byte("not there"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("content that is not there: %v", err)
	}
}

// lyingStored gives stored blocks with impossible lengths.
type lyingStored struct {
	Source
	stored     []byte
	compressed bool
}

func (l lyingStored) StoredBlock(*chunkstore.Content, int) ([]byte, bool, bool, error) {
	return l.stored, l.compressed, true, nil
}

func (l lyingStored) StoredFragment([]chunkstore.ID) ([]byte, bool, bool, error) {
	return l.stored, l.compressed, true, nil
}

func TestBuildRefusesStoredLengths(t *testing.T) {
	small, large := newTree(regular("f", realistic(1, 100))), newTree(regular("f", realistic(1, defaultBlockSize)))
	for _, tree := range []*memTree{small, large} {
		r, source, err := NewRecipe(context.Background(), tree, Options{Level: "fastest"})
		if err != nil {
			t.Fatal(err)
		}
		size := int(tree.files[1].Size)
		for _, c := range []lyingStored{
			{source, make([]byte, size-1), false}, {source, make([]byte, size+1), false},
			{source, make([]byte, size), true}, {source, nil, true},
		} {
			if _, err := Build(context.Background(), r, c, new(memFile), BuildOptions{}); !errors.Is(err, chunkstore.ErrCorrupt) {
				t.Errorf("%d stored bytes for %d, compressed: %v: error %v", len(c.stored), size, c.compressed, err)
			}
		}
	}
}

// TestDeriveDamaged flips a byte in the middle of the data, which makes one block unreadable.
func TestDeriveDamaged(t *testing.T) {
	tree := zoo(64 << 10)
	r, image, _ := makeImage(t, tree, Options{BlockSize: 64 << 10, Level: "fastest"})
	intact := derive(t, image, DeriveOptions{})
	m, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"usr/lib/size-5", "usr/lib/small-050"} {
		n, err := m.Lookup(path)
		if err != nil {
			t.Fatal(err)
		}
		var b squashfs.Block
		if index, _, ok := m.Fragment(n); ok {
			if b, err = m.FragmentBlock(index); err != nil {
				t.Fatal(err)
			}
		} else {
			for b, err = range m.Blocks(n) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		damaged := bytes.Clone(image)
		copy(damaged[b.Offset:], "this is no zstd frame")
		dm, err := squashfs.Open(bytes.NewReader(damaged), int64(len(damaged)))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Derive(context.Background(), dm, chunkstore.Params{}, DeriveOptions{})
		if !errors.Is(err, squashfs.ErrCorrupt) {
			t.Errorf("%s damaged: error %v", path, err)
		}
		d := derive(t, damaged, DeriveOptions{Tolerant: true})
		if len(d.Unreadable) == 0 || d.Recipe.Entries.Len()+len(d.Unreadable) > r.Entries.Len() {
			t.Errorf("%s damaged: %d entries and %d unreadable ones of %d", path, d.Recipe.Entries.Len(), len(d.Unreadable), r.Entries.Len())
		}
		lost := false
		for _, u := range d.Unreadable {
			lost = lost || u.Path == path
			if !errors.Is(u.Err, squashfs.ErrCorrupt) {
				t.Errorf("%s: error %v", u.Path, u.Err)
			}
		}
		if !lost {
			t.Errorf("%s is not among the unreadable %v", path, d.Unreadable)
		}
		for c := range d.Recipe.Contents() {
			if _, err := intact.File(c.ID); err != nil {
				t.Errorf("%s damaged: a content that never was: %v", path, err)
			}
		}
	}
}

// TestDeriveTolerantOfMetadata damages the directory table, which ends the walk early.
func TestDeriveTolerantOfMetadata(t *testing.T) {
	_, image, _ := makeImage(t, zoo(64<<10), Options{BlockSize: 64 << 10, Level: "fastest"})
	damaged := 0
	for at := len(image) - 4096; at > len(image)-12_000; at -= 97 {
		b := bytes.Clone(image)
		copy(b[at:], "\xff\xff\xff\xff\xff\xff\xff\xff")
		m, err := squashfs.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue // no file of it can be read
		}
		d, err := Derive(context.Background(), m, chunkstore.DefaultParams, DeriveOptions{Tolerant: true})
		if err != nil {
			t.Fatalf("damage at %d: %v", at, err)
		}
		if len(d.Unreadable) > 0 {
			damaged++
		}
	}
	if damaged == 0 {
		t.Error("no damage was met")
	}
}

// TestDeriveForeign derives from images of mksquashfs and compares the contents.
func TestDeriveForeign(t *testing.T) {
	needTool(t, "mksquashfs")
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	want := zoo(64 << 10)
	for _, f := range want.files {
		path := filepath.Join(root, f.Path)
		var err error
		switch {
		case f.Link != "":
			err = os.Link(filepath.Join(root, f.Link), path)
		case f.Type == tree.Directory:
			err = os.MkdirAll(path, 0o755)
		case f.Type == tree.Regular:
			err = os.WriteFile(path, f.data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, options := range []string{"-comp gzip", "-comp xz -always-use-fragments", "-comp zstd -no-fragments -b 16384", "-comp lz4 -no-duplicates"} {
		image := filepath.Join(dir, "image")
		command := exec.Command("mksquashfs", append([]string{root, image, "-noappend", "-quiet"}, strings.Fields(options)...)...)
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("mksquashfs: %v\n%s", err, out)
		}
		b, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		d := derive(t, b, DeriveOptions{})
		if d.Recipe.Codec != "" || len(d.Recipe.First) != 0 || len(d.Unreadable) != 0 {
			t.Errorf("%s: codec %q, %d first", options, d.Recipe.Codec, len(d.Recipe.First))
		}
		if _, ok := d.Source(d.Recipe).(Stored); ok {
			t.Errorf("%s: stored blocks are offered", options)
		}
		links := 0
		for _, e := range d.Recipe.Entries.All() {
			if e.Link != "" {
				links++
			}
		}
		if links != 1 {
			t.Errorf("%s: %d hard links", options, links)
		}
		for _, f := range want.files {
			if f.Type != tree.Regular || f.Size == 0 || f.Link != "" {
				continue
			}
			in, err := d.Source(nil).Open(context.Background(), &chunkstore.Content{ID: chunkstore.Sum(f.data)})
			if err != nil {
				t.Fatalf("%s: %s: %v", options, f.Path, err)
			}
			if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, f.data) {
				t.Errorf("%s: %s: %d bytes, %v", options, f.Path, len(got), err)
			}
			if err := in.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestTrailer(t *testing.T) {
	for _, want := range []Trailer{
		{Codec: "zstd-best.1", Chunking: chunkstore.DefaultParams},
		{Codec: "zstd-best.1", Chunking: chunkstore.DefaultParams, First: 12, HotEnd: 1 << 33},
	} {
		if got, ok := parseTrailer(want.encode()); !ok || got != want {
			t.Errorf("%+v became %+v, %v", want, got, ok)
		}
	}
	longest := Trailer{strings.Repeat("x", 64), chunkstore.Params{Min: math.MaxInt, Average: math.MaxInt, Max: math.MaxInt}, math.MaxInt, math.MaxInt64}
	if n := len(longest.encode()); n > squashfs.TrailerMax {
		t.Errorf("a trailer of %d bytes", n)
	}
	for _, bad := range []string{
		"", "deltaup", "deltaup codec=zstd-best.1 chunks=16384,65536,524288 first=0", // no newline
		"deltaup codec=zstd-best.1 chunks=16384,65536,524288 first=-1\n",
		"deltaup codec=zstd-best.1 chunks=16384,65536,524288 first=01\n",
		"deltaup codec=zstd-best.1 chunks=16384,65536,524288 first=1\nmore",
		"deltaup codec=zstd/best chunks=16384,65536,524288 first=1\n",
		"deltaup codec=zstd-best.1 chunks=9,5,1 first=1 hot=4096\n",
		"deltaup codec=zstd-best.1 chunks=16384,65536,524288 first=1 hot=-1\n",
		"deltaup codec=zstd-best.1 chunks=16384,65536,524288 first=0 hot=0\n",
		"deltaup codec=zstd-best.1 chunks=16384,65536,524288 first=1\n",
	} {
		if _, ok := parseTrailer([]byte(bad)); ok {
			t.Errorf("%q is taken for a trailer", bad)
		}
	}
}

// TestHotEnd demands that the data of the order, and nothing else, lie before the trailer's HotEnd.
func TestHotEnd(t *testing.T) {
	order := []string{"usr/lib/small-010", "usr/lib/size-5", "usr/lib/small-002"}
	r, image, _ := makeImage(t, zoo(4096), Options{BlockSize: 4096, Level: "fastest", Order: order})
	m, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	trailer, ok, err := ReadTrailer(m)
	if err != nil || !ok || trailer.First != len(r.First) {
		t.Fatalf("%+v, %v, %v", trailer, ok, err)
	}
	named, ends := map[int64]bool{}, map[int64]int64{} // by the offset of a block
	err = m.Walk(func(n *squashfs.Node) error {
		if n.Type != tree.Regular {
			return nil
		}
		for b, err := range m.Blocks(n) {
			if err != nil {
				return err
			}
			if b.Length > 0 {
				ends[b.Offset] = b.Offset + int64(b.Length)
				named[b.Offset] = named[b.Offset] || slices.Contains(order, n.Path)
			}
		}
		if i, _, ok := m.Fragment(n); ok {
			b, err := m.FragmentBlock(i)
			if err != nil {
				return err
			}
			ends[b.Offset] = b.Offset + int64(b.Length)
			named[b.Offset] = named[b.Offset] || slices.Contains(order, n.Path)
		}
		return nil
	})
	if err != nil || len(ends) < 100 {
		t.Errorf("%d blocks, %v", len(ends), err)
	}
	for at, end := range ends {
		if named[at] != (end <= trailer.HotEnd) {
			t.Errorf("block at %d to %d: the hot data end at %d", at, end, trailer.HotEnd)
		}
	}
}
