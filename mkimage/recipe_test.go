package mkimage

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"deltaup/chunkstore"
)

// update makes testdata anew: go test ./mkimage -run Golden -update. The files of a released format
// never change.
var update = flag.Bool("update", false, "write the golden files")

const goldenRecipe = "testdata/recipe-1.recipe"

// goldenOptions are the options of testdata/recipe-1.recipe, a recipe of the zoo.
func goldenOptions() Options {
	return Options{BlockSize: 64 << 10, Order: []string{"usr/lib/small-007", "usr/lib/size-5", "usr/lib/small-003"}}
}

func TestRecipeGolden(t *testing.T) {
	r, _, _ := makeImage(t, zoo(64<<10), goldenOptions())
	text := recipeText(t, r)
	if *update {
		if err := os.WriteFile(goldenRecipe, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenRecipe)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("the recipe differs from %s", goldenRecipe)
	}
	parsed, err := ParseRecipe(bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	if got := recipeText(t, parsed); got != string(want) {
		t.Error("the golden recipe parses and encodes to other bytes")
	}
	if !reflect.DeepEqual(parsed, r) {
		t.Error("the golden recipe parses to another recipe than it was made of")
	}
}

// sample is a small recipe with every kind of line; the tests below damage it.
var sample = strings.Join([]string{
	"deltaup-recipe 1", // line 1
	"image block-size=4096 codec=zstd-best.1 mtime=1700000000",
	"chunks min=1024 average=2048 max=8192",
	"d 0755 0 0 1700000000 /",
	"x user.a ",
	"x user.b %00%FF%25",
	"f 4755 0 0 1700000000 5000 " + hexID('a') + " /a", // line 7
	"+ 3000 " + hexID('b'),
	"+ 1000 -",
	"+ 1000 " + hexID('c'),
	"h /a%20link /a", // line 11
	"b 0660 0 6 0 8 1 /blk",
	"c 0660 0 6 0 1 3 /chr",
	"d 0755 0 0 0 /dir",
	"f 0644 0 0 0 3000 " + hexID('b') + " /dir/b", // line 15
	"f 0644 0 0 0 0 - /dir/empty",
	"f 0644 0 0 0 5000 " + hexID('a') + " /dir/same",
	"l 0777 0 0 0 /lnk /target%20with%20space",
	"p 0600 0 0 0 /pipe",
	"s 0600 0 0 0 /sock", // line 20
	"order /dir/b",
	"end 21",
	"",
}, "\n")

func hexID(c byte) string { return strings.Repeat(string(c), 64) }

func TestParseRecipe(t *testing.T) {
	r, err := ParseRecipe(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	if got := recipeText(t, r); got != sample {
		t.Errorf("encodes to\n%s", got)
	}
	first, link, same := r.Entries.At(1), r.Entries.At(2), r.Entries.At(8)
	if first.Mode != 0o4755 || len(first.Content.Chunks) != 3 || !first.Content.Chunks[1].IsHole() {
		t.Errorf("/a is %+v", first)
	}
	if link.Path != "a link" || link.Link != "a" || link.Size != 5000 || link.Mode != first.Mode || link.Content != nil {
		t.Errorf("the hard link is %+v", link)
	}
	if same.Content != first.Content {
		t.Error("entries with the same bytes do not share their content")
	}
	if x := r.Entries.At(0).Xattrs; len(x) != 2 || string(x[1].Value) != "\x00\xff%" || len(x[0].Value) != 0 {
		t.Errorf("xattrs %q", x)
	}
	var contents []int64
	for c := range r.Contents() {
		contents = append(contents, c.Size)
	}
	if fmt.Sprint(contents) != "[5000 3000]" || len(r.Chunks()) != 2 {
		t.Errorf("contents of %v bytes with %d distinct chunks", contents, len(r.Chunks()))
	}
	order := r.DataOrder()
	if len(order) != 2 || order[0].Size != 3000 {
		t.Errorf("data order %v", order)
	}
}

// TestParseRecipeRefuses damages one line of the sample at a time.
func TestParseRecipeRefuses(t *testing.T) {
	cases := []struct {
		name     string
		old, new string
		line     int
	}{
		{"other file", "deltaup-recipe 1", "#!/bin/sh", 1},
		{"carriage return", "deltaup-recipe 1\n", "deltaup-recipe 1\r\n", 1},
		{"missing parameter", " mtime=1700000000\n", "\n", 2},
		{"parameters swapped", "block-size=4096 codec=zstd-best.1", "codec=zstd-best.1 block-size=4096", 2},
		{"block size with zero", "block-size=4096", "block-size=04096", 2},
		{"no codec", "codec=zstd-best.1", "codec=", 0},
		{"odd block size", "block-size=4096", "block-size=5000", 0},
		{"block size zero", "block-size=4096", "block-size=0", 0},
		{"mtime too large", "mtime=1700000000", "mtime=4294967296", 2},
		{"chunk sizes", "min=1024", "min=9024", 0},
		{"two spaces", "d 0755 0 0 0 /dir", "d 0755 0 0 0  /dir", 14},
		{"trailing space", "d 0755 0 0 0 /dir\n", "d 0755 0 0 0 /dir \n", 14},
		{"mode of three digits", "d 0755 0 0 0 /dir", "d 755 0 0 0 /dir", 14},
		{"mode too large", "d 0755 0 0 0 /dir", "d 10755 0 0 0 /dir", 14},
		{"plus sign", "d 0755 0 0 0 /dir", "d 0755 +0 0 0 /dir", 14},
		{"leading zero", "d 0755 0 0 0 /dir", "d 0755 00 0 0 /dir", 14},
		{"owner too large", "d 0755 0 0 0 /dir", "d 0755 0 4294967296 0 /dir", 14},
		{"unknown letter", "p 0600 0 0 0 /pipe", "q 0600 0 0 0 /pipe", 19},
		{"unknown word", "p 0600 0 0 0 /pipe", "pipe 0600 0 0 0 /pipe", 19},
		{"too few fields", "p 0600 0 0 0 /pipe", "p 0600 0 0 /pipe", 19},
		{"too many fields", "p 0600 0 0 0 /pipe", "p 0600 0 0 0 /pipe /more", 19},
		{"relative path", "p 0600 0 0 0 /pipe", "p 0600 0 0 0 pipe", 19},
		{"lower-case escape", "/a%20link /a", "/a%2flink /a", 11},
		{"needless escape", "p 0600 0 0 0 /pipe", "p 0600 0 0 0 /pip%65", 19},
		{"broken escape", "p 0600 0 0 0 /pipe", "p 0600 0 0 0 /pipe%4", 19},
		{"raw byte", "p 0600 0 0 0 /pipe", "p 0600 0 0 0 /pip\xe9", 19},
		{"dot dot", "p 0600 0 0 0 /pipe", "p 0600 0 0 0 /..", 19},
		{"empty name", "f 0644 0 0 0 0 - /dir/empty", "f 0644 0 0 0 0 - /dir/", 16},
		{"NUL in a name", "p 0600 0 0 0 /pipe", "p 0600 0 0 0 /pipe%00", 19},
		{"name too long", "p 0600 0 0 0 /pipe", "p 0600 0 0 0 /p" + strings.Repeat("e", 300), 19},
		{"out of order", "p 0600 0 0 0 /pipe", "p 0600 0 0 0 /abc", 19},
		{"twice", "s 0600 0 0 0 /sock", "s 0600 0 0 0 /pipe", 20},
		{"missing folder", "f 0644 0 0 0 0 - /dir/empty", "f 0644 0 0 0 0 - /dir/d/empty", 16},
		{"file as folder", "f 0644 0 0 0 0 - /dir/empty", "f 0644 0 0 0 0 - /dir/b/empty", 16},
		{"root is a file", "d 0755 0 0 1700000000 /", "p 0755 0 0 1700000000 /", 0},
		{"size without content", "f 0644 0 0 0 0 - /dir/empty", "f 0644 0 0 0 7 - /dir/empty", 16},
		{"content without size", "f 0644 0 0 0 3000 " + hexID('b'), "f 0644 0 0 0 0 " + hexID('b'), 15},
		{"zero id", "f 0644 0 0 0 3000 " + hexID('b'), "f 0644 0 0 0 3000 " + hexID('0'), 15},
		{"upper-case id", "f 0644 0 0 0 3000 " + hexID('b'), "f 0644 0 0 0 3000 " + hexID('B'), 15},
		{"negative size", "f 0644 0 0 0 3000 ", "f 0644 0 0 0 -3000 ", 15},
		{"one content, two sizes", "f 0644 0 0 0 5000 " + hexID('a'), "f 0644 0 0 0 5001 " + hexID('a'), 17},
		{"one chunk, two sizes", "f 0644 0 0 0 3000 " + hexID('b'), "f 0644 0 0 0 3001 " + hexID('b'), 15},
		{"chunks too short", "+ 1000 -", "+ 999 -", 7},
		{"chunks too long", "+ 1000 -", "+ 1001 -", 7},
		{"empty chunk", "+ 1000 -", "+ 0 -", 7},
		{"chunk overflow", "+ 1000 -", "+ 9223372036854775807 -", 7},
		{"chunk beyond the maximum", "+ 3000 " + hexID('b'), "+ 9000 " + hexID('b'), 7},
		{"chunk is the content", "+ 3000 " + hexID('b'), "+ 3000 " + hexID('a'), 8},
		{"chunk of a known content", "p 0600 0 0 0 /pipe", "+ 5000 -\np 0600 0 0 0 /pipe", 19},
		{"chunk zero id", "+ 1000 -", "+ 1000 " + hexID('0'), 9},
		{"huge content", "f 0644 0 0 0 3000 ", "f 0644 0 0 0 9223372036854775807 ", 15},
		{"xattr order", "x user.a ", "x user.z ", 4},
		{"xattr namespace", "x user.a ", "x system.a ", 4},
		{"xattr without value", "x user.a \n", "x user.a\n", 5},
		{"xattr of a hard link", "b 0660", "x user.a \nb 0660", 12},
		{"link forward", "h /a%20link /a", "h /a%20link /blk", 11},
		{"link to a folder", "b 0660 0 6 0 8 1 /blk", "h /blk /", 12},
		{"link to a link", "b 0660 0 6 0 8 1 /blk", "h /blk /a%20link", 12},
		{"empty target", "/target%20with%20space", "", 18},
		{"device number", "b 0660 0 6 0 8 1 /blk", "b 0660 0 6 0 4096 1 /blk", 12},
		{"order unknown", "order /dir/b", "order /dir/c", 0},
		{"order of a folder", "order /dir/b", "order /dir", 0},
		{"order of an empty file", "order /dir/b", "order /dir/empty", 0},
		{"order twice", "order /dir/b", "order /dir/b\norder /dir/b", 23},
		{"entry after the order", "order /dir/b", "order /dir/b\np 0600 0 0 0 /zzz", 22},
		{"no end", "end 21\n", "", 22},
		{"end without newline", "end 21\n", "end 21", 22},
		{"wrong count", "end 21", "end 20", 22},
		{"count with zero", "end 21", "end 021", 22},
		{"bytes after the end", "end 21\n", "end 21\n\n", 22},
		{"line too long", "p 0600 0 0 0 /pipe", "p " + strings.Repeat("0", recipeFormat.LineMax), 19},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			text := strings.Replace(sample, c.old, c.new, 1)
			if text == sample {
				t.Fatal("the case changes nothing")
			}
			_, err := ParseRecipe(strings.NewReader(text))
			if !errors.Is(err, chunkstore.ErrCorrupt) {
				t.Fatalf("error %v", err)
			}
			if at := fmt.Sprintf("line %d:", c.line); c.line > 0 && !strings.Contains(err.Error(), at) {
				t.Errorf("error %q does not name %s", err, at)
			}
		})
	}
}

func TestParseRecipeTruncated(t *testing.T) {
	for n := range len(sample) {
		if _, err := ParseRecipe(strings.NewReader(sample[:n])); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Fatalf("the first %d bytes: %v", n, err)
		}
	}
}

func TestParseRecipeVersion(t *testing.T) {
	_, err := ParseRecipe(strings.NewReader(strings.Replace(sample, "recipe 1", "recipe 2", 1)))
	if !errors.Is(err, chunkstore.ErrVersion) || errors.Is(err, chunkstore.ErrCorrupt) {
		t.Fatalf("error %v", err)
	}
	if !strings.Contains(err.Error(), "version 2") || !strings.Contains(err.Error(), "version 1") {
		t.Errorf("error %q does not name both versions", err)
	}
}

func FuzzParseRecipe(f *testing.F) {
	// Short seeds, since the fuzzer takes minutes to minimize the golden file.
	f.Add([]byte(sample))
	f.Add([]byte("deltaup-recipe 1\nimage block-size=4096 codec=x mtime=0\nchunks min=64 average=64 max=64\nd 0755 0 0 0 /\nend 4\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := ParseRecipe(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, chunkstore.ErrCorrupt) && !errors.Is(err, chunkstore.ErrVersion) {
				t.Errorf("error %v", err)
			}
			return
		}
		if got := recipeText(t, r); got != string(text) {
			t.Errorf("encodes to %q", got)
		}
		planned := 0
		for _, it := range planLayout(r) {
			planned += len(it.members)
		}
		if got := len(r.DataOrder()); got != planned {
			t.Errorf("%d contents planned, %d in order", planned, got)
		}
	})
}
