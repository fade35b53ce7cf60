package squashfs

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"deltaup/mkimage/tree"
)

// runTool runs a foreign program. Without it the test is skipped, or fails when all tests must run.
func runTool(t testing.TB, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "TZ=UTC", "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return out
}

// sample is a tree with every kind of inode, and the contents of its files.
func sample(b *builder) (inodes map[string]*Inode, contents map[string][]byte) {
	capability := []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	large := noise(7, 9000)
	blockSize := b.w.params.BlockSize
	contents = map[string][]byte{
		"bin/tool":      append(noise(1, 3*blockSize), "tail"...),
		"bin/setuid":    bytes.Repeat([]byte("compressible "), blockSize/4),
		"empty":         nil,
		"exact":         noise(2, blockSize),
		"etc/small":     []byte("small\n"),
		"etc/small-too": []byte("small, in the same fragment block\n"),
		"sparse":        slices.Concat(make([]byte, 2*blockSize), noise(3, blockSize), make([]byte, blockSize), []byte("end")),
		"sparse-all":    make([]byte, 4*blockSize),
		"linked":        noise(4, blockSize+1),
		"xattrs":        []byte("with attributes"),
	}
	in := func(a tree.Attr) *Inode {
		a.ModTime += 1700000000
		return &Inode{Attr: a}
	}
	inodes = map[string]*Inode{
		"":           in(tree.Attr{Type: tree.Directory, Mode: 0o755, ModTime: 1}),
		"bin":        in(tree.Attr{Type: tree.Directory, Mode: 0o750, UID: 7, GID: 8, ModTime: 2}),
		"bin/tool":   in(tree.Attr{Type: tree.Regular, Mode: 0o755}),
		"bin/setuid": in(tree.Attr{Type: tree.Regular, Mode: 0o4755, GID: 4294967294}),
		"empty":      in(tree.Attr{Type: tree.Regular, Mode: 0o600}),
		"exact":      in(tree.Attr{Type: tree.Regular, Mode: 0o644}),
		"etc/small":  in(tree.Attr{Type: tree.Regular, Mode: 0o644, UID: 100000, GID: 100001}),
		"etc/small-too": in(tree.Attr{Type: tree.Regular, Mode: 0o444, Xattrs: []tree.Xattr{
			{Name: "security.capability", Value: capability},
			{Name: "user.large", Value: large},
		}}),
		"etc/link":       in(tree.Attr{Type: tree.Symlink, Mode: 0o777, Target: "../bin/tool"}),
		"etc/link-xattr": in(tree.Attr{Type: tree.Symlink, Mode: 0o777, Target: strings.Repeat("x/", 2047) + "y", Xattrs: []tree.Xattr{{Name: "trusted.link", Value: []byte("of a link")}}}),
		"etc/dangling":   in(tree.Attr{Type: tree.Symlink, Mode: 0o777, Target: "/no/such file"}),
		"sparse":         in(tree.Attr{Type: tree.Regular, Mode: 0o644}),
		"sparse-all":     in(tree.Attr{Type: tree.Regular, Mode: 0o644}),
		"linked":         in(tree.Attr{Type: tree.Regular, Mode: 0o640}),
		"xattrs": in(tree.Attr{Type: tree.Regular, Mode: 0o644, Xattrs: []tree.Xattr{
			{Name: "security.capability", Value: capability},
			{Name: "trusted.t", Value: []byte{0, 1, 2}},
			{Name: "user.empty", Value: nil},
			{Name: "user.large", Value: large},
			{Name: "user.larger", Value: noise(8, 1<<16)},
		}}),
		"bin/sub":      in(tree.Attr{Type: tree.Directory, Mode: 0o755}),
		"bin/sub/a":    in(tree.Attr{Type: tree.Directory, Mode: 0o700}),
		"bin/sub/b":    in(tree.Attr{Type: tree.Directory, Mode: 0o711}),
		"xattr-dir":    in(tree.Attr{Type: tree.Directory, Mode: 0o1777, Xattrs: []tree.Xattr{{Name: "user.dir", Value: []byte("d")}}}),
		"dev/null":     in(tree.Attr{Type: tree.CharDevice, Mode: 0o666, Major: 1, Minor: 3}),
		"dev/big":      in(tree.Attr{Type: tree.CharDevice, Mode: 0o600, Major: MajorMax, Minor: MinorMax}),
		"dev/disk":     in(tree.Attr{Type: tree.BlockDevice, Mode: 0o660, Major: 8, Minor: 300, Xattrs: []tree.Xattr{{Name: "trusted.disk", Value: []byte("x")}}}),
		"dev/fifo":     in(tree.Attr{Type: tree.FIFO, Mode: 0o644}),
		"dev/fifo-x":   in(tree.Attr{Type: tree.FIFO, Mode: 0o644, Xattrs: []tree.Xattr{{Name: "trusted.fifo", Value: []byte("x")}}}),
		"dev/sock":     in(tree.Attr{Type: tree.Socket, Mode: 0o755}),
		"dev/sock-x":   in(tree.Attr{Type: tree.Socket, Mode: 0o755, Xattrs: []tree.Xattr{{Name: "trusted.sock", Value: []byte("x")}}}),
		"odd/\xff\n é": in(tree.Attr{Type: tree.Regular, Mode: 0o644}),
		"odd/" + strings.Repeat("n", WriteNameMax): in(tree.Attr{Type: tree.Regular, Mode: 0o644}),
	}
	for _, p := range slices.Sorted(maps.Keys(contents)) {
		inodes[p].Data = b.file(contents[p])
	}
	for i, p := range []string{"linked", "etc/link", "bin/tool", "dev/disk", "etc/link-xattr", "bin/setuid"} {
		inodes[p].Hot = i + 1
	}
	for link, to := range map[string]string{"dev/null-too": "dev/null", "zz/again": "linked", "bin/again": "linked", "etc/link-too": "etc/link"} {
		inodes[link], contents[link] = inodes[to], contents[to]
	}
	return inodes, contents
}

// writeSample writes the sample to a file.
func writeSample(t *testing.T, p Params) (image string, inodes map[string]*Inode, contents map[string][]byte) {
	t.Helper()
	f := imageFile(t)
	b := newBuilder(t, f, p)
	inodes, contents = sample(b)
	b.finish(inodes)
	return f.Name(), inodes, contents
}

// TestUnsquashfs compares the listing of unsquashfs with the tree, line by line.
func TestUnsquashfs(t *testing.T) {
	image, inodes, contents := writeSample(t, Params{ModTime: 1234567890})
	line := regexp.MustCompile(`(?m)^([-dlbcps])[-rwxstST]{9} (\d+/\d+) +(-?\d+(?:, *\d+)?) (\d{4}-\d\d-\d\d \d\d:\d\d) /(.*)$`)
	listed := map[string][]string{}
	for _, m := range line.FindAllStringSubmatch(string(runTool(t, "unsquashfs", "-lln", "-d", "", image)), -1) {
		name, target, _ := strings.Cut(m[5], " -> ")
		listed[name] = append(m[1:5], target)
	}
	letter := map[tree.Type]string{tree.Directory: "d", tree.Regular: "-", tree.Symlink: "l", tree.BlockDevice: "b", tree.CharDevice: "c", tree.FIFO: "p", tree.Socket: "s"}
	for p, in := range inodes {
		got := listed[p]
		if strings.Contains(p, "\n") || p == "" {
			continue // a name with a line break takes two lines; the root has no name
		}
		if got == nil {
			t.Errorf("%s: not listed by unsquashfs", p)
			continue
		}
		modTime := time.Unix(int64(in.ModTime), 0).UTC().Format("2006-01-02 15:04")
		want := []string{letter[in.Type], fmt.Sprintf("%d/%d", in.UID, in.GID), got[2], modTime, in.Target}
		switch in.Type {
		case tree.Regular:
			want[2] = fmt.Sprint(len(contents[p]))
		case tree.CharDevice:
			if in.Minor < 256 { // unsquashfs lists larger numbers wrongly
				want[2] = fmt.Sprintf("%d,%d", in.Major, in.Minor)
				got[2] = strings.ReplaceAll(got[2], " ", "")
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: unsquashfs lists %q, want %q", p, got, want)
		}
	}
	summary := string(runTool(t, "unsquashfs", "-s", image))
	for _, want := range []string{"Compression zstd", "Block size 131072", "exportable via NFS", "Number of ids 6", "Creation or last append time Fri Feb 13 23:31:30 2009"} {
		if !strings.Contains(summary, want) {
			t.Errorf("unsquashfs -s lacks %q:\n%s", want, summary)
		}
	}
}

// TestSqfs2tar compares the tar that squashfs-tools-ng makes with the tree, byte by byte.
func TestSqfs2tar(t *testing.T) {
	for _, blockSize := range []int{BlockSizeMin, 128 << 10, BlockSizeMax} {
		t.Run(fmt.Sprint(blockSize), func(t *testing.T) {
			image, inodes, contents := writeSample(t, Params{BlockSize: blockSize})
			compareTar(t, runTool(t, "sqfs2tar", image), inodes, contents)
		})
	}
}

func compareTar(t *testing.T, archive []byte, inodes map[string]*Inode, contents map[string][]byte) {
	t.Helper()
	flag := map[tree.Type]byte{tree.Directory: tar.TypeDir, tree.Regular: tar.TypeReg, tree.Symlink: tar.TypeSymlink, tree.BlockDevice: tar.TypeBlock, tree.CharDevice: tar.TypeChar, tree.FIFO: tar.TypeFifo}
	seen := map[string]*Inode{}
	r := tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		p := strings.TrimSuffix(h.Name, "/")
		in := inodes[p]
		if in == nil {
			continue // an implied parent
		}
		seen[p] = in
		if h.Typeflag == tar.TypeLink {
			if inodes[h.Linkname] != in {
				t.Errorf("%s: a hard link to %s", p, h.Linkname)
			}
			continue
		}
		if h.Typeflag != flag[in.Type] || h.Mode != int64(in.Mode) || uint32(h.Uid) != in.UID || uint32(h.Gid) != in.GID ||
			h.ModTime.Unix() != int64(in.ModTime) || h.Linkname != in.Target || h.Devmajor != int64(in.Major) || h.Devminor != int64(in.Minor) {
			t.Errorf("%s: sqfs2tar says %+v, want %+v", p, h, in.Attr)
		}
		got, err := io.ReadAll(r)
		if err != nil || in.Type == tree.Regular && !bytes.Equal(got, contents[p]) {
			t.Errorf("%s: content of %d bytes differs (%v), want %d", p, len(got), err, len(contents[p]))
		}
		for _, a := range in.Xattrs {
			if h.PAXRecords["SCHILY.xattr."+a.Name] != string(a.Value) {
				t.Errorf("%s: attribute %s differs", p, a.Name)
			}
		}
	}
	for p, in := range inodes {
		if p != "" && in.Type != tree.Socket && seen[p] == nil {
			t.Errorf("%s: not in the tar of sqfs2tar", p)
		}
	}
}

// TestRdsquashfs has squashfs-tools-ng describe the tree and read one file.
func TestRdsquashfs(t *testing.T) {
	image, _, contents := writeSample(t, Params{Compressor: plainCompressor{}})
	if got := runTool(t, "rdsquashfs", "-c", "/bin/tool", image); !bytes.Equal(got, contents["bin/tool"]) {
		t.Errorf("rdsquashfs reads %d bytes of bin/tool that differ", len(got))
	}
	lines := strings.Split(string(runTool(t, "rdsquashfs", "-d", image)), "\n")
	for _, want := range []string{
		"dir bin 0750 7 8",
		"nod dev/big 0600 0 0 c 4095 1048575",
		"nod dev/disk 0660 0 0 b 8 300",
		"pipe dev/fifo-x 0644 0 0",
		"slink etc/dangling 0777 0 0 /no/such file",
		"sock dev/sock 0755 0 0",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("rdsquashfs -d has no line %q:\n%s", want, strings.Join(lines, "\n"))
		}
	}
}
