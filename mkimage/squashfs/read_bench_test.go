package squashfs

import (
	"fmt"
	"io"
	"testing"

	"deltaup/mkimage/tree"
)

// benchImage has many names and some data, like a root file system.
func benchImage(b *testing.B) (m *Image, plain int64) {
	b.Helper()
	out := &memory{}
	w := newBuilder(b, out, Params{})
	inodes := map[string]*Inode{}
	for i := range 20_000 {
		content := compressible(i, 100+i%100*30)
		inodes[fmt.Sprintf("usr/share/d%03d/file%05d", i/100, i)] = &Inode{Attr: tree.Attr{Type: tree.Regular, Mode: 0o644}, Data: w.file(content)}
		plain += int64(len(content))
	}
	for i := range 20 {
		content := compressible(i, 1<<20)
		inodes[fmt.Sprintf("usr/lib/large%02d", i)] = &Inode{Attr: tree.Attr{Type: tree.Regular, Mode: 0o644}, Data: w.file(content)}
		plain += int64(len(content))
	}
	w.finish(inodes)
	m, err := openBytes(out.b)
	if err != nil {
		b.Fatal(err)
	}
	return m, plain
}

// BenchmarkWalk walks over 20,000 names.
func BenchmarkWalk(b *testing.B) {
	m, _ := benchImage(b)
	b.ReportAllocs()
	names := 0
	for b.Loop() {
		names = 0
		if err := m.Walk(func(n *Node) error { names++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(names), "ns/name")
}

// BenchmarkReadAll reads all contents in order.
func BenchmarkReadAll(b *testing.B) {
	m, plain := benchImage(b)
	b.ReportAllocs()
	b.SetBytes(plain)
	buf := make([]byte, 128<<10)
	for b.Loop() {
		err := m.Walk(func(n *Node) error {
			if n.Type != tree.Regular {
				return nil
			}
			f, err := m.File(n)
			if err != nil {
				return err
			}
			_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, io.NewSectionReader(f, 0, f.Size()), buf)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}
