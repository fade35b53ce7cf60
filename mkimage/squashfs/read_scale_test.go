package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"deltaup/mkimage/tree"
)

// TestReadLargeDirectory walks over a directory of 100,000 names and looks up some of them.
func TestReadLargeDirectory(t *testing.T) {
	const n = 100_000
	m, name := largeDirectory(t, n)
	nodes := nodesOf(t, m)
	if len(nodes) != n+2 {
		t.Errorf("walked over %d names, want %d", len(nodes), n+2)
	}
	for _, i := range []int{0, 1, 255, 256, 257, 77_777, n - 1} {
		found, err := m.Lookup(name(i))
		if err != nil || found.ModTime != uint32(i) || nodes[name(i)].ref != found.ref {
			t.Errorf("%s: %+v, %v", name(i), found, err)
		}
	}
	if _, err := m.Lookup("big/entry-1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a name that is not there: %v", err)
	}
}

// TestReadLargeImage reads an image with data and all tables beyond 4 GiB.
func TestReadLargeImage(t *testing.T) {
	f := imageFile(t) // sparse, so it takes no room
	b := newBuilder(t, f, Params{})
	contents := map[string][]byte{"near": noise(1, 300_000), "far": noise(2, 300_000), "tail": []byte("short")}
	inodes := map[string]*Inode{"attrs": {Attr: tree.Attr{Type: tree.FIFO, Mode: 0o644, Xattrs: []tree.Xattr{{Name: "trusted.x", Value: []byte("y")}}}}}
	for _, p := range []string{"near", "far", "tail"} {
		inodes[p] = &Inode{Attr: tree.Attr{Type: tree.Regular, Mode: 0o644}, Data: b.file(contents[p])}
		b.flush()
		b.w.end += 3 << 30 // as if the builder had written so much data
	}
	if size := b.finish(inodes); size < 9<<30 {
		t.Fatalf("the image has %d bytes, want more than 9 GiB", size)
	}
	compareImage(t, openFile(t, f.Name()), inodes, contents)
}

// TestConcurrent walks and reads one image from many goroutines.
func TestConcurrent(t *testing.T) {
	_, contents := goldenTree()
	for name, b := range goldenImages(t) {
		m, err := openBytes(b)
		if err != nil {
			t.Fatal(err)
		}
		m.metaCache.max, m.fragmentCache.max, m.xattrCache.max = 1, 1, 1
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				read := 0
				err := m.Walk(func(n *Node) error {
					if n.Type != tree.Regular {
						return nil
					}
					got, err := readAll(m, n)
					if err == nil && !bytes.Equal(got, contents[n.Path]) {
						err = fmt.Errorf("%q: %d other bytes", n.Path, len(got))
					}
					read++
					return err
				})
				if err != nil || read != len(contents) {
					t.Errorf("%s: read %d files of %d: %v", name, read, len(contents), err)
				}
			})
		}
		wg.Wait()
	}
}
