package mkimage

import (
	"context"
	"fmt"
	"testing"
)

// benchTree is about 16 MB in small and large files.
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

// BenchmarkBuildCopied builds from an image that has every block already.
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
