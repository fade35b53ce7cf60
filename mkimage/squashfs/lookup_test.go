package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"deltaup/mkimage/tree"
)

// manyNames has directories whose listings fill several metadata blocks, also one that begins
// within a block.
func manyNames() map[string]*Inode {
	inodes := map[string]*Inode{}
	for i := range 3000 {
		name := fmt.Sprintf("%06x", uint32(i)*2654435761>>8) + strings.Repeat("n", i%190)
		for _, dir := range []string{"a/", "b/", ""} {
			inodes[dir+name] = &Inode{Attr: tree.Attr{Type: tree.FIFO, Mode: 0o644, ModTime: uint32(i)}}
		}
	}
	inodes["a/0"] = &Inode{Attr: tree.Attr{Type: tree.FIFO}}
	return inodes
}

// TestLookupIndexed demands every name, and no name beside it, in directories with an index, of
// Writer and of other tools.
func TestLookupIndexed(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine")
	}
	inodes := manyNames()
	archive := tarOf(t, inodes, nil)
	images := map[string]func(t *testing.T) *Image{
		"ours": func(t *testing.T) *Image {
			out := &memory{}
			newBuilder(t, out, Params{}).finish(inodes)
			m, err := openBytes(out.b)
			if err != nil {
				t.Fatal(err)
			}
			return m
		},
		"mksquashfs": func(t *testing.T) *Image { return openFile(t, mksquashfs(t, archive, "-comp", "zstd")) },
		"tar2sqfs": func(t *testing.T) *Image {
			f := imageFile(t)
			pipeTool(t, archive, "tar2sqfs", "-c", "zstd", "-q", "-f", f.Name())
			return openFile(t, f.Name())
		},
	}
	for name, image := range images {
		t.Run(name, func(t *testing.T) {
			m := image(t)
			indexes := 0
			for p, n := range nodesOf(t, m) {
				indexes += n.dir.indexes
				found, err := m.Lookup(p)
				if err != nil || found.ref != n.ref || found.Path != p {
					t.Fatalf("%q is %+v, %v", p, found, err)
				}
				for _, beside := range []string{p + "\x01", p + "\xff", p[:max(0, len(p)-1)] + "\x01"} {
					if _, err := m.Lookup(beside); !errors.Is(err, fs.ErrNotExist) {
						t.Fatalf("%q, which is not there: %v", beside, err)
					}
				}
			}
			if indexes < 3*20 {
				t.Errorf("%d entries in the directory indexes: nothing was tested", indexes)
			}
		})
	}
}

// TestLookupCost demands that a lookup reads only a little of a large directory.
func TestLookupCost(t *testing.T) {
	m, name := largeDirectory(t, 20_000)
	blocks := 0
	m.metaCache.max = 1
	r := m.r
	m.r = readerAt(func(p []byte, off int64) (int, error) { blocks++; return r.ReadAt(p, off) })
	for _, p := range []string{name(0), name(19_999), name(12_345), "big/zzz"} {
		blocks = 0
		if _, err := m.Lookup(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if blocks > 10 { // of about 60
			t.Errorf("%s: %d blocks were read", p, blocks)
		}
	}
}

// TestFragmentBlockCost demands that whoever asks for one fragment block after another reads each
// block of their table once.
func TestFragmentBlockCost(t *testing.T) {
	const files = 2500
	out := &memory{}
	b := newBuilder(t, out, Params{BlockSize: 4096})
	inodes := map[string]*Inode{}
	for i := range files {
		content := bytes.Repeat(fmt.Appendf(nil, "%d ", i), 3000)[:3000]
		inodes[fmt.Sprint(i)] = &Inode{Attr: tree.Attr{Type: tree.Regular}, Data: b.file(content)}
	}
	b.finish(inodes)
	m, err := openBytes(out.b)
	if err != nil {
		t.Fatal(err)
	}
	reads := 0
	r := m.r
	m.r = readerAt(func(p []byte, off int64) (int, error) { reads++; return r.ReadAt(p, off) })
	last := int64(0)
	for i := range files {
		block, err := m.FragmentBlock(i)
		if err != nil || block.Offset <= last && i > 0 {
			t.Fatalf("fragment block %d: %+v, behind %d: %v", i, block, last, err)
		}
		last = block.Offset
	}
	const each = 2 + 1 // of the length and the bytes of a metadata block, and of where it lies
	if most := files*fragmentEntrySize/metaBlockSize + 1; reads > each*most {
		t.Errorf("%d reads for a table of %d blocks", reads, most)
	}
}

type readerAt func(p []byte, off int64) (int, error)

func (r readerAt) ReadAt(p []byte, off int64) (int, error) { return r(p, off) }

// TestHostileIndex looks up names through indexes that lead elsewhere.
func TestHostileIndex(t *testing.T) {
	const last = "y1/entry000599"
	for _, c := range []struct {
		name   string
		damage func(inode, index []byte)
		want   string // part of the error
		is     error
	}{
		{"nothing", func(_, _ []byte) {}, "", nil},
		{"no index", func(inode, _ []byte) { put16(inode, 32, 0) }, "", nil},
		{"more entries than there are", func(inode, _ []byte) { put16(inode, 32, 65535) }, "directory index: ", ErrCorrupt},
		{"position beyond the listing", func(_, index []byte) { put32(index, 0, 1<<31) }, "a run at 2147483648 of", ErrCorrupt},
		{"position at the end", func(inode, index []byte) { copy(index[:4], inode[20:24]); index[0] -= dirSizeExtra }, "begins with", ErrCorrupt},
		{"position within a run", func(_, index []byte) { index[0] += dirEntrySize }, "directory index: ", ErrCorrupt},
		{"position of the beginning", func(_, index []byte) { put32(index, 0, 0); put32(index, 4, 0) }, `begins with "entry000000", not with`, ErrCorrupt},
		{"another block", func(_, index []byte) { put32(index, 4, 0) }, "directory index: ", ErrCorrupt},
		{"block beyond the table", func(_, index []byte) { put32(index, 4, 1<<31) }, "outside of the directory table", ErrCorrupt},
		{"block that is none", func(_, index []byte) { index[4]++ }, "directory index: ", ErrCorrupt},
		{"another name", func(_, index []byte) { index[dirIndexSize] = 'E' }, `not with "Entry`, ErrCorrupt},
		{"long name", func(_, index []byte) { put32(index, 8, 1<<31) }, "name of 2147483649 bytes", ErrCorrupt},
		// the whole listing is searched then
		{"name behind all", func(_, index []byte) { index[dirIndexSize] = 'z' }, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHostile(t)
			inode := h.inode("y1")
			c.damage(inode, inode[extDirInodeSize:])
			m, err := openBytes(h.b)
			if err != nil {
				t.Fatal(err)
			}
			n, err := m.Lookup(last)
			switch {
			case c.is == nil && (err != nil || n.Path != last):
				t.Errorf("%+v, %v", n, err)
			case c.is != nil && (!errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// largeDirectory has n entries in "big".
func largeDirectory(tb testing.TB, n int) (m *Image, name func(i int) string) {
	tb.Helper()
	name = func(i int) string { return fmt.Sprintf("big/entry-%06d", i) }
	inodes := map[string]*Inode{}
	for i := range n {
		inodes[name(i)] = &Inode{Attr: tree.Attr{Type: tree.FIFO, Mode: 0o644, ModTime: uint32(i)}}
	}
	out := &memory{}
	newBuilder(tb, out, Params{}).finish(inodes)
	m, err := openBytes(out.b)
	if err != nil {
		tb.Fatal(err)
	}
	return m, name
}

// BenchmarkLookup looks up names everywhere in a directory of 100,000.
func BenchmarkLookup(b *testing.B) {
	const n = 100_000
	m, name := largeDirectory(b, n)
	i := 0
	for b.Loop() {
		i = (i + 61_803) % n
		if _, err := m.Lookup(name(i)); err != nil {
			b.Fatal(err)
		}
	}
}
