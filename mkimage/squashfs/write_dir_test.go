package squashfs

import (
	"fmt"
	"strings"
	"testing"

	"deltaup/mkimage/tree"
)

// metaAt gives the plain bytes of a table from a reference on, up to the end of the metadata block.
// The image must be of plainCompressor.
func metaAt(image []byte, table uint64, ref inodeRef) []byte {
	return image[int64(table)+ref.block()+metaHeaderSize+int64(ref.offset()):]
}

// plainImage makes an image without compression and returns its superblock.
func plainImage(t *testing.T, inodes map[string]*Inode) ([]byte, superblock) {
	t.Helper()
	out := &memory{}
	newBuilder(t, out, Params{Compressor: plainCompressor{}}).finish(inodes)
	var sb superblock
	if err := unmarshal(out.b, &sb); err != nil {
		t.Fatal(err)
	}
	return out.b, sb
}

// TestDirectoryIndex demands that each index entry leads to the run that it names, and that there
// is an entry for every metadata block of the listing except the first.
func TestDirectoryIndex(t *testing.T) {
	for _, nameLen := range []int{8, 30, 50} {
		inodes := map[string]*Inode{}
		listed := 0
		for i := range 800 {
			name := fmt.Sprintf("%08d", i) + strings.Repeat("n", nameLen-8)
			inodes[name] = &Inode{Attr: tree.Attr{Type: tree.FIFO}}
			listed += dirEntrySize + nameLen
		}
		image, sb := plainImage(t, inodes)
		var root extDirInode
		b := metaAt(image, sb.InodeTable, inodeRef(sb.RootInode))
		if err := unmarshal(b, &root); err != nil {
			t.Fatal(err)
		}
		if typ, extended, err := root.kind(); typ != tree.Directory || !extended || err != nil {
			t.Fatalf("root is of type %d", root.Type)
		}
		if root.Parent != sb.Inodes+1 {
			t.Errorf("root's parent is inode %d, want %d", root.Parent, sb.Inodes+1)
		}
		if want := listed / metaBlockSize; int(root.Indexes) != want {
			t.Errorf("names of %d bytes: %d index entries, want %d", nameLen, root.Indexes, want)
		}
		b = b[extDirInodeSize:]
		for i := range int(root.Indexes) {
			var x dirIndex
			if err := unmarshal(b, &x); err != nil {
				t.Fatal(err)
			}
			n, err := x.nameLen()
			if err != nil {
				t.Fatal(err)
			}
			name := string(b[dirIndexSize:][:n])
			b = b[dirIndexSize+n:]
			// Like Linux, take the block from the entry, and the offset in it from the position in
			// the listing.
			if want := uint32(i+1) * (metaHeaderSize + metaBlockSize); x.Block != want {
				t.Errorf("index entry %d is for the block at %d, want %d", i, x.Block, want)
			}
			run := metaAt(image, sb.DirTable, makeRef(int64(x.Block), int(x.Index+uint32(root.Offset))%metaBlockSize))
			if got := string(run[dirHeaderSize+dirEntrySize:][:n]); got != name {
				t.Errorf("index entry %d leads to %.10q, want %.10q", i, got, name)
			}
		}
	}
}

// TestRunDelta has inode numbers as far apart as one run permits, and one further.
func TestRunDelta(t *testing.T) {
	for _, c := range []struct {
		between int // number of inodes in a/x, which come before those of a and b
		entries int // number of entries in the first run of the root
	}{{32765, 2}, {32766, 1}} {
		inodes := map[string]*Inode{"b": {Attr: tree.Attr{Type: tree.FIFO}}}
		for i := range c.between {
			inodes[fmt.Sprintf("a/x/%05d", i)] = &Inode{Attr: tree.Attr{Type: tree.FIFO}}
		}
		image, sb := plainImage(t, inodes)
		var root dirInode
		if err := unmarshal(metaAt(image, sb.InodeTable, inodeRef(sb.RootInode)), &root); err != nil {
			t.Fatal(err)
		}
		var h dirHeader
		if err := unmarshal(metaAt(image, sb.DirTable, makeRef(int64(root.Block), int(root.Offset))), &h); err != nil {
			t.Fatal(err)
		}
		if n, err := h.entries(); n != c.entries || err != nil {
			t.Errorf("%d inodes in a/x: first run has %d entries, want %d (%v)", c.between, n, c.entries, err)
		}
	}
}
