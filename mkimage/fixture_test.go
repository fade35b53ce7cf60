package mkimage

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

// realistic gives n bytes that compress about as well as the files of a root file system: runs of
// words, of records that differ a little, of noise and of zeros. The same seed always gives the
// same bytes.
func realistic(seed uint64, n int) []byte {
	random := rand.NewPCG(seed, 1)
	words := make([]string, 256)
	for i := range words {
		w := binary.LittleEndian.AppendUint64(nil, random.Uint64())
		for k := range w {
			w[k] = 'a' + w[k]%26
		}
		words[i] = string(w[:2+random.Uint64()%6])
	}
	var b []byte
	for len(b) < n {
		stretch := 200 + int(random.Uint64()%6000)
		kind := random.Uint64() % 8
		counter := uint32(random.Uint64())
		for end := len(b) + stretch; len(b) < end; {
			r := random.Uint64()
			switch {
			case kind < 4:
				b = append(append(b, words[(r%256)*(r>>8%256)/256]...), " \n.,"[r>>20%4])
			case kind < 6:
				counter += uint32(r % 16)
				b = append(binary.LittleEndian.AppendUint32(b, counter), byte(r>>9)&7, 0x48, 0x8b, byte(r>>12))
			case kind < 7:
				b = binary.LittleEndian.AppendUint64(b, r)
			default:
				b = append(b, 0, 0, 0, 0)
			}
		}
	}
	return b[:n]
}

// file is one name of a test's tree.
type file struct {
	tree.Entry
	data []byte
}

func regular(path string, data []byte) file {
	e := tree.Entry{Path: path, Size: int64(len(data))}
	e.Attr = tree.Attr{Type: tree.Regular, Mode: 0o644, ModTime: 1_700_000_000}
	return file{e, data}
}

func folder(path string) file {
	e := tree.Entry{Path: path}
	e.Attr = tree.Attr{Type: tree.Directory, Mode: 0o755, ModTime: 1_700_000_000}
	return file{Entry: e}
}

// memTree is a tree in memory.
type memTree struct {
	files []file
	opens map[string]int
	mu    sync.Mutex
}

// newTree makes a tree of files. It adds the root and sorts the names.
func newTree(files ...file) *memTree {
	files = append([]file{folder("")}, files...)
	slices.SortFunc(files, func(a, b file) int { return tree.Compare(a.Path, b.Path) })
	return &memTree{files: files, opens: make(map[string]int)}
}

// changed gives a copy of entries, each as change leaves it.
func changed(entries *Entries, change func(i int, e *Entry)) Entries {
	var list []Entry
	for i, e := range entries.All() {
		change(i, &e)
		list = append(list, e)
	}
	return PackEntries(list...)
}

func (t *memTree) Entries() []tree.Entry {
	var entries []tree.Entry
	for _, f := range t.files {
		entries = append(entries, f.Entry)
	}
	return entries
}

func (t *memTree) Open(i int) (io.ReadCloser, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opens[t.files[i].Path]++
	return io.NopCloser(bytes.NewReader(t.files[i].data)), nil
}

func (t *memTree) Warnings() []string { return nil }
func (t *memTree) Close() error       { return nil }

// zoo is a tree with every kind of entry and with contents that are hard to get right: duplicates,
// holes, sizes around the block size, many small files.
func zoo(blockSize int) *memTree {
	at := func(f file, change func(*tree.Entry)) file { change(&f.Entry); return f }
	special := func(path string, kind tree.Type, major, minor uint32) file {
		return at(folder(path), func(e *tree.Entry) { e.Type, e.Mode, e.Major, e.Minor = kind, 0o620, major, minor })
	}
	files := []file{
		folder("dev"), special("dev/null", tree.CharDevice, 1, 3), special("dev/sda", tree.BlockDevice, 8, 0),
		special("dev/big", tree.BlockDevice, 0xfff, 0xfffff),
		special("dev/pipe", tree.FIFO, 0, 0), special("dev/sock", tree.Socket, 0, 0),
		at(folder("empty-dir"), func(e *tree.Entry) { e.Mode, e.UID, e.GID = 0o1777, 1000, 65534 }),
		folder("etc"), regular("etc/empty", nil),
		at(regular("etc/setuid file", realistic(1, 500)), func(e *tree.Entry) { e.Mode, e.UID = 0o4755, 4_000_000_000 }),
		regular("etc/caf\xc3\xa9 100%", realistic(2, 60)),
		regular("etc/bad\xff\x01name", realistic(2, 60)),
		at(regular("etc/xattr", realistic(3, 70)), func(e *tree.Entry) {
			e.Xattrs = []tree.Xattr{
				{Name: "security.capability", Value: []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
				{Name: "user.empty", Value: []byte{}}, {Name: "user.note", Value: []byte("some text")},
			}
		}),
		at(folder("etc/link"), func(e *tree.Entry) { e.Type, e.Mode, e.Target = tree.Symlink, 0o777, "../no where" }),
		folder("usr"), folder("usr/lib"),
	}
	for i, n := range []int{1, blockSize - 1, blockSize, blockSize + 1, 2 * blockSize, 3*blockSize + 777, 40_000, 700_001} {
		files = append(files, regular(fmt.Sprintf("usr/lib/size-%d", i), realistic(uint64(10+i), n)))
	}
	for i := range 150 {
		files = append(files, regular(fmt.Sprintf("usr/lib/small-%03d", i), realistic(uint64(100+i), 10+i*37%3000)))
	}
	random := realistic(99, 1000)
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(random), func(i, k int) { random[i], random[k] = random[k], random[i] })
	sparse := make([]byte, 5*blockSize+100)
	copy(sparse[2*blockSize+5:], "something in the middle")
	files = append(files,
		regular("usr/lib/duplicate-large", realistic(15, 3*blockSize+777)),
		regular("usr/lib/duplicate-small", realistic(103, 10+3*37%3000)),
		regular("usr/lib/sparse", sparse),
		regular("usr/lib/zeros-large", make([]byte, 2*blockSize+3)),
		regular("usr/lib/zeros-small", make([]byte, 100)),
	)
	t := newTree(files...)
	first := t.files[slices.IndexFunc(t.files, func(f file) bool { return f.Path == "usr/lib/size-3" })]
	link := file{first.Entry, nil}
	link.Path, link.Link = "usr/zz-hard-link", first.Path
	t.files = append(t.files, link)
	return t
}

// blockSizes are the block sizes that tests use. The largest makes large trees.
func blockSizes() []int {
	if testing.Short() {
		return []int{4 << 10, 128 << 10}
	}
	return []int{4 << 10, 16 << 10, 128 << 10, 1 << 20}
}

// writeTar writes the tree as a tar archive, with the entries in the order of index.
func (t *memTree) writeTar(tb testing.TB, index []int) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, i := range index {
		f := t.files[i]
		h := &tar.Header{
			Name: "./" + f.Path, Mode: int64(f.Mode), Uid: int(f.UID), Gid: int(f.GID), ModTime: time.Unix(int64(f.ModTime), 0),
			Linkname: f.Target, Devmajor: int64(f.Major), Devminor: int64(f.Minor), Size: f.Size, Format: tar.FormatPAX,
			Typeflag: map[tree.Type]byte{
				tree.Directory: tar.TypeDir, tree.Regular: tar.TypeReg, tree.Symlink: tar.TypeSymlink,
				tree.BlockDevice: tar.TypeBlock, tree.CharDevice: tar.TypeChar, tree.FIFO: tar.TypeFifo,
			}[f.Type],
		}
		if f.Link != "" {
			h.Typeflag, h.Linkname, h.Size = tar.TypeLink, "./"+f.Link, 0
		}
		for _, x := range f.Xattrs {
			if h.PAXRecords == nil {
				h.PAXRecords = make(map[string]string)
			}
			h.PAXRecords["SCHILY.xattr."+x.Name] = string(x.Value)
		}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatalf("%s: %v", f.Path, err)
		}
		if _, err := w.Write(f.data); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// memFile is an image in memory. It demands that the superblock is written last.
type memFile struct {
	b      []byte
	sealed bool
}

func (m *memFile) WriteAt(p []byte, off int64) (int, error) {
	if m.sealed {
		return 0, fmt.Errorf("%d bytes at %d after the superblock", len(p), off)
	}
	m.sealed = off < 96
	if grow := int(off) + len(p) - len(m.b); grow > 0 {
		m.b = append(m.b, make([]byte, grow)...)
	}
	return copy(m.b[off:], p), nil
}

// makeImage makes a recipe of a tree and builds its image.
func makeImage(tb testing.TB, t tree.Tree, o Options) (*Recipe, []byte, BuildStats) {
	tb.Helper()
	r, source, err := NewRecipe(context.Background(), t, o)
	if err != nil {
		tb.Fatal(err)
	}
	image, stats := build(tb, r, source)
	return r, image, stats
}

func build(tb testing.TB, r *Recipe, source Source) ([]byte, BuildStats) {
	tb.Helper()
	var out memFile
	stats, err := Build(context.Background(), r, source, &out, BuildOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	if stats.Size != int64(len(out.b)) || stats.Size%squashfs.PadSize != 0 {
		tb.Fatalf("size %d, %d bytes were written", stats.Size, len(out.b))
	}
	return out.b, stats
}

func derive(tb testing.TB, image []byte, o DeriveOptions) *Derived {
	tb.Helper()
	m, err := squashfs.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		tb.Fatal(err)
	}
	d, err := Derive(context.Background(), m, chunkstore.Params{}, o)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func recipeText(tb testing.TB, r *Recipe) string {
	tb.Helper()
	var b bytes.Buffer
	n, err := r.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		tb.Fatalf("wrote %d of %d bytes: %v", n, b.Len(), err)
	}
	return b.String()
}

// needTool skips the test when a foreign tool is missing, or fails it when all tests must run.
func needTool(tb testing.TB, name string) {
	tb.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if os.Getenv("DELTAUP_TEST_ALL") != "" {
		tb.Fatalf("%s is not installed", name)
	}
	tb.Skipf("%s is not installed", name)
}
