package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"deltaup/mkimage/tree"
)

// countingCodec counts decompressed blocks.
type countingCodec struct {
	decompressor
	n atomic.Int64
}

func (c *countingCodec) decompress(dst, stored []byte) (int, error) {
	c.n.Add(1)
	return c.decompressor.decompress(dst, stored)
}

// compressible gives n bytes that compress and have no repeated parts.
func compressible(seed, n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d: line %d of some text\n", seed, i)
	}
	return b.Bytes()[:n]
}

// writeFiles makes an image of files, in memory, with blocks of 4 KiB.
func writeFiles(t testing.TB, contents map[string][]byte) *Image {
	t.Helper()
	out := &memory{}
	b := newBuilder(t, out, Params{BlockSize: BlockSizeMin})
	inodes := map[string]*Inode{}
	for _, p := range slices.Sorted(maps.Keys(contents)) {
		inodes[p] = &Inode{Attr: tree.Attr{Type: tree.Regular, Mode: 0o644}, Data: b.file(contents[p])}
	}
	b.finish(inodes)
	m, err := openBytes(out.b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestReadOnce reads in order, in small pieces, and demands that each block is decompressed once.
func TestReadOnce(t *testing.T) {
	contents := map[string][]byte{"large": compressible(1, 10*BlockSizeMin+100)}
	for i := range 40 {
		contents[fmt.Sprintf("small%02d", i)] = compressible(i, 150)
	}
	m := writeFiles(t, contents)
	nodes := nodesOf(t, m)
	counter := &countingCodec{decompressor: m.codec}
	m.codec = counter

	f, err := m.File(nodes["large"])
	if err != nil {
		t.Fatal(err)
	}
	var got []byte
	buf := make([]byte, 100)
	for r := io.NewSectionReader(f, 0, f.Size()); ; {
		n, err := r.Read(buf)
		got = append(got, buf[:n]...)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got, contents["large"]) {
		t.Errorf("read %d other bytes", len(got))
	}
	if n := counter.n.Swap(0); n != 11 {
		t.Errorf("decompressed %d blocks for 10 and a fragment block", n)
	}
	for p := range contents {
		if p == "large" {
			continue
		}
		if got, err := readAll(m, nodes[p]); err != nil || !bytes.Equal(got, contents[p]) {
			t.Errorf("%s: %d other bytes (%v)", p, len(got), err)
		}
	}
	if n, most := counter.n.Load(), int64(m.info.Fragments); n >= 40 || n > most {
		t.Errorf("decompressed %d blocks for small files in %d fragment blocks", n, most)
	}
}

// TestReadAt reads at random places, concurrently, through one File and through several.
func TestReadAt(t *testing.T) {
	content := slices.Concat(compressible(1, 5*BlockSizeMin), make([]byte, 3*BlockSizeMin), noise(2, BlockSizeMin), compressible(3, 77))
	m := writeFiles(t, map[string][]byte{"f": content})
	n, err := m.Lookup("f")
	if err != nil {
		t.Fatal(err)
	}
	shared, err := m.File(n)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for seed := range uint64(8) {
		wg.Go(func() {
			f, err := m.File(n)
			if err != nil {
				t.Error(err)
				return
			}
			if seed%2 == 0 {
				f = shared
			}
			r := rand.New(rand.NewPCG(seed, 0))
			for range 200 {
				off := r.IntN(len(content) + 10)
				p := make([]byte, r.IntN(3*BlockSizeMin))
				k, err := f.ReadAt(p, int64(off))
				want := content[min(off, len(content)):min(off+len(p), len(content))]
				if !bytes.Equal(p[:k], want) || (err == io.EOF) != (off >= len(content) || off+len(p) > len(content)) || err != nil && err != io.EOF {
					t.Errorf("%d bytes at %d: %d bytes, %v", len(p), off, k, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if _, err := shared.ReadAt(make([]byte, 1), -1); err == nil || err == io.EOF {
		t.Errorf("at -1: %v", err)
	}
}

// TestReadSparse reads places far apart in a file of 1 TiB, whose block list has marks.
func TestReadSparse(t *testing.T) {
	const blockSize = 128 << 10
	const blocks = 8 << 20
	out := &memory{}
	b := newBuilder(t, out, Params{BlockSize: blockSize})
	d := &Data{Fragment: NoFragment, Size: blocks * blockSize, Lengths: make([]uint32, 0, blocks)}
	stored := map[int][]byte{0: noise(1, blockSize), 5000: noise(2, blockSize), blocks - 1: noise(3, blockSize)}
	for i := range blocks {
		if content := stored[i]; content != nil {
			b.block(d, content)
			continue
		}
		d.Lengths, d.Holes = append(d.Lengths, 0), d.Holes+blockSize
	}
	b.finish(map[string]*Inode{"f": {Attr: tree.Attr{Type: tree.Regular, Mode: 0o644}, Data: d}})
	m, err := openBytes(out.b)
	if err != nil {
		t.Fatal(err)
	}
	n, err := m.Lookup("f")
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.File(n)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{5000, 0, blocks - 1, 4999, 5000, 5001, 1, blocks - 1, blocks - 2} {
		want := stored[i]
		if want == nil {
			want = make([]byte, blockSize)
		}
		got := make([]byte, blockSize)
		if _, err := f.ReadAt(got, int64(i)*blockSize); err != nil || !bytes.Equal(got, want) {
			t.Errorf("block %d reads other bytes (%v)", i, err)
		}
	}
	if most := blocks / marksEvery; len(f.list.marks) != most {
		t.Errorf("%d marks for %d blocks, want %d", len(f.list.marks), blocks, most)
	}
}

// failingReader fails at one of its calls.
type failingReader struct {
	io.ReaderAt
	fail atomic.Bool
}

var errFailing = errors.New("failing on purpose")

func (r *failingReader) ReadAt(p []byte, off int64) (int, error) {
	if r.fail.Swap(false) {
		return 0, errFailing
	}
	return r.ReaderAt.ReadAt(p, off)
}

// TestReadAgain reads on after the medium has failed once.
func TestReadAgain(t *testing.T) {
	content := append(noise(1, 20*BlockSizeMin), "tail"...)
	m := writeFiles(t, map[string][]byte{"f": content})
	r := &failingReader{ReaderAt: m.r}
	m.r = r
	n, err := m.Lookup("f")
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.File(n)
	if err != nil {
		t.Fatal(err)
	}
	for off := int64(0); off < f.Size(); off += 1000 {
		p := make([]byte, min(1000, f.Size()-off))
		r.fail.Store(off/BlockSizeMin%2 == 0)
		k, err := f.ReadAt(p, off)
		if err != nil && !errors.Is(err, errFailing) {
			t.Fatalf("at %d: %v", off, err)
		}
		if err != nil {
			_, err = f.ReadAt(p[k:], off+int64(k))
		}
		r.fail.Store(false)
		if err != nil || !bytes.Equal(p, content[off:off+int64(len(p))]) {
			t.Fatalf("at %d: other bytes after a failed read (%v)", off, err)
		}
	}
}

func TestLookup(t *testing.T) {
	m := writeFiles(t, map[string][]byte{"usr/bin/env": []byte("x"), "usr/lib/b": nil, "usr/lib/a": nil})
	for path, found := range map[string]bool{
		"": true, "usr": true, "usr/bin": true, "usr/bin/env": true, "usr/lib/b": true,
		"/usr": false, "usr/": false, "usr//bin": false, "usr/.": false, "usr/bin/..": false, "usr/bin/env/x": false, "usr/lib/c": false, "us": false, "/": false,
	} {
		n, err := m.Lookup(path)
		switch {
		case found && (err != nil || n.Path != path):
			t.Errorf("%q: %+v, %v", path, n, err)
		case !found && !errors.Is(err, fs.ErrNotExist):
			t.Errorf("%q: error %v, want that it does not exist", path, err)
		}
	}
}

// TestWalkSkips walks with errors that leave out parts of the tree.
func TestWalkSkips(t *testing.T) {
	m := writeFiles(t, map[string][]byte{"a/1": nil, "a/2": nil, "b/1": nil, "b/2": nil, "c": nil})
	errOwn := errors.New("own")
	for _, tt := range []struct {
		at   string
		with error
		want []string
		err  error
	}{
		{"a", fs.SkipDir, []string{"", "a", "b", "b/1", "b/2", "c"}, nil},
		{"a/1", fs.SkipDir, []string{"", "a", "a/1", "b", "b/1", "b/2", "c"}, nil},
		{"b/1", fs.SkipAll, []string{"", "a", "a/1", "a/2", "b", "b/1"}, nil},
		{"", fs.SkipDir, []string{""}, nil},
		{"b", errOwn, []string{"", "a", "a/1", "a/2", "b"}, errOwn},
		{"b/2", errOwn, []string{"", "a", "a/1", "a/2", "b", "b/1", "b/2"}, errOwn},
	} {
		var got []string
		err := m.Walk(func(n *Node) error {
			got = append(got, n.Path)
			if n.Path == tt.at {
				return tt.with
			}
			return nil
		})
		if err != tt.err || !slices.Equal(got, tt.want) {
			t.Errorf("%v at %q: walked %q, %v", tt.with, tt.at, got, err)
		}
	}
	b, err := m.Lookup("b")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = m.WalkFrom(b, func(n *Node) error { got = append(got, n.Path); return nil })
	if want := []string{"b", "b/1", "b/2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("from b: walked %q, %v", got, err)
	}
}

func TestNoRegularFile(t *testing.T) {
	m := writeFiles(t, nil)
	root, err := m.Lookup("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.File(root); err == nil {
		t.Error("the root opens as a file")
	}
	for _, err := range m.Blocks(root) {
		if err == nil {
			t.Error("the root has a block")
		}
	}
}
