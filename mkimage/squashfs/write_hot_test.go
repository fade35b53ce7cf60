package squashfs

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"deltaup/mkimage/tree"
)

// hotTree has 40 folders of 100 files, some of which are hot, and a hard link to one of these.
func hotTree(hot ...string) map[string]*Inode {
	inodes := make(map[string]*Inode)
	for i := range 40 {
		for j := range 100 {
			inodes[fmt.Sprintf("d%02d/sub/f%02d", i, j)] = &Inode{Attr: tree.Attr{Type: tree.FIFO, Mode: uint16(i), ModTime: uint32(j)}}
		}
	}
	for i, p := range hot {
		inodes[p].Hot = i + 1
	}
	inodes["d39/link"] = inodes["d20/sub/f50"]
	return inodes
}

// TestHotInodes demands the hot inodes at the end of the inode table, in their order, and the
// folders above them behind that.
func TestHotInodes(t *testing.T) {
	out := &memory{}
	newBuilder(t, out, Params{}).finish(hotTree("d30/sub/f99", "d20/sub/f50", "d20/sub/f02"))
	m, err := Open(bytes.NewReader(out.b), int64(len(out.b)))
	if err != nil {
		t.Fatal(err)
	}
	var all []*Node
	if err := m.Walk(func(n *Node) error { all = append(all, n); return nil }); err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(all, func(a, b *Node) int { return int(a.ref) - int(b.ref) })
	var last []string
	for _, n := range all[len(all)-10:] {
		last = append(last, n.Path)
	}
	want := []string{"d30/sub/f99", "d20/sub/f50", "d39/link", "d20/sub/f02",
		"d39", "d20/sub", "d20", "d30/sub", "d30", ""}
	if !slices.Equal(last, want) {
		t.Errorf("at the end are %q, want %q", last, want)
	}
	// The listings of these folders come last, in the same order.
	var listings []int64
	for _, n := range all[len(all)-6:] {
		listings = append(listings, int64(n.dir.start))
	}
	if !slices.IsSorted(listings) {
		t.Errorf("listings at %d", listings)
	}
	for _, n := range all[:len(all)-6] {
		if n.Type == tree.Directory && int64(n.dir.start) >= listings[0] {
			t.Errorf("the listing of %q lies among the hot ones", n.Path)
		}
	}
	for p, in := range hotTree() {
		n, err := m.Lookup(p)
		if err != nil || n.Mode != in.Mode || n.ModTime != in.ModTime {
			t.Fatalf("%q: %+v, %v", p, n, err)
		}
	}
}
