package squashfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"deltaup/mkimage/tree"
)

// hostile is an image with plain metadata, which tests can change in place.
type hostile struct {
	t *testing.T
	m *Image
	b []byte
}

// newHostile makes the image that the tests below damage.
func newHostile(t *testing.T) *hostile {
	t.Helper()
	out := &memory{}
	b := newBuilder(t, out, Params{BlockSize: BlockSizeMin, Compressor: plainCompressor{}})
	xattrs := []tree.Xattr{{Name: "user.aa", Value: []byte("1")}, {Name: "user.bb", Value: []byte("2")}}
	shared := &Inode{Attr: tree.Attr{Type: tree.FIFO, Mode: 0o644}}
	inodes := map[string]*Inode{
		"aa":       {Attr: tree.Attr{Type: tree.FIFO, Mode: 0o644}},
		"bb":       {Attr: tree.Attr{Type: tree.FIFO, Mode: 0o644}},
		"file":     {Attr: tree.Attr{Type: tree.Regular, Mode: 0o644, Xattrs: xattrs}, Data: b.file(noise(1, 2*BlockSizeMin+10))},
		"link":     {Attr: tree.Attr{Type: tree.Symlink, Mode: 0o777, Target: "target"}},
		"sub/deep": {Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}},
		"sub/x":    {Attr: tree.Attr{Type: tree.FIFO, Mode: 0o644}},
		"y1":       {Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}},
		"y2":       {Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}},
		"y3":       {Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}},
	}
	for i := range 600 {
		inodes[fmt.Sprintf("y1/entry%06d", i)] = shared
	}
	b.finish(inodes)
	m, err := openBytes(out.b)
	if err != nil {
		t.Fatal(err)
	}
	return &hostile{t, m, out.b}
}

// inode gives the image from the inode of a path on.
func (h *hostile) inode(path string) []byte {
	h.t.Helper()
	n, err := h.m.Lookup(path)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.b[h.m.inodes.start+n.ref.block()+metaHeaderSize+int64(n.ref.offset()):]
}

// entry gives the image from the first dirEntry with a name on.
func (h *hostile) entry(name string) []byte {
	h.t.Helper()
	pattern := append([]byte{byte(len(name) - 1), 0}, name...)
	i := bytes.Index(h.b[h.m.dirs.start:], pattern)
	if i < 0 {
		h.t.Fatalf("no entry %q", name)
	}
	return h.b[h.m.dirs.start+int64(i)-6:]
}

// rename changes a name in place.
func (h *hostile) rename(from, to string) { copy(h.entry(from)[dirEntrySize:], to) }

// link makes the entry of a name lead to the inode of a path, which must lie in the same metadata
// block.
func (h *hostile) link(name, path string) {
	h.t.Helper()
	n, err := h.m.Lookup(path)
	if err != nil {
		h.t.Fatal(err)
	}
	e := h.entry(name)
	old, err := h.m.Lookup(map[string]string{"deep": "sub/deep"}[name])
	if old.Path == "" {
		old, err = h.m.Lookup(name)
	}
	if err != nil || old.ref.block() != n.ref.block() {
		h.t.Fatalf("%q and %q lie apart (%v)", name, path, err)
	}
	put16(e, 0, uint16(n.ref.offset()))
	put16(e, 2, binary.LittleEndian.Uint16(e[2:])+uint16(n.Inode-old.Inode))
	put16(e, 4, uint16(n.Type))
}

func put16(b []byte, at int, v uint16) { binary.LittleEndian.PutUint16(b[at:], v) }
func put32(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }
func put64(b []byte, at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }

// TestHostile damages the image in one place at a time.
func TestHostile(t *testing.T) {
	const file, link, dir = "file", "link", "y2"
	tests := []struct {
		name   string
		damage func(h *hostile)
		want   string // in the error
		is     error
	}{
		{"nothing", func(h *hostile) {}, "", nil},
		{"slash in a name", func(h *hostile) { h.rename("bb", "b/") }, `name "b/"`, ErrCorrupt},
		{"zero in a name", func(h *hostile) { h.rename("bb", "b\x00") }, `name "b\x00"`, ErrCorrupt},
		{"dot", func(h *hostile) { h.rename("x", ".") }, `name "."`, ErrCorrupt},
		{"dot dot", func(h *hostile) { h.rename("bb", "..") }, `name ".."`, ErrCorrupt},
		{"name twice", func(h *hostile) { h.rename("bb", "aa") }, `name "aa" twice`, ErrCorrupt},
		{"name twice, apart", func(h *hostile) { h.rename("link", "file") }, `name "file" twice`, ErrCorrupt},
		{"root in itself", func(h *hostile) { h.link("sub", "") }, "second name", ErrCorrupt},
		{"directory in itself", func(h *hostile) { h.link("deep", "sub") }, "second name", ErrCorrupt},
		{"directory twice", func(h *hostile) { h.link("y2", "y3") }, "second name", ErrCorrupt},
		{"inode number twice", func(h *hostile) {
			b, e := h.inode("bb"), h.entry("bb")
			put32(b, 12, binary.LittleEndian.Uint32(b[12:])-1)
			put16(e, 2, binary.LittleEndian.Uint16(e[2:])-1)
		}, "two inodes have the number", ErrCorrupt},
		{"other inode number", func(h *hostile) { put16(h.entry("bb"), 2, 0x7fff) }, "directory says inode", ErrCorrupt},
		{"other type", func(h *hostile) { put16(h.entry("bb"), 4, uint16(tree.Socket)) }, "of type 7, inode says", ErrCorrupt},
		{"listing ends early", func(h *hostile) { put16(h.inode("sub"), 24, 10) }, "listing ends within an entry", ErrCorrupt},
		// the same 600 names three times, more than the table has
		{"listing of another", func(h *hostile) {
			n, err := h.m.Lookup("y1")
			if err != nil {
				h.t.Fatal(err)
			}
			for _, p := range []string{"y2", "y3"} {
				in := h.inode(p)
				put32(in, 16, uint32(n.dir.start.block()))
				put16(in, 24, uint16(n.dir.size))
				put16(in, 26, uint16(n.dir.start.offset()))
			}
		}, "share their listings", ErrCorrupt},
		{"listing beyond its table", func(h *hostile) { put32(h.inode(dir), 16, 1<<30); put16(h.inode(dir), 24, 100) }, "outside of the directory table", ErrCorrupt},
		{"listing beyond its block", func(h *hostile) { put16(h.inode(dir), 26, 0xffff); put16(h.inode(dir), 24, 100) }, "offset 65535", ErrCorrupt},
		{"inode type", func(h *hostile) { put16(h.inode("bb"), 0, 15) }, "inode type 15", ErrCorrupt},
		{"inode number", func(h *hostile) { put32(h.inode("bb"), 12, 1<<20) }, "number 1048576 of", ErrCorrupt},
		{"owner", func(h *hostile) { put16(h.inode("bb"), 4, 1) }, "owner 1 and group 0 of 1 ids", ErrCorrupt},
		{"empty target", func(h *hostile) { put32(h.inode(link), 20, 0) }, "target of 0 bytes", ErrCorrupt},
		{"huge target", func(h *hostile) { put32(h.inode(link), 20, 1<<31) }, "target of 2147483648 bytes", ErrCorrupt},
		{"zero in a target", func(h *hostile) { h.inode(link)[24] = 0 }, "zero byte", ErrCorrupt},
		{"file of 2^63", func(h *hostile) { put64(h.inode(file), 24, 1<<63) }, "file of 9223372036854775808 bytes", ErrCorrupt},
		{"file of 2^60", func(h *hostile) { put64(h.inode(file), 24, 1<<60) }, "block 2: ", ErrCorrupt},
		{"start beyond the end", func(h *hostile) { put64(h.inode(file), 16, 1<<40) }, "outside of the image", ErrCorrupt},
		{"start in the superblock", func(h *hostile) { put64(h.inode(file), 16, 0) }, "outside of the image", ErrCorrupt},
		{"block too long", func(h *hostile) { put32(h.inode(file), extFileInodeSize, 1<<20) }, "block of 1048576 stored bytes", ErrCorrupt},
		{"plain block too short", func(h *hostile) { put32(h.inode(file), extFileInodeSize, 100|blockPlain) }, "of 100 bytes for 4096", ErrCorrupt},
		{"plain block said to be compressed", func(h *hostile) { put32(h.inode(file), extFileInodeSize, BlockSizeMin) }, "gzip", ErrCorrupt},
		{"fragment index", func(h *hostile) { put32(h.inode(file), 44, 7) }, "fragment block 7 of 1", ErrCorrupt},
		{"fragment offset", func(h *hostile) { put32(h.inode(file), 48, BlockSizeMin-9) }, "tail at 4087", ErrCorrupt},
		// above 2^31 it is a negative number to a machine of 32 bits
		{"fragment offset 2^32-1", func(h *hostile) { put32(h.inode(file), 48, 1<<32-1) }, "tail at 4294967295", ErrCorrupt},
		{"fragment index 2^31", func(h *hostile) { put32(h.inode(file), 44, 1<<31) }, "fragment block 2147483648 of 1", ErrCorrupt},
		{"length word 2^31", func(h *hostile) { put32(h.inode(file), extFileInodeSize, 1<<31) }, "block of 2147483648 stored bytes", ErrCorrupt},
		{"tail beyond the fragment block", func(h *hostile) { put32(h.inode(file), 48, 1) }, "tail ends at 11", ErrCorrupt},
		{"xattr index", func(h *hostile) { put32(h.inode(file), 52, 9) }, "entry 9 of the xattr id table", ErrCorrupt},
		{"xattr twice", func(h *hostile) {
			copy(h.b[h.m.pairs.start:], bytes.Replace(h.b[h.m.pairs.start:], []byte("bb\x01"), []byte("aa\x01"), 1))
		}, `attribute "user.aa" twice`, ErrCorrupt},
		{"xattr value", func(h *hostile) {
			copy(h.b[h.m.pairs.start:], bytes.Replace(h.b[h.m.pairs.start:], []byte("bb\x01\x00\x00\x00"), []byte("bb\x01\x00\x00\x40"), 1))
		}, "value of 1073741825 bytes", ErrCorrupt},
		{"xattr namespace", func(h *hostile) { h.b[h.m.pairs.start+2] = 9 }, "xattr type 0x9", ErrCorrupt},

		{"magic", func(h *hostile) { h.b[0] = 'x' }, "magic", ErrCorrupt},
		{"big endian", func(h *hostile) { copy(h.b, "sqsh") }, "big-endian", ErrUnsupported},
		{"version 3.1", func(h *hostile) { put16(h.b, 28, 3); put16(h.b, 30, 1) }, "version 3.1", ErrUnsupported},
		{"lzma", func(h *hostile) { put16(h.b, 20, compressorLZMA) }, "lzma", ErrUnsupported},
		{"compressor 77", func(h *hostile) { put16(h.b, 20, 77) }, "compressor number 77", ErrUnsupported},
		{"fragments", func(h *hostile) { put32(h.b, 16, 1<<32-1) }, "fragment table of 4294967295 entries", ErrCorrupt},
		{"no fragment table", func(h *hostile) { put64(h.b, 80, noTable) }, "no fragment table", ErrCorrupt},
		{"ids", func(h *hostile) { put16(h.b, 26, 65535) }, "id table", ErrCorrupt},
		{"xattr ids", func(h *hostile) { put32(h.b, int(h.m.xattrIDs.list)-8, 1<<32-1) }, "xattr id table of 4294967295 entries", ErrCorrupt},
		{"root elsewhere", func(h *hostile) { put64(h.b, 32, 1<<63) }, "outside of the inode table", ErrCorrupt},
		{"root is a file", func(h *hostile) {
			n, err := h.m.Lookup(file)
			if err != nil {
				h.t.Fatal(err)
			}
			put64(h.b, 32, uint64(n.ref))
		}, "root is no directory", ErrCorrupt},
		{"longer than the file", func(h *hostile) { put64(h.b, 40, uint64(len(h.b)+1)) }, "its superblock says", ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := newHostile(t)
			tt.damage(h)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := readEverything(h.b, 1<<20)
			runtime.ReadMemStats(&after)
			switch {
			case tt.is == nil && err != nil:
				t.Fatal(err)
			case tt.is != nil && (!errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
				t.Errorf("took %d bytes of memory", n)
			}
		})
	}
}

// TestUnsorted reads a directory that is out of order, which Linux accepts.
func TestUnsorted(t *testing.T) {
	h := newHostile(t)
	aa, bb := h.entry("aa")[dirEntrySize:], h.entry("bb")[dirEntrySize:]
	copy(aa, "zz")
	copy(bb, "aa")
	m, err := openBytes(h.b)
	if err != nil {
		t.Fatal(err)
	}
	nodes := nodesOf(t, m) // nodesOf checks the order
	for _, p := range []string{"aa", "zz", "sub/x"} {
		n, err := m.Lookup(p)
		if err != nil || nodes[p] == nil || nodes[p].Inode != n.Inode {
			t.Errorf("%q: walk finds %+v, lookup %+v (%v)", p, nodes[p], n, err)
		}
	}
}

// TestUnreasonable demands that the package refuses some valid but unreasonable images.
func TestUnreasonable(t *testing.T) {
	images := map[string][]byte{}
	deep := strings.Repeat(strings.Repeat("d", 250)+"/", pathMax/250+1) + "end"
	out := &memory{}
	newBuilder(t, out, Params{}).finish(map[string]*Inode{deep: {Attr: tree.Attr{Type: tree.FIFO}}})
	images["paths of more than 16384 bytes"] = out.b

	var sets [2][]tree.Xattr // each is small enough, both together are not
	for i := range uint64(24) {
		sets[i/12] = append(sets[i/12], tree.Xattr{Name: fmt.Sprintf("user.%02d", i), Value: noise(i, XattrValueMax)})
	}
	out = &memory{}
	newBuilder(t, out, Params{Compressor: plainCompressor{}}).finish(map[string]*Inode{
		"a": {Attr: tree.Attr{Type: tree.FIFO, Xattrs: sets[0]}},
		"b": {Attr: tree.Attr{Type: tree.FIFO, Xattrs: sets[1]}},
	})
	m, err := openBytes(out.b)
	if err != nil {
		t.Fatal(err)
	}
	ids := binary.LittleEndian.Uint64(out.b[m.xattrIDs.list:])
	put32(out.b, int(ids)+metaHeaderSize+8, 24)
	images["more than 1048576 bytes"] = out.b

	for want, b := range images {
		_, err := readEverything(b, 1<<30)
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want that there are %s", err, want)
		}
	}
}

// TestBlockArguments reads blocks that no image has given.
func TestBlockArguments(t *testing.T) {
	h := newHostile(t)
	end := h.m.used
	for _, b := range []Block{
		{Offset: 96, Length: -1, Size: 10},
		{Offset: 96, Length: BlockSizeMin + 1, Size: BlockSizeMin},
		{Offset: 96, Length: 10, Size: BlockSizeMin + 1, Compressed: true},
		{Offset: -96, Length: 10, Size: 10},
		{Offset: end - 9, Length: 10, Size: 10},
		{Offset: 1<<63 - 1, Length: 10, Size: 10},
		{Offset: 96, Length: 10, Size: 11},
		{Size: -1},
	} {
		if _, err := h.m.ReadBlock(b, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%+v: plain bytes, %v", b, err)
		}
		if b.Length == 0 {
			continue
		}
		if _, err := h.m.ReadStored(b, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%+v: stored bytes, %v", b, err)
		}
	}
	for _, i := range []int{-1, h.m.info.Fragments} {
		if _, err := h.m.FragmentBlock(i); !errors.Is(err, ErrCorrupt) {
			t.Errorf("fragment block %d: %v", i, err)
		}
	}
	prefix := []byte("prefix")
	if got, err := h.m.ReadBlock(Block{Size: 3}, slices.Clone(prefix)); err != nil || string(got) != "prefix\x00\x00\x00" {
		t.Errorf("hole appended gives %q, %v", got, err)
	}
}
