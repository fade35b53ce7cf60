package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/mkimage/tree"

	"golang.org/x/sys/unix"
)

// TestLargeDirectory looks up names in a directory of 100,000 with the kernel, which uses the
// index.
func TestLargeDirectory(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine")
	}
	const n = 100_000
	f := imageFile(t)
	b := newBuilder(t, f, Params{})
	inodes := map[string]*Inode{}
	name := func(i int) string { return fmt.Sprintf("big/entry-%06d-%s", i, strings.Repeat("x", i%40)) }
	for i := range n {
		inodes[name(i)] = &Inode{Attr: tree.Attr{Type: tree.Regular, Mode: 0o644, UID: uint32(i % 100), ModTime: uint32(i)}}
	}
	inodes["big/zz-last"] = &Inode{Attr: tree.Attr{Type: tree.Symlink, Mode: 0o777, Target: "x"}}
	inodes["tiny/a"] = inodes[name(0)] // inode numbers far apart in one directory
	inodes["tiny/b"] = inodes[name(n-1)]
	inodes["tiny/c"] = inodes[name(1)]
	b.finish(inodes)
	if got := bytes.Count(runTool(t, "sqfs2tar", f.Name()), []byte("entry-000000-")); got == 0 {
		t.Error("sqfs2tar does not see the first entry")
	}
	if got := strings.Count(string(runTool(t, "unsquashfs", "-l", f.Name())), "/big/"); got != n+1 {
		t.Errorf("unsquashfs lists %d entries, want %d", got, n+1)
	}
	ours := nodesOf(t, openFile(t, f.Name()))
	if len(ours) != n+7 || ours[name(n-1)].ModTime != n-1 || ours["tiny/b"].Inode != ours[name(n-1)].Inode {
		t.Errorf("our reader finds %d names, want %d", len(ours), n+7)
	}

	dir := mountImage(t, f.Name())
	// Look up names before listing the directory, so that the cache of the listing does not answer.
	for _, i := range []int{0, 1, 255, 256, 257, 49_999, 50_000, 77_777, n - 2, n - 1} {
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, name(i)), &st); err != nil || int64(st.Mtim.Sec) != int64(i) {
			t.Errorf("entry %d: kernel finds time %d, %v", i, st.Mtim.Sec, err)
		}
	}
	for _, missing := range []string{"big/a", "big/entry-", "big/entry-050000", "big/entry-099999-y", "big/zzz"} {
		if _, err := os.Lstat(filepath.Join(dir, missing)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v, want that it does not exist", missing, err)
		}
	}
	entries, err := os.ReadDir(filepath.Join(dir, "big"))
	if err != nil || len(entries) != n+1 {
		t.Errorf("kernel lists %d entries, want %d (%v)", len(entries), n+1, err)
	}
	for link, target := range map[string]int{"tiny/a": 0, "tiny/b": n - 1, "tiny/c": 1} {
		st := compareKernel(t, filepath.Join(dir, link), inodes[name(target)], nil)
		if st.Nlink != 2 {
			t.Errorf("%s: %d links, want 2", link, st.Nlink)
		}
	}
}

// TestIDs fills the id table.
func TestIDs(t *testing.T) {
	inodes := map[string]*Inode{}
	for i := range IDsMax { // these and the root's 0
		inodes[fmt.Sprintf("d%03d/f%05d", i>>8, i)] = &Inode{Attr: tree.Attr{Type: tree.FIFO, UID: uint32(i), GID: uint32(i/2) << 1}}
	}
	f := imageFile(t)
	newBuilder(t, f, Params{}).finish(inodes)
	if s := string(runTool(t, "unsquashfs", "-s", f.Name())); !strings.Contains(s, "Number of ids 65535\n") {
		t.Errorf("unsquashfs -s does not see 65535 ids:\n%s", s)
	}
	t.Run("kernel", func(t *testing.T) {
		dir := mountImage(t, f.Name())
		for _, p := range []string{"d000/f00000", "d127/f32767", "d128/f32768", "d255/f65534"} {
			compareKernel(t, filepath.Join(dir, p), inodes[p], nil)
		}
	})

	inodes["e"] = &Inode{Attr: tree.Attr{Type: tree.FIFO, UID: 1 << 31}}
	out := &memory{}
	_, err := newBuilder(t, out, Params{}).w.Finish(makeTree(inodes))
	if err == nil || !strings.Contains(err.Error(), "more than 65535 distinct owners") || !strings.Contains(err.Error(), `"e"`) {
		t.Errorf("65536 ids: %v", err)
	}
	if len(out.writes) > 0 {
		t.Errorf("65536 ids: %d writes before the error", len(out.writes))
	}
}

// TestLargeSparseFile writes a file of more than 4 GiB that is mostly holes.
func TestLargeSparseFile(t *testing.T) {
	const blockSize = BlockSizeMax
	const blocks = 5 << 10 // 5 GiB
	f := imageFile(t)
	b := newBuilder(t, f, Params{BlockSize: blockSize})
	head, far, tail := noise(1, blockSize), noise(2, blockSize), []byte("the end")
	d := &Data{}
	b.block(d, head)
	for i := 1; i < blocks; i++ {
		if i == blocks-100 {
			b.block(d, far)
			continue
		}
		d.Lengths, d.Holes = append(d.Lengths, 0), d.Holes+blockSize
	}
	end := b.file(tail)
	d.Fragment, d.Offset, d.Size = end.Fragment, end.Offset, blocks*blockSize+int64(len(tail))
	in := &Inode{Attr: tree.Attr{Type: tree.Regular, Mode: 0o644}, Data: d}
	b.finish(map[string]*Inode{"large": in})

	if s := string(runTool(t, "unsquashfs", "-lln", f.Name())); !strings.Contains(s, fmt.Sprintf(" %d ", d.Size)) {
		t.Errorf("unsquashfs does not list a file of %d bytes:\n%s", d.Size, s)
	}
	file, err := os.Open(filepath.Join(mountImage(t, f.Name()), "large"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for at, want := range map[int64][]byte{
		0:                            head,
		blockSize:                    make([]byte, blockSize),
		1<<32 - blockSize/2:          make([]byte, blockSize),
		(blocks - 100) * blockSize:   far,
		(blocks - 1) * blockSize:     make([]byte, blockSize),
		blocks * blockSize:           tail,
		(blocks-100)*blockSize - 100: append(make([]byte, 100), far[:100]...),
	} {
		got := make([]byte, len(want))
		if _, err := file.ReadAt(got, at); err != nil || !bytes.Equal(got, want) {
			t.Errorf("kernel reads other bytes at %d (%v)", at, err)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(file.Fd()), &st); err != nil || st.Size != d.Size || st.Blocks != (2*blockSize+int64(len(tail))+511)/512 {
		t.Errorf("kernel says %d bytes in %d blocks of 512 (%v), want %d", st.Size, st.Blocks, err, d.Size)
	}
}

// TestLargeImage writes an image with all tables and some data beyond 4 GiB, and with a file of
// more than 4 GiB without holes.
func TestLargeImage(t *testing.T) {
	const blockSize = BlockSizeMax
	const blocks = 5 << 10 // 5 GiB
	f := imageFile(t)
	b := newBuilder(t, f, Params{BlockSize: blockSize})
	regular := func(d *Data) *Inode { return &Inode{Attr: tree.Attr{Type: tree.Regular, Mode: 0o644}, Data: d} }
	contents := map[string][]byte{"near": noise(1, 3_000_000), "far": noise(2, 3_000_000), "tail": []byte("short")}
	inodes := map[string]*Inode{"near": regular(b.file(contents["near"]))}
	// As if the builder had written so many plain blocks of zeros. The image file is sparse.
	dense := &Data{Start: b.w.end, Fragment: NoFragment, Size: blocks * blockSize}
	for range blocks {
		dense.Lengths = append(dense.Lengths, LengthWord(blockSize, false))
	}
	b.w.end += dense.Size
	inodes["far"] = regular(b.file(contents["far"]))
	b.flush()
	inodes["tail"] = regular(b.file(contents["tail"]))
	inodes["attrs"] = &Inode{Attr: tree.Attr{Type: tree.FIFO, Mode: 0o644, Xattrs: []tree.Xattr{{Name: "trusted.x", Value: []byte("y")}}}}
	inodes["dense"] = regular(dense)
	if size := b.finish(inodes); size < dense.Size {
		t.Fatalf("the image has %d bytes, want more than %d", size, dense.Size)
	}
	for p, want := range contents {
		if got := runTool(t, "rdsquashfs", "-c", p, f.Name()); !bytes.Equal(got, want) {
			t.Errorf("%s: rdsquashfs reads %d bytes that differ from %d", p, len(got), len(want))
		}
	}
	m := openFile(t, f.Name())
	for p, n := range nodesOf(t, m) {
		if want := contents[p]; want != nil {
			if got, err := readAll(m, n); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: our reader reads %d bytes that differ from %d (%v)", p, len(got), len(want), err)
			}
		}
	}
	dir := mountImage(t, f.Name())
	for p, in := range inodes {
		if p != "dense" {
			compareKernel(t, filepath.Join(dir, p), in, contents[p])
		}
	}
	file, err := os.Open(filepath.Join(dir, "dense"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	got := make([]byte, 1000)
	if n, err := file.ReadAt(got, dense.Size-999); n != 999 || !errors.Is(err, io.EOF) || bytes.Count(got, []byte{0}) != 1000 {
		t.Errorf("kernel reads %d bytes at the end of 5 GiB (%v), want 999 zeros", n, err)
	}
}

// TestDeepTree finishes a tree that is too deep for recursion.
func TestDeepTree(t *testing.T) {
	const depth = 4000
	newDir := func() *Inode { return &Inode{Attr: tree.Attr{Type: tree.Directory, Mode: 0o755}} }
	e := Entry{Name: "bottom", Inode: &Inode{Attr: tree.Attr{Type: tree.FIFO, Mode: 0o644}}}
	for range depth {
		e = Entry{Name: "d", Inode: newDir(), children: []Entry{e}}
	}
	f := imageFile(t)
	if _, err := newBuilder(t, f, Params{}).w.Finish(&e); err != nil {
		t.Fatal(err)
	}
	if ours := nodesOf(t, openFile(t, f.Name())); len(ours) != depth+1 || ours[strings.Repeat("d/", depth-1)+"bottom"] == nil {
		t.Errorf("our reader finds %d names, want %d", len(ours), depth+1)
	}
	dir := mountImage(t, f.Name())
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	for range depth - 1 {
		if err != nil {
			break
		}
		var next int
		next, err = unix.Openat(fd, "d", unix.O_RDONLY|unix.O_DIRECTORY, 0)
		unix.Close(fd)
		fd = next
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstatat(fd, "bottom", &st, 0); err != nil || st.Ino != depth+1 {
		t.Errorf("kernel finds inode %d at the bottom, want %d (%v)", st.Ino, depth+1, err)
	}
}
