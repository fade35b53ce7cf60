package squashfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"deltaup/mkimage/tree"
)

// TestDeterministic builds the same tree twice, over different bytes, and demands the same image.
func TestDeterministic(t *testing.T) {
	build := func(garbage []byte) *memory {
		out := &memory{b: garbage}
		b := newBuilder(t, out, Params{ModTime: 7, Trailer: trailer("trailer")})
		inodes, _ := sample(b)
		size := b.finish(inodes)
		out.b = out.b[:size]
		return out
	}
	first, second := build(nil), build(bytes.Repeat([]byte{0xff}, 4<<20))
	if !bytes.Equal(first.b, second.b) {
		t.Error("two images of one tree differ")
	}
	if len(first.b)%PadSize != 0 {
		t.Errorf("the image has %d bytes, no multiple of %d", len(first.b), PadSize)
	}
	last := len(first.writes) - 1
	if first.writes[last] != [2]int64{0, superblockSize} {
		t.Errorf("the last write is %v, want the superblock", first.writes[last])
	}
	next := int64(superblockSize)
	for _, w := range first.writes[:last] {
		if w[0] != next {
			t.Errorf("a write at %d, want %d", w[0], next)
		}
		next = w[1]
	}
}

// failing fails at the n-th write.
type failing struct {
	memory
	n int
}

var errWrite = errors.New("no more")

func (f *failing) WriteAt(p []byte, off int64) (int, error) {
	if f.n--; f.n < 0 {
		return 0, errWrite
	}
	return f.memory.WriteAt(p, off)
}

// TestWriteErrors fails every write in turn. Only a complete image may have a superblock.
func TestWriteErrors(t *testing.T) {
	build := func(out *failing) error {
		w, err := NewWriter(out, Params{BlockSize: BlockSizeMin, Compressor: plainCompressor{}})
		if err != nil {
			t.Fatal(err)
		}
		at, err := w.WriteBlock(make([]byte, 100))
		if err != nil {
			return err
		}
		if _, err := w.WriteFragment(make([]byte, 100), true); err != nil {
			return err
		}
		file := &Inode{Attr: tree.Attr{Type: tree.Regular}, Data: &Data{Start: at, Lengths: []uint32{100}, Fragment: NoFragment, Size: 4096}}
		_, err = w.Finish(makeTree(map[string]*Inode{"f": file}))
		return err
	}
	n := 0
	for ; ; n++ {
		out := &failing{n: n}
		err := build(out)
		if err == nil {
			break
		}
		if !errors.Is(err, errWrite) || strings.Count(err.Error(), "write image") != 1 {
			t.Errorf("write %d fails: %v", n, err)
		}
		if len(out.b) > 0 && binary.LittleEndian.Uint32(out.b) == superMagic {
			t.Errorf("write %d fails, and the superblock is there", n)
		}
	}
	if n < 5 {
		t.Errorf("%d writes, want a block, a fragment, tables, options, padding and superblock", n)
	}
}

// TestTrailer demands the trailer behind the last table, whether or not it fits into the last page.
func TestTrailer(t *testing.T) {
	for used := range 24 { // moves the end of the tables across the end of a page
		text := strings.Repeat("t", TrailerMax)
		out := &memory{}
		b := newBuilder(t, out, Params{Trailer: trailer(text), Compressor: plainCompressor{}})
		if _, err := b.w.WriteBlock(make([]byte, 3600+20*used)); err != nil {
			t.Fatal(err)
		}
		size := b.finish(nil)
		var sb superblock
		if err := unmarshal(out.b, &sb); err != nil {
			t.Fatal(err)
		}
		if int64(len(out.b)) != size || size%PadSize != 0 || size-int64(sb.BytesUsed) >= PadSize+TrailerMax {
			t.Errorf("%d bytes used, size %d of %d", sb.BytesUsed, size, len(out.b))
		}
		rest := out.b[sb.BytesUsed:]
		if !bytes.HasPrefix(rest, []byte(text)) || bytes.Count(rest[len(text):], []byte{0}) != len(rest)-len(text) {
			t.Errorf("%d bytes used: no trailer and zeros behind", sb.BytesUsed)
		}
		if want := append([]byte{8, 0x80}, plainCompressor{}.Options()...); !bytes.Equal(out.b[96:106], want) || sb.Flags&flagOptions == 0 {
			t.Errorf("compressor options are %x, want %x", out.b[96:106], want)
		}
	}
}

// TestXattrSets counts the stored bytes of repeated sets and values.
func TestXattrSets(t *testing.T) {
	var x xattrWriter
	x.init(plainCompressor{})
	large := noise(1, 5000)
	for i, c := range []struct {
		set   []tree.Xattr
		id    uint32
		plain int // plain bytes of the set
	}{
		{nil, noXattr, 0},
		{[]tree.Xattr{{Name: "user.a", Value: large}}, 0, 4 + 1 + 4 + 5000},
		{[]tree.Xattr{{Name: "user.a", Value: large}}, 0, 0},
		{[]tree.Xattr{{Name: "user.b", Value: large}}, 1, 4 + 1 + 4 + 8},
		{[]tree.Xattr{{Name: "user.a", Value: large}, {Name: "user.b", Value: large}}, 2, 2 * (4 + 1 + 4 + 8)},
		{[]tree.Xattr{{Name: "trusted.a", Value: []byte("small")}}, 3, 4 + 1 + 4 + 5},
		{[]tree.Xattr{{Name: "security.a", Value: []byte("small")}}, 4, 4 + 1 + 4 + 5},
		{[]tree.Xattr{{Name: "user.a", Value: nil}}, 5, 4 + 1 + 4},
	} {
		before := x.pairs.ref()
		id, err := x.add(c.set)
		if err != nil || id != c.id {
			t.Errorf("set %d: id %d, want %d (%v)", i, id, c.id, err)
		}
		// All blocks are plain, so a stored block only adds a header.
		position := func(r inodeRef) int {
			return int(r.block()/(metaHeaderSize+metaBlockSize))*metaBlockSize + r.offset()
		}
		if got := position(x.pairs.ref()) - position(before); got != c.plain {
			t.Errorf("set %d takes %d bytes, want %d", i, got, c.plain)
		}
		if c.plain > 0 && x.ids[id].Size != uint32(c.plain) {
			t.Errorf("set %d is entered with %d bytes, want %d", i, x.ids[id].Size, c.plain)
		}
	}
}

// TestRefusedTrees demands that Finish refuses trees that the format or Linux does not permit.
func TestRefusedTrees(t *testing.T) {
	const blockSize = BlockSizeMin
	dir := &Inode{Attr: tree.Attr{Type: tree.Directory}}
	fifo := &Inode{Attr: tree.Attr{Type: tree.FIFO}}
	in := func(a tree.Attr) *Entry {
		return &Entry{Inode: dir, children: []Entry{{Name: "x", Inode: &Inode{Attr: a}}}}
	}
	names := func(names ...string) *Entry {
		e := &Entry{Inode: dir}
		for _, n := range names {
			e.children = append(e.children, Entry{Name: n, Inode: fifo})
		}
		return e
	}
	file := func(d Data) *Entry {
		return &Entry{Inode: dir, children: []Entry{{Name: "x", Inode: &Inode{Attr: tree.Attr{Type: tree.Regular}, Data: &d}}}}
	}
	xattr := func(set ...tree.Xattr) *Entry { return in(tree.Attr{Type: tree.FIFO, Xattrs: set}) }
	var many []tree.Xattr
	for i := range 17 {
		many = append(many, tree.Xattr{Name: fmt.Sprintf("user.%02d", i), Value: make([]byte, XattrValueMax)})
	}
	for _, c := range []struct {
		root *Entry
		want string
	}{
		{xattr(many...), "1114231 bytes of extended attributes"},
		{nil, "the root is no directory"},
		{&Entry{Inode: fifo}, "the root is no directory"},
		{names(""), `"" is no file name`},
		{names("."), `"." is no file name`},
		{names(".."), `".." is no file name`},
		{names("a/b"), "no file name"},
		{names("a\x00"), "no file name"},
		{names(strings.Repeat("n", 256)), "of 256 bytes"},
		{names("b", "a"), `names out of order: "b" before "a"`},
		{names("a", "a"), "names out of order"},
		{names("é", "z"), "names out of order"},
		{&Entry{Inode: dir, children: []Entry{{Name: "x"}}}, `"x": no inode`},
		{&Entry{Inode: dir, children: []Entry{{Name: "x", Inode: dir}}}, "a directory with two names"},
		{&Entry{Inode: dir, children: []Entry{{Name: "x", Inode: fifo, children: []Entry{{Name: "y", Inode: fifo}}}}}, "below what is no directory"},
		{in(tree.Attr{}), "unknown inode type 0"},
		{in(tree.Attr{Type: tree.Socket + 1}), "unknown inode type 8"},
		{in(tree.Attr{Type: tree.FIFO, Mode: 0o10000}), "mode 010000"},
		{in(tree.Attr{Type: tree.Symlink}), "target of 0 bytes"},
		{in(tree.Attr{Type: tree.Symlink, Target: strings.Repeat("t", 4096)}), "target of 4096 bytes"},
		{in(tree.Attr{Type: tree.Symlink, Target: "a\x00b"}), "without zero bytes"},
		{in(tree.Attr{Type: tree.CharDevice, Major: 4096}), "device 4096:0"},
		{in(tree.Attr{Type: tree.BlockDevice, Minor: 1 << 20}), "device 0:1048576"},
		{xattr(tree.Xattr{Name: "system.posix_acl_access"}), "squashfs has only user., trusted. and security. ones"},
		{xattr(tree.Xattr{Name: "user."}), "squashfs has only"},
		{xattr(tree.Xattr{Name: "user." + strings.Repeat("n", 251)}), "name of 256 bytes"},
		{xattr(tree.Xattr{Name: "user.v", Value: make([]byte, 65537)}), "value of 65537 bytes"},
		{xattr(tree.Xattr{Name: "user.b"}, tree.Xattr{Name: "user.a"}), "out of order"},
		{xattr(tree.Xattr{Name: "user.a"}, tree.Xattr{Name: "user.a"}), "out of order"},
		{file(Data{Size: -1, Fragment: NoFragment}), "size -1"},
		{file(Data{Size: 1, Fragment: NoFragment}), "0 blocks for 1 bytes, want 1"},
		{file(Data{Size: blockSize, Fragment: 0}), "0 blocks for 4096 bytes, want 1"},
		{file(Data{Size: 1, Fragment: 1}), "fragment block 1 of 1"},
		{file(Data{Fragment: 0}), "tail of 0 bytes"},
		{file(Data{Size: 5, Offset: 4092}), "tail of 5 bytes at 4092"},
		{file(Data{Size: 1, Fragment: NoFragment, Start: 96, Lengths: []uint32{blockSize + 1}}), "block of 4097 stored bytes"},
		{file(Data{Size: 1, Fragment: NoFragment, Start: 95, Lengths: []uint32{1}}), "blocks at 95 to 96"},
		{file(Data{Size: 1, Fragment: NoFragment, Start: 96, Lengths: []uint32{11}}), "blocks at 96 to 107, data were written at 96 to 106"},
		{file(Data{Size: 1, Fragment: NoFragment, Lengths: []uint32{0}}), "0 bytes in holes, by its blocks 1"},
	} {
		out := &memory{}
		b := newBuilder(t, out, Params{BlockSize: blockSize})
		if _, err := b.w.WriteFragment(make([]byte, 10), true); err != nil {
			t.Fatal(err)
		}
		_, err := b.w.Finish(c.root)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if len(out.writes) != 1 {
			t.Errorf("%q: %d writes, want only the fragment", c.want, len(out.writes))
		}
	}
}

// TestErrorPath demands that an error names the path.
func TestErrorPath(t *testing.T) {
	inodes := map[string]*Inode{"usr/share/x": {Attr: tree.Attr{Type: tree.Symlink}}}
	_, err := newBuilder(t, &memory{}, Params{}).w.Finish(makeTree(inodes))
	if err == nil || !strings.HasPrefix(err.Error(), `squashfs writer: "usr/share/x": symbolic link's target`) {
		t.Errorf("got %v", err)
	}
}

func TestRefusedParams(t *testing.T) {
	for _, c := range []struct {
		p    Params
		want string
	}{
		{Params{BlockSize: 100_000, Compressor: plainCompressor{}}, "block size 100000"},
		{Params{BlockSize: 2 << 10, Compressor: plainCompressor{}}, "block size 2048"},
		{Params{BlockSize: 2 << 20, Compressor: plainCompressor{}}, "block size 2097152"},
		{Params{BlockSize: 4 << 10}, "no compressor"},
	} {
		if _, err := NewWriter(&memory{}, c.p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

func TestRefusedTrailer(t *testing.T) {
	w := newBuilder(t, &memory{}, Params{Trailer: trailer(strings.Repeat("t", TrailerMax+1))}).w
	if _, err := w.Finish(makeTree(nil)); err == nil || !strings.Contains(err.Error(), "trailer of 257 bytes") {
		t.Errorf("a trailer of 257 bytes: %v", err)
	}
}

// TestUsedWriter demands errors of a Writer after Finish.
func TestUsedWriter(t *testing.T) {
	b := newBuilder(t, &memory{}, Params{BlockSize: BlockSizeMin})
	for _, n := range []int{0, BlockSizeMin + 1} {
		if _, err := b.w.WriteBlock(make([]byte, n)); err == nil {
			t.Errorf("a block of %d bytes is accepted", n)
		}
		if _, err := b.w.WriteFragment(make([]byte, n), false); err == nil {
			t.Errorf("a fragment of %d bytes is accepted", n)
		}
	}
	b.finish(nil)
	if _, err := b.w.WriteBlock([]byte("x")); !errors.Is(err, errFinished) {
		t.Errorf("a block after Finish: %v", err)
	}
	if _, err := b.w.Finish(makeTree(nil)); !errors.Is(err, errFinished) {
		t.Errorf("Finish after Finish: %v", err)
	}
}

// BenchmarkFinish writes the metadata of 50,000 files in 500 directories.
func BenchmarkFinish(b *testing.B) {
	inodes := map[string]*Inode{}
	for i := range 50_000 {
		inodes[fmt.Sprintf("d%03d/file-%05d", i%500, i)] = &Inode{Attr: tree.Attr{Type: tree.Regular, Mode: 0o644, ModTime: 1_700_000_000 + uint32(i%1000)}}
	}
	root := makeTree(inodes)
	compressor := newZstd(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := newBuilder(b, &memory{}, Params{Compressor: compressor}).w.Finish(root); err != nil {
			b.Fatal(err)
		}
	}
}
