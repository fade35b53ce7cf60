package squashfs

import (
	"archive/tar"
	"bytes"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"deltaup/mkimage/tree"
)

// openFile opens the image in a file.
func openFile(t testing.TB, path string) *Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(f, st.Size())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// openBytes opens an image in memory.
func openBytes(b []byte) (*Image, error) { return Open(bytes.NewReader(b), int64(len(b))) }

// readAll reads a file in order.
func readAll(m *Image, n *Node) ([]byte, error) {
	f, err := m.File(n)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
}

// nodesOf gives all nodes of an image, by path, and checks the order of the walk.
func nodesOf(t testing.TB, m *Image) map[string]*Node {
	t.Helper()
	nodes := map[string]*Node{}
	last := ""
	err := m.Walk(func(n *Node) error {
		// in path order the separator comes before everything else
		key := strings.ReplaceAll(n.Path, "/", "\x00")
		if len(nodes) == 0 != (key == "") || len(nodes) > 0 && key <= last {
			t.Errorf("%q comes after %q", n.Path, last)
		}
		last = key
		nodes[n.Path] = n
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}

// compareImage compares everything in an image with a tree, with the root's attributes if the tree
// has them.
func compareImage(t *testing.T, m *Image, inodes map[string]*Inode, contents map[string][]byte) {
	t.Helper()
	nodes := nodesOf(t, m)
	numbers := map[*Inode]uint32{}
	for p, in := range inodes {
		n := nodes[p]
		if n == nil {
			t.Errorf("%q is not in the image", p)
			continue
		}
		compareAttr(t, p, n, in)
		if number, ok := numbers[in]; ok && number != n.Inode {
			t.Errorf("%q: inode %d, its hard link has %d", p, n.Inode, number)
		}
		numbers[in] = n.Inode
		if in.Type != tree.Directory && uint64(n.Links) != linkCount(inodes, p) {
			t.Errorf("%q: %d links, want %d", p, n.Links, linkCount(inodes, p))
		}
		if in.Type != tree.Regular {
			continue
		}
		if got, err := readAll(m, n); err != nil || !bytes.Equal(got, contents[p]) || n.Size != int64(len(contents[p])) {
			t.Errorf("%q: read %d bytes of %d that differ from %d (%v)", p, len(got), n.Size, len(contents[p]), err)
		}
		compareStored(t, m, n, contents[p])
	}
	distinct := map[uint32]bool{}
	for _, n := range nodes {
		distinct[n.Inode] = true
	}
	if len(distinct) != m.Info().Inodes {
		t.Errorf("walked over %d inodes, the superblock has %d", len(distinct), m.Info().Inodes)
	}
}

func compareAttr(t *testing.T, p string, n *Node, in *Inode) {
	t.Helper()
	got, want := n.Attr, in.Attr
	got.Xattrs, want.Xattrs = nil, nil
	if !attrEqual(got, want) {
		t.Errorf("%q: read %+v, want %+v", p, got, want)
	}
	equal := func(a, b tree.Xattr) bool { return a.Name == b.Name && bytes.Equal(a.Value, b.Value) }
	if !slices.EqualFunc(n.Xattrs, in.Xattrs, equal) {
		t.Errorf("%q: read %d attributes that differ from %d", p, len(n.Xattrs), len(in.Xattrs))
	}
}

func attrEqual(a, b tree.Attr) bool {
	return a.Type == b.Type && a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.ModTime == b.ModTime &&
		a.Target == b.Target && a.Major == b.Major && a.Minor == b.Minor
}

// compareStored puts a content together from its blocks and its fragment, and compares it.
func compareStored(t *testing.T, m *Image, n *Node, content []byte) {
	t.Helper()
	var got []byte
	for b, err := range m.Blocks(n) {
		if err == nil {
			got, err = m.ReadBlock(b, got)
		}
		if err == nil && !b.Compressed && b.Length > 0 {
			var stored []byte
			if stored, err = m.ReadStored(b, nil); err == nil && !bytes.HasSuffix(got, stored) {
				t.Errorf("%q: plain block at %d is stored as other bytes", n.Path, b.Offset)
			}
		}
		if err != nil {
			t.Errorf("%q: block at %d: %v", n.Path, b.Offset, err)
			return
		}
	}
	if index, offset, ok := m.Fragment(n); ok {
		b, err := m.FragmentBlock(index)
		var plain []byte
		if err == nil {
			plain, err = m.ReadBlock(b, nil)
		}
		if err != nil {
			t.Errorf("%q: fragment block %d: %v", n.Path, index, err)
			return
		}
		got = append(got, plain[offset:offset+int(n.Size%int64(m.Info().BlockSize))]...)
	}
	if !bytes.Equal(got, content) {
		t.Errorf("%q: blocks and fragment give %d bytes that differ from %d", n.Path, len(got), len(content))
	}
}

// tarOf writes a tree as a tar. It removes sockets, which a tar cannot hold, from the tree.
func tarOf(t testing.TB, inodes map[string]*Inode, contents map[string][]byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	first := map[*Inode]string{}
	maps.DeleteFunc(inodes, func(p string, in *Inode) bool { return p == "" || in.Type == tree.Socket })
	for _, p := range slices.Sorted(maps.Keys(inodes)) {
		in := inodes[p]
		h := &tar.Header{
			Name: p, Mode: int64(in.Mode), Uid: int(in.UID), Gid: int(in.GID), ModTime: time.Unix(int64(in.ModTime), 0),
			Linkname: in.Target, Devmajor: int64(in.Major), Devminor: int64(in.Minor),
		}
		if link, ok := first[in]; ok {
			h.Typeflag, h.Linkname = tar.TypeLink, link
		} else {
			first[in] = p
			h.Typeflag = map[tree.Type]byte{tree.Directory: tar.TypeDir, tree.Regular: tar.TypeReg, tree.Symlink: tar.TypeSymlink,
				tree.BlockDevice: tar.TypeBlock, tree.CharDevice: tar.TypeChar, tree.FIFO: tar.TypeFifo}[in.Type]
			if len(in.Xattrs) > 0 {
				h.PAXRecords = map[string]string{}
			}
			for _, x := range in.Xattrs {
				h.PAXRecords["SCHILY.xattr."+x.Name] = string(x.Value)
			}
			if in.Type == tree.Regular {
				h.Size = int64(len(contents[p]))
			}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("%q: %v", p, err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write(contents[p]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// mksquashfs makes an image of a tar with the real program, and returns the image's path.
func mksquashfs(t testing.TB, archive []byte, args ...string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "image.squashfs")
	pipeTool(t, archive, "mksquashfs", append([]string{"-", image, "-tar", "-noappend", "-no-progress", "-quiet"}, args...)...)
	return image
}

// pipeTool is runTool with in as standard input.
func pipeTool(t testing.TB, in []byte, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	cmd.Env = slices.DeleteFunc(cmd.Env, func(s string) bool { return strings.HasPrefix(s, "SOURCE_DATE_EPOCH=") })
	cmd.Stdin = bytes.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
