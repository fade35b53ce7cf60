package squashfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/mkimage/tree"
)

var updateGolden = flag.Bool("update-golden", false, "make testdata/*.squashfs anew, with the machine's mksquashfs")

// golden are the images in testdata, with the options of mksquashfs 4.5.1 that made them.
//
//	go test ./mkimage/squashfs -run TestGolden -update-golden
var golden = map[string]string{
	"gzip":     "-comp gzip",
	"xz":       "-comp xz",
	"lz4":      "-comp lz4",
	"zstd":     "-comp zstd",
	"plain":    "-comp zstd -noI -noId -noD -noF -noX",
	"metadata": "-comp gzip -noI -noId -noX -exports -no-fragments",
}

// goldenTree is the tree in the golden images.
func goldenTree() (inodes map[string]*Inode, contents map[string][]byte) {
	large := []byte(strings.Repeat("a value that is stored once, ", 10))
	contents = map[string][]byte{
		"bin/tool": compressible(1, 2*BlockSizeMin+100),
		"empty":    nil,
		"hello":    []byte("hello\n"),
		"sparse":   slices.Concat(make([]byte, 2*BlockSizeMin), compressible(2, BlockSizeMin), []byte("end")),
	}
	inodes = map[string]*Inode{
		"bin":      {Attr: tree.Attr{Type: tree.Directory, Mode: 0o755, ModTime: 1700000001}},
		"bin/tool": {Attr: tree.Attr{Type: tree.Regular, Mode: 0o4755, UID: 7, GID: 100000, ModTime: 1700000002}},
		"dev":      {Attr: tree.Attr{Type: tree.Directory, Mode: 0o1777, Xattrs: []tree.Xattr{{Name: "user.dir", Value: []byte("d")}}}},
		"dev/disk": {Attr: tree.Attr{Type: tree.BlockDevice, Mode: 0o660, Major: 8, Minor: 300}},
		"dev/fifo": {Attr: tree.Attr{Type: tree.FIFO, Mode: 0o644}},
		"dev/null": {Attr: tree.Attr{Type: tree.CharDevice, Mode: 0o666, Major: 1, Minor: 3, Xattrs: []tree.Xattr{{Name: "trusted.null", Value: []byte{0}}}}},
		"dir":      {Attr: tree.Attr{Type: tree.Directory, Mode: 0o700}},
		"empty":    {Attr: tree.Attr{Type: tree.Regular, Mode: 0o600}},
		"hello":    {Attr: tree.Attr{Type: tree.Regular, Mode: 0o644, Xattrs: []tree.Xattr{{Name: "security.x", Value: []byte("y")}, {Name: "user.large", Value: large}}}},
		"link":     {Attr: tree.Attr{Type: tree.Symlink, Mode: 0o777, Target: "bin/tool"}},
		"link-x":   {Attr: tree.Attr{Type: tree.Symlink, Mode: 0o777, Target: "/x", Xattrs: []tree.Xattr{{Name: "trusted.l", Value: []byte("l")}}}},
		"sparse":   {Attr: tree.Attr{Type: tree.Regular, Mode: 0o644, Xattrs: []tree.Xattr{{Name: "user.large", Value: large}}}},
	}
	inodes["dir/tool"], contents["dir/tool"] = inodes["bin/tool"], contents["bin/tool"]
	return inodes, contents
}

func goldenPath(name string) string { return filepath.Join("testdata", name+".squashfs") }

// goldenImages gives all golden images, and fails the test when there are none.
func goldenImages(t testing.TB) map[string][]byte {
	t.Helper()
	images := map[string][]byte{}
	for name := range golden {
		b, err := os.ReadFile(goldenPath(name))
		if err != nil {
			t.Fatal(err)
		}
		images[name] = b
	}
	return images
}

// TestGolden reads the golden images and compares them with goldenTree.
func TestGolden(t *testing.T) {
	inodes, contents := goldenTree()
	if *updateGolden {
		archive := tarOf(t, inodes, contents)
		for name, args := range golden {
			args := append(strings.Fields(args), "-b", "4K", "-nopad", "-mkfs-time", "0", "-root-time", "0", "-root-mode", "755")
			b, err := os.ReadFile(mksquashfs(t, archive, args...))
			if err == nil {
				err = os.WriteFile(goldenPath(name), b, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, b := range goldenImages(t) {
		t.Run(name, func(t *testing.T) {
			m, err := openBytes(b)
			if err != nil {
				t.Fatal(err)
			}
			compareImage(t, m, inodes, contents)
			if want := strings.Fields(golden[name])[1]; m.Info().Compression != want || m.Info().BlockSize != BlockSizeMin {
				t.Errorf("info is %+v", m.Info())
			}
		})
	}
}

// errBudget ends readEverything when its budget is used up.
var errBudget = errors.New("budget used up")

// readEverything reads everything in an image, within a budget of bytes and names. digest has all
// of it in one string.
func readEverything(b []byte, budget int) (digest string, err error) {
	m, err := openBytes(b)
	if err != nil {
		return "", err
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%+v\n", m.Info())
	lookups := 0
	err = m.Walk(func(n *Node) error {
		if budget -= 100 + len(n.Path) + len(n.Target); budget < 0 {
			return errBudget
		}
		// A hostile index may hide a name that Walk finds.
		if lookups++; lookups < 100 {
			if _, err := m.Lookup(n.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		fmt.Fprintf(&out, "%q %d %d %d %+v\n", n.Path, n.Inode, n.Links, n.StatSize(), n.Attr)
		if n.Type != tree.Regular {
			return nil
		}
		blocks := 0
		for b, err := range m.Blocks(n) {
			if err != nil {
				return err
			}
			if budget -= 10; budget < 0 {
				return errBudget
			}
			blocks++
			fmt.Fprintln(&out, blocks, b)
		}
		f, err := m.File(n)
		if err != nil {
			return err
		}
		// A content may be endless zeros, so read only its beginning, and its end out of order.
		part := min(f.Size(), int64(max(budget, 0)))
		budget -= int(part)
		head := make([]byte, part)
		if _, err := f.ReadAt(head, 0); err != nil && err != io.EOF {
			return err
		}
		tail := make([]byte, min(part, 5000))
		if _, err := f.ReadAt(tail, f.Size()-int64(len(tail))); err != nil && err != io.EOF {
			return err
		}
		fmt.Fprintf(&out, "%s %s\n", head, tail)
		return nil
	})
	for i := 0; err == nil && i < min(m.Info().Fragments, budget/BlockSizeMin); i++ {
		var b Block
		if b, err = m.FragmentBlock(i); err == nil {
			_, err = m.ReadBlock(b, nil)
		}
	}
	if err == nil {
		_, err = m.Trailer()
	}
	return out.String(), err
}

// checkError accepts the errors that a damaged image may give.
func checkError(t *testing.T, err error) {
	t.Helper()
	if err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnsupported) && !errors.Is(err, errBudget) {
		t.Errorf("error of no kind: %v", err)
	}
}

// TestTruncated truncates golden images at every length, once as they are and once with a
// superblock that has the new length.
func TestTruncated(t *testing.T) {
	for name, whole := range goldenImages(t) {
		want, err := readEverything(whole, 1<<20)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for n := range whole {
			got, err := readEverything(whole[:n], 1<<20)
			checkError(t, err)
			if err == nil && got != want {
				t.Errorf("%s cut to %d bytes reads as something else", name, n)
			}
			if n >= superblockSize {
				agreed := slices.Clone(whole[:n])
				binary.LittleEndian.PutUint64(agreed[40:], uint64(n)) // BytesUsed
				_, err := readEverything(agreed, 1<<20)
				checkError(t, err)
				if err == nil {
					t.Errorf("%s cut to %d bytes, superblock too, reads without an error", name, n)
				}
			}
		}
	}
}

// TestFlipped changes each byte of the golden images, but only a few of plain data. The format has
// no checksums, so reading may give other bytes.
func TestFlipped(t *testing.T) {
	if testing.Short() {
		t.Skip("one goroutine")
	}
	flips := []byte{0x01, 0x80, 0xff}
	for name, whole := range goldenImages(t) {
		m, err := openBytes(whole)
		if err != nil {
			t.Fatal(err)
		}
		failed := 0
		b := slices.Clone(whole)
		for i := 0; i < len(b); i++ {
			if name == "plain" && i > superblockSize && int64(i) < m.inodes.start {
				i += 50
			}
			b[i] ^= flips[i%len(flips)]
			_, err := readEverything(b, 100_000)
			checkError(t, err)
			if err != nil {
				failed++
			}
			b[i] = whole[i]
		}
		if failed == 0 {
			t.Errorf("%s: no flip was noticed", name)
		}
	}
}

// FuzzOpen reads everything in any bytes.
func FuzzOpen(f *testing.F) {
	images := goldenImages(f)
	if len(images) < 6 {
		f.Fatalf("%d seeds", len(images))
	}
	for _, name := range slices.Sorted(maps.Keys(images)) {
		f.Add(images[name])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := readEverything(b, 1<<20)
		checkError(t, err)
	})
}

// FuzzDecompress gives every decompressor any bytes.
func FuzzDecompress(f *testing.F) {
	seeds := 0
	for name, b := range goldenImages(f) {
		m, err := openBytes(b)
		if err != nil {
			f.Fatal(err)
		}
		for _, n := range nodesOf(f, m) {
			for b, err := range m.Blocks(n) {
				if n.Type != tree.Regular || err != nil || !b.Compressed {
					continue
				}
				stored, err := m.ReadStored(b, nil)
				if err != nil {
					f.Fatal(name, err)
				}
				f.Add(stored)
				seeds++
			}
		}
	}
	if seeds < 4 {
		f.Fatalf("%d seeds", seeds)
	}
	var codecs []decompressor
	for _, id := range []uint16{compressorGzip, compressorXZ, compressorLZ4, CompressorZstd} {
		_, codec, err := newDecompressor(id)
		if err != nil {
			f.Fatal(err)
		}
		codecs = append(codecs, codec)
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		for _, codec := range codecs {
			dst := bytes.Repeat([]byte{0xaa}, BlockSizeMin+8)
			n, err := codec.decompress(dst[:BlockSizeMin:BlockSizeMin], stored)
			if n < 0 || n > BlockSizeMin || !bytes.Equal(dst[BlockSizeMin:], bytes.Repeat([]byte{0xaa}, 8)) {
				t.Errorf("%T: wrote %d bytes of %d and beyond (%v)", codec, n, BlockSizeMin, err)
			}
		}
	})
}
