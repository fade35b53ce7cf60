package mkimage

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"deltaup/chunkstore"
)

// benchTree has about 16 MB in small and large files.
func benchTree() *memTree {
	files := []file{folder("usr")}
	for i := range 1000 {
		files = append(files, regular(fmt.Sprintf("usr/small-%04d", i), realistic(uint64(i), 200+i*13%12_000)))
	}
	for i := range 10 {
		files = append(files, regular(fmt.Sprintf("usr/large-%d", i), realistic(uint64(5000+i), 1_000_000)))
	}
	return newTree(files...)
}

func (t *memTree) size() (n int64) {
	for _, f := range t.files {
		n += f.Size
	}
	return n
}

func BenchmarkNewRecipe(b *testing.B) {
	tree := benchTree()
	b.SetBytes(tree.size())
	for b.Loop() {
		if _, _, err := NewRecipe(context.Background(), tree, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBuild(b *testing.B) {
	tree := benchTree()
	for _, level := range Levels() {
		b.Run(level, func(b *testing.B) {
			r, source, err := NewRecipe(context.Background(), tree, Options{Level: level})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(tree.size())
			for b.Loop() {
				if _, err := Build(context.Background(), r, source, new(memFile), BuildOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkBuildCopied builds from an image that has every block.
func BenchmarkBuildCopied(b *testing.B) {
	tree := benchTree()
	r, image, _ := makeImage(b, tree, Options{Level: "fastest"})
	source := derive(b, image, DeriveOptions{}).Source(r)
	b.SetBytes(tree.size())
	for b.Loop() {
		if _, err := Build(context.Background(), r, source, new(memFile), BuildOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDerive(b *testing.B) {
	tree := benchTree()
	_, image, _ := makeImage(b, tree, Options{Level: "fastest"})
	b.SetBytes(tree.size())
	for b.Loop() {
		derive(b, image, DeriveOptions{})
	}
}

// benchRecipe has 10,000 files in 100 folders, like an image of 300 MB. Every fifth file has
// several chunks.
func benchRecipe() *Recipe {
	r := &Recipe{BlockSize: defaultBlockSize, Codec: codecs[0].ID, Chunking: chunkstore.DefaultParams}
	r.Entries.Append(Entry{Entry: folder("").Entry})
	id := func(n int) chunkstore.ID { return chunkstore.Sum(fmt.Append(nil, n)) }
	for i := range 10_000 {
		if i%100 == 0 {
			r.Entries.Append(Entry{Entry: folder(fmt.Sprintf("folder-%04d", i/100)).Entry})
		}
		e := Entry{Entry: regular(fmt.Sprintf("folder-%04d/with a name-%04d.so", i/100, i), nil).Entry}
		e.Content = &chunkstore.Content{ID: id(i), Size: 20_000}
		e.Content.Chunks = []chunkstore.Chunk{{ID: id(i), Size: 20_000}}
		if i%5 == 0 {
			e.Content.Size, e.Content.Chunks = 60_000, nil
			for n := range 3 {
				e.Content.Chunks = append(e.Content.Chunks, chunkstore.Chunk{ID: id(10_000 + 3*i + n), Size: 20_000})
			}
		}
		e.Size = e.Content.Size
		r.Entries.Append(e)
	}
	return r
}

func BenchmarkParseRecipe(b *testing.B) {
	text := recipeText(b, benchRecipe())
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseRecipe(strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteRecipe(b *testing.B) {
	r := benchRecipe()
	b.ReportAllocs()
	for b.Loop() {
		n, err := r.WriteTo(io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(n)
	}
}
