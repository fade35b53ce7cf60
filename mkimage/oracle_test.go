package mkimage

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"deltaup/chunkstore"
	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

// described maps paths to descriptions of entries that can be compared between tools.
type described map[string]string

// differ reports the first few entries that differ between two descriptions.
func (d described) differ(t *testing.T, oracle string, want described) {
	t.Helper()
	shown := 0
	for name, w := range want {
		if got := d[name]; got != w && shown < 10 {
			t.Errorf("%s, %q:\n got %s\nwant %s", oracle, name, got, w)
			shown++
		}
	}
	if len(d) != len(want) {
		t.Errorf("%s: %d entries, want %d", oracle, len(d), len(want))
	}
}

// describeTar reads a tar archive: type, mode, owner, time, target, device, xattrs, and the hash of
// the content.
func describeTar(t *testing.T, r io.Reader) described {
	t.Helper()
	d := make(described)
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return d
		}
		if err != nil {
			t.Fatal(err)
		}
		name := path.Clean("/" + h.Name)
		if h.Typeflag == tar.TypeLink {
			d[name] = d[path.Clean("/"+h.Linkname)]
			continue
		}
		hash := chunkstore.NewHasher()
		size, err := io.Copy(hash, in)
		if err != nil {
			t.Fatal(err)
		}
		var xattrs []string
		for k, v := range h.PAXRecords {
			if x, ok := strings.CutPrefix(k, "SCHILY.xattr."); ok {
				xattrs = append(xattrs, fmt.Sprintf("%s=%q", x, v))
			}
		}
		device := ""
		if h.Typeflag == tar.TypeBlock || h.Typeflag == tar.TypeChar {
			device = fmt.Sprintf("%d:%d", h.Devmajor, h.Devminor)
		}
		kind := h.Typeflag
		if kind == tar.TypeGNUSparse {
			kind = tar.TypeReg
		}
		target := h.Linkname
		d[name] = fmt.Sprintf("%c %04o %d/%d @%d -> %q dev %s xattrs %d %q size %d %v", kind, h.Mode&0o7777, h.Uid, h.Gid,
			h.ModTime.Unix(), target, device, len(xattrs), sortedJoin(xattrs), size, hash.ID())
	}
}

func sortedJoin(s []string) string {
	seen := make(map[string]bool)
	for _, x := range s {
		seen[x] = true
	}
	return fmt.Sprint(seen) // maps print in order of keys
}

// describeTree describes a tree as describeTar describes its archive.
func describeTree(t *testing.T, want tree.Tree) described {
	t.Helper()
	letters := map[tree.Type]byte{
		tree.Directory: tar.TypeDir, tree.Regular: tar.TypeReg, tree.Symlink: tar.TypeSymlink,
		tree.BlockDevice: tar.TypeBlock, tree.CharDevice: tar.TypeChar, tree.FIFO: tar.TypeFifo,
	}
	d := make(described)
	for i, e := range want.Entries() {
		if e.Type == tree.Socket {
			continue // tar has no sockets
		}
		name := "/" + e.Path
		if e.Link != "" {
			d[name] = d["/"+e.Link]
			continue
		}
		hash := chunkstore.NewHasher()
		if e.Type == tree.Regular {
			in, err := want.Open(i)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(hash, in); err != nil {
				t.Fatal(err)
			}
			if err := in.Close(); err != nil {
				t.Fatal(err)
			}
		}
		var xattrs []string
		for _, x := range e.Xattrs {
			xattrs = append(xattrs, fmt.Sprintf("%s=%q", x.Name, x.Value))
		}
		device := ""
		if e.Type == tree.BlockDevice || e.Type == tree.CharDevice {
			device = fmt.Sprintf("%d:%d", e.Major, e.Minor)
		}
		d[name] = fmt.Sprintf("%c %04o %d/%d @%d -> %q dev %s xattrs %d %q size %d %v", letters[e.Type], e.Mode, e.UID, e.GID,
			e.ModTime, e.Target, device, len(xattrs), sortedJoin(xattrs), e.Size, hash.ID())
	}
	return d
}

var listLine = regexp.MustCompile(`^([-dlbcps])([-rwxsStT]{9}) (\d+)/(\d+) +(\d+|\d+, *\d+) (\d{4}-\d\d-\d\d \d\d:\d\d) /root(.*)$`)

// describeList reads the list of unsquashfs -lln: type, mode, owner, size or device, minute, name
// and target.
func describeList(t *testing.T, list string) described {
	t.Helper()
	d := make(described)
	for _, line := range strings.Split(list, "\n") {
		m := listLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		name, target, _ := strings.Cut(m[7], " -> ")
		size := strings.ReplaceAll(m[5], " ", "")
		if m[1] == "d" || m[1] == "l" {
			size = ""
		}
		d["/"+strings.TrimPrefix(name, "/")] = strings.Join([]string{m[1], m[2], m[3], m[4], size, m[6], target}, " ")
	}
	return d
}

// listTree describes a tree as describeList describes its list.
func listTree(entries []tree.Entry) described {
	d := make(described)
	for _, e := range entries {
		letter := entryLetters[e.Type]
		size := ""
		switch e.Type {
		case tree.Regular:
			letter, size = '-', strconv.FormatInt(e.Size, 10)
		case tree.BlockDevice, tree.CharDevice:
			size = fmt.Sprintf("%d,%d", e.Major, e.Minor)
		case tree.FIFO, tree.Socket:
			size = "0"
		}
		mode := []byte(fs.FileMode(e.Mode & 0o777).String())[1:]
		for i, special := range "sst" {
			if e.Mode&(0o4000>>i) == 0 {
				continue
			}
			at := 3*i + 2
			if mode[at] == 'x' {
				mode[at] = byte(special)
			} else {
				mode[at] = byte(special) - 'a' + 'A'
			}
		}
		d["/"+e.Path] = strings.Join([]string{
			string(letter), string(mode), strconv.Itoa(int(e.UID)), strconv.Itoa(int(e.GID)), size,
			time.Unix(int64(e.ModTime), 0).UTC().Format("2006-01-02 15:04"), e.Target,
		}, " ")
	}
	return d
}

// oracleTrees are the trees of the tests against foreign tools. DELTAUP_TEST_TAR can name another
// one, such as the tar archive of a whole root file system.
func oracleTrees(t *testing.T) map[string]tree.Tree {
	trees := map[string]tree.Tree{"zoo": zoo(128 << 10)}
	if name := os.Getenv("DELTAUP_TEST_TAR"); name != "" {
		archive, err := rootfs.Open(context.Background(), name, rootfs.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { archive.Close() })
		trees[filepath.Base(name)] = archive
	}
	return trees
}

func writeImage(t *testing.T, tree tree.Tree) string {
	t.Helper()
	_, image, _ := makeImage(t, tree, Options{Level: "better", Order: []string{"usr/lib/small-120", "usr/lib/size-5", "etc/xattr"}})
	path := filepath.Join(t.TempDir(), "image")
	if err := os.WriteFile(path, image, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSqfs2tarAgrees(t *testing.T) {
	needTool(t, "sqfs2tar")
	for name, want := range oracleTrees(t) {
		t.Run(name, func(t *testing.T) {
			// Without sockets there is nothing to complain about, so every complaint is an error.
			out, err := exec.Command("sqfs2tar", "--no-skip", "--root-becomes", ".", writeImage(t, withoutSockets(want))).Output()
			if err != nil {
				t.Fatalf("sqfs2tar: %v", err)
			}
			describeTar(t, bytes.NewReader(out)).differ(t, "sqfs2tar", describeTree(t, want))
		})
	}
}

func withoutSockets(t tree.Tree) tree.Tree {
	m, ok := t.(*memTree)
	if !ok {
		return t
	}
	var files []file
	for _, f := range m.files {
		if f.Type != tree.Socket {
			files = append(files, f)
		}
	}
	return &memTree{files: files, opens: make(map[string]int)}
}

func TestUnsquashfsAgrees(t *testing.T) {
	needTool(t, "unsquashfs")
	for name, want := range oracleTrees(t) {
		t.Run(name, func(t *testing.T) {
			list := exec.Command("unsquashfs", "-lln", "-d", "/root", writeImage(t, want))
			list.Env = append(os.Environ(), "TZ=UTC")
			out, err := list.Output()
			if err != nil {
				t.Fatalf("unsquashfs: %v", err)
			}
			got, expected := describeList(t, string(out)), listTree(want.Entries())
			delete(got, "/dev/big") // unsquashfs shows only eight bits of device numbers
			delete(expected, "/dev/big")
			got.differ(t, "unsquashfs", expected)
		})
	}
}

// TestKernelReads mounts images of all block sizes and reads every byte.
func TestKernelReads(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	for _, blockSize := range blockSizes() {
		for _, level := range []string{"fastest", "better", "best"} {
			want := zoo(blockSize)
			_, image, _ := makeImage(t, want, Options{BlockSize: blockSize, Level: level})
			file, root := filepath.Join(t.TempDir(), "image"), t.TempDir()
			if err := os.WriteFile(file, image, 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("mount", "-t", "squashfs", "-o", "loop,ro", file, root).CombinedOutput(); err != nil {
				t.Skipf("mount: %v: %s", err, out)
			}
			t.Cleanup(func() {
				if out, err := exec.Command("umount", root).CombinedOutput(); err != nil {
					t.Errorf("umount: %v: %s", err, out)
				}
			})
			readMounted(t, root, want)
		}
	}
}

func readMounted(t *testing.T, root string, want *memTree) {
	t.Helper()
	data := make(map[string][]byte)
	for _, f := range want.files {
		info, err := os.Lstat(filepath.Join(root, f.Path))
		if err != nil {
			t.Error(err)
			continue
		}
		if f.Link != "" {
			f.data = data[f.Link]
		}
		data[f.Path] = f.data
		if info.ModTime().Unix() != int64(f.ModTime) {
			t.Errorf("/%s: time %v", f.Path, info.ModTime())
		}
		if f.Type != tree.Regular {
			continue
		}
		got, err := os.ReadFile(filepath.Join(root, f.Path))
		if err != nil || !bytes.Equal(got, f.data) {
			t.Errorf("/%s: %d bytes, want %d: %v", f.Path, len(got), len(f.data), err)
		}
	}
}
