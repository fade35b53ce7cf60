package kernel

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"deltaup/chunkstore"
)

func hexID(c byte) string { return strings.Repeat(string(c), 64) }

// sample is a small recipe with every kind of line; the tests below damage it. It is the golden
// text of version 1.
var sample = strings.Join([]string{
	"deltaup-kernel 1", // line 1
	"codec lz4-9.1",
	"chunks min=1024 average=2048 max=8192",
	"before 3000 " + hexID('a'),
	"payload 5000 " + hexID('b'), // line 5
	"+ 3000 " + hexID('c'),
	"+ 1000 -",
	"+ 1000 " + hexID('d'),
	"behind 8 " + hexID('e'),
	"end 9", // line 10
	"",
}, "\n")

func TestParseRecipe(t *testing.T) {
	r, err := ParseRecipe(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	if got := recipeText(t, r); got != sample {
		t.Errorf("encodes to\n%s", got)
	}
	if r.Codec != "lz4-9.1" || r.Before.Size != 3000 || len(r.Payload.Chunks) != 3 || r.Behind.Size != 8 {
		t.Errorf("recipe %+v", r)
	}
	if n := len(slices.Collect(r.Contents())); n != 3 {
		t.Errorf("%d contents", n)
	}
	same := strings.Replace(sample, "behind 8 "+hexID('e'), "behind 3000 "+hexID('a'), 1)
	if r, err = ParseRecipe(strings.NewReader(same)); err != nil || r.Behind != r.Before || len(slices.Collect(r.Contents())) != 2 {
		t.Errorf("%v: what lies before and behind is not the same content", err)
	}
	alone := strings.Join(append(strings.SplitAfter(sample, "\n")[:3], "payload 8 "+hexID('e')+"\nend 4\n"), "")
	if r, err = ParseRecipe(strings.NewReader(alone)); err != nil || r.Before != nil || r.Behind != nil || recipeText(t, r) != alone {
		t.Errorf("%v: the payload alone", err)
	}
}

// TestParseRecipeRefuses damages the sample in one place at a time.
func TestParseRecipeRefuses(t *testing.T) {
	for _, tt := range []struct {
		name     string
		old, new string
		want     error
	}{
		{"magic", "deltaup-kernel 1", "deltaup-initrd 1", chunkstore.ErrCorrupt},
		{"version", "deltaup-kernel 1", "deltaup-kernel 2", chunkstore.ErrVersion},
		{"codec", "codec lz4", "codec  lz4", chunkstore.ErrCorrupt},
		{"codec id", "lz4-9.1", "LZ4", chunkstore.ErrCorrupt},
		{"no codec", "lz4-9.1", "", chunkstore.ErrCorrupt},
		{"chunking", "min=1024", "min=1", chunkstore.ErrCorrupt},
		{"word", "behind", "beyond", chunkstore.ErrCorrupt},
		{"twice", "behind 8", "payload 8", chunkstore.ErrCorrupt},
		{"order", "before 3000 " + hexID('a') + "\npayload", "payload 1 " + hexID('a') + "\nbefore", chunkstore.ErrCorrupt},
		{"nothing before", "before 3000 " + hexID('a'), "before 0 -", chunkstore.ErrCorrupt},
		{"nothing behind", "behind 8 " + hexID('e'), "behind 0 -", chunkstore.ErrCorrupt},
		{"an empty payload", "payload 5000 " + hexID('b'), "payload 0 -", chunkstore.ErrCorrupt},
		{"a chunk of nothing", "before 3000 " + hexID('a') + "\n", "", chunkstore.ErrCorrupt}, // the end's count
		{"a chunk before all", "before 3000 " + hexID('a'), "+ 3000 " + hexID('a'), chunkstore.ErrCorrupt},
		{"id", hexID('b'), hexID('0'), chunkstore.ErrCorrupt},
		{"size", "payload 5000", "payload 5001", chunkstore.ErrCorrupt},
		{"a huge content", "behind 8", "behind 536870913", chunkstore.ErrCorrupt},
		{"a content with two sizes", "behind 8 " + hexID('e'), "behind 8 " + hexID('a'), chunkstore.ErrCorrupt},
		{"a field more", "behind 8 " + hexID('e'), "behind 8 " + hexID('e') + " x", chunkstore.ErrCorrupt},
		{"zeros in front", "behind 8", "behind 08", chunkstore.ErrCorrupt},
		{"end", "end 9", "end 8", chunkstore.ErrCorrupt},
		{"more", "end 9\n", "end 9\n\n", chunkstore.ErrCorrupt},
	} {
		if !strings.Contains(sample, tt.old) {
			t.Fatalf("%s: nothing is damaged", tt.name)
		}
		if _, err := ParseRecipe(strings.NewReader(strings.Replace(sample, tt.old, tt.new, 1))); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v", tt.name, err)
		}
	}
	for n := range len(sample) {
		if _, err := ParseRecipe(strings.NewReader(sample[:n])); !errors.Is(err, chunkstore.ErrCorrupt) {
			t.Errorf("%d bytes: error %v", n, err)
		}
	}
	noPayload := strings.Join(append(strings.SplitAfter(sample, "\n")[:4], "end 4\n"), "")
	if _, err := ParseRecipe(strings.NewReader(noPayload)); !errors.Is(err, chunkstore.ErrCorrupt) {
		t.Errorf("no payload: error %v", err)
	}
}

// goldenKernel is a bzImage of fixed bytes.
func goldenKernel(tb testing.TB) []byte {
	plain := program(60_000)
	return x86Kernel(withSize(encode(tb, "lz4-9.1", plain), len(plain)), "the end")
}

// TestGolden holds recipe and kernel against what they were. The payload's chunks are those of
// chunkstore, which has golden tests of its own.
func TestGolden(t *testing.T) {
	r, src := mustTake(t, goldenKernel(t), Options{})
	const want = `deltaup-kernel 1
codec lz4-9.1
chunks min=16384 average=65536 max=524288
before 2748 7c7154f8000f841b43b62cce40a79ae8664ffc9dda923043ea84b787cab4150f
payload 60000 a1dd2a180f2a2c1cbb57569781219b970c008086002919ff9ca6e29839e21b5f
+ 39727 2c969dc9069e3e9bd5015c7255479e843384e840dafd45e71ff8bf36b28e1ab8
+ 20273 e1ed8fe7b3d70635002a0e95c756976497b8fd1bf6d0f0382d0d0214eb52530c
behind 11 7f9e5c2c01f26116a7ca9741f9f189ce801216cfddac41337194e1b41f389958
end 8
`
	if got := recipeText(t, r); got != want {
		t.Errorf("the recipe is\n%s", got)
	}
	if got := chunkstore.Sum(mustBuild(t, r, src)).String(); got != "ef87286019c83620ca1130652dd74cc0b968e9e12760e8cc02719ea9e8ce51e8" {
		t.Errorf("the kernel is %s", got)
	}
}

// TestCodecGolden fails when an encoder writes other bytes than it did. A codec whose bytes change
// needs a new generation: do not just put the new hash in.
func TestCodecGolden(t *testing.T) {
	plain := program(200_000)
	h := chunkstore.NewHasher()
	for _, c := range codecs {
		if err := c.encode(h, bytes.NewReader(plain)); err != nil {
			t.Fatal(err)
		}
		io.WriteString(h, c.id)
	}
	if len(codecs) != 29 || h.ID().String() != "12f069f0bb4e6ba91e00b005bdffe8504809e29c5fb4ca1312e127a5958c50a8" {
		t.Errorf("%d codecs write %s", len(codecs), h.ID())
	}
}

func FuzzParseRecipe(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("deltaup-kernel 1\ncodec x\nchunks min=64 average=64 max=64\npayload 1 " + hexID('a') + "\nend 4\n"))
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
	})
}

// FuzzNewRecipe demands that a kernel that was taken apart is made again.
func FuzzNewRecipe(f *testing.F) {
	plain := program(3000)
	f.Add(plain)
	gz := member(f, "gzip-zlib-6.1", plain)
	f.Add(gz)
	f.Add(x86Kernel(gz, "tail"))
	f.Add(x86Kernel(withSize(encode(f, "lz4-9.1", plain), len(plain)), "tail"))
	f.Add(zbootImage(encode(f, "lz4-12.1", plain), "lz4", "tail"))
	f.Add(append([]byte("\x1f\x8b\x08\x1e\x00\x00\x00\x00\x02\x03\x02\x00xxname\x00comment\x00hh"), gz[10:]...))
	f.Fuzz(func(t *testing.T, kernel []byte) {
		o := Options{Chunking: smallChunks, Seed: true}
		seed, _, seedErr := NewRecipe(context.Background(), bytes.NewReader(kernel), o)
		spool := new(memorySpool)
		o.Seed, o.Spool = false, spool
		r, src, err := NewRecipe(context.Background(), bytes.NewReader(kernel), o)
		for _, err := range []error{err, seedErr} {
			if err != nil && !errors.Is(err, ErrUnsupported) {
				t.Errorf("error %v", err)
			}
		}
		if err != nil {
			return
		}
		if seedErr != nil {
			t.Fatalf("as a seed: %v", seedErr)
		}
		if seed.Codec = r.Codec; recipeText(t, seed) != recipeText(t, r) {
			t.Error("as a seed it has another recipe")
		}
		if !bytes.Equal(mustBuild(t, r, src), kernel) {
			t.Error("another kernel is made")
		}
	})
}
