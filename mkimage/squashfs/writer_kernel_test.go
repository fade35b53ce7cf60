package squashfs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"deltaup/mkimage/tree"

	"golang.org/x/sys/unix"
)

// canMount tells whether the test can mount an image of mksquashfs.
var canMount = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "canmount")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	image, at := filepath.Join(dir, "image"), filepath.Join(dir, "at")
	if err := os.Mkdir(at, 0o755); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"mksquashfs", at, image, "-comp", "zstd", "-quiet", "-no-progress"},
		{"mount", "-t", "squashfs", "-o", "loop,ro", image, at},
		{"umount", at},
	} {
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", args[0], err, out)
		}
	}
	return nil
})

// mountImage mounts an image until the end of the test. It skips the test where mounting is not
// permitted.
func mountImage(t *testing.T, image string) (dir string) {
	t.Helper()
	if err := canMount(); err != nil {
		t.Skipf("no mounting here: %v", err)
	}
	dir = t.TempDir()
	if out, err := exec.Command("mount", "-t", "squashfs", "-o", "loop,ro", image, dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// linkCount is the number of names of an inode; for a directory 2 and the number of its
// subdirectories.
func linkCount(inodes map[string]*Inode, p string) (n uint64) {
	for other, in := range inodes {
		if inodes[p].Type != tree.Directory && in == inodes[p] || inodes[p].Type == tree.Directory && in.Type == tree.Directory &&
			other != "" && strings.TrimPrefix(path.Dir(other), ".") == p {
			n++
		}
	}
	if inodes[p].Type == tree.Directory {
		n += 2
	}
	return n
}

// TestKernel has the kernel read everything: attributes, extended attributes, every byte.
func TestKernel(t *testing.T) {
	for _, p := range []Params{
		{BlockSize: BlockSizeMin},
		{BlockSize: 128 << 10, Trailer: trailer("trailer")},
		{BlockSize: BlockSizeMax},
		{Compressor: plainCompressor{}},
	} {
		t.Run(fmt.Sprint(p.BlockSize), func(t *testing.T) {
			image, inodes, contents := writeSample(t, p)
			dir := mountImage(t, image)
			numbers := map[uint64]*Inode{}
			for p, in := range inodes {
				st := compareKernel(t, filepath.Join(dir, p), in, contents[p])
				if got, want := uint64(st.Nlink), linkCount(inodes, p); p != "" && got != want {
					t.Errorf("%s: %d links, want %d", p, got, want)
				}
				if other := numbers[st.Ino]; other != nil && other != in {
					t.Errorf("%s: inode number %d twice", p, st.Ino)
				}
				numbers[st.Ino] = in
			}
		})
	}
}

// compareKernel compares what the kernel says about one mounted path with the tree.
func compareKernel(t *testing.T, p string, in *Inode, content []byte) (st unix.Stat_t) {
	t.Helper()
	if err := unix.Lstat(p, &st); err != nil {
		t.Errorf("lstat %s: %v", p, err)
		return st
	}
	format := map[tree.Type]uint32{tree.Directory: unix.S_IFDIR, tree.Regular: unix.S_IFREG, tree.Symlink: unix.S_IFLNK, tree.BlockDevice: unix.S_IFBLK, tree.CharDevice: unix.S_IFCHR, tree.FIFO: unix.S_IFIFO, tree.Socket: unix.S_IFSOCK}
	if st.Mode != format[in.Type]|uint32(in.Mode) || st.Uid != in.UID || st.Gid != in.GID || int64(st.Mtim.Sec) != int64(in.ModTime) {
		t.Errorf("%s: kernel says %+v, want %+v", p, st, in.Attr)
	}
	switch in.Type {
	case tree.Regular:
		got, err := os.ReadFile(p)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: kernel reads %d bytes that differ from %d (%v)", p, len(got), len(content), err)
		}
		if in.Data != nil && in.Data.Holes > 0 && st.Blocks != (st.Size-in.Data.Holes+511)/512 {
			t.Errorf("%s: kernel says %d blocks of 512, %d bytes are in holes", p, st.Blocks, in.Data.Holes)
		}
	case tree.Symlink:
		if got, err := os.Readlink(p); err != nil || got != in.Target {
			t.Errorf("%s: kernel says target %s, want %s (%v)", p, got, in.Target, err)
		}
	case tree.BlockDevice, tree.CharDevice:
		if unix.Major(st.Rdev) != in.Major || unix.Minor(st.Rdev) != in.Minor {
			t.Errorf("%s: kernel says device %#x, want %d:%d", p, st.Rdev, in.Major, in.Minor)
		}
	}
	for _, a := range in.Xattrs {
		got := make([]byte, XattrValueMax+1)
		n, err := unix.Lgetxattr(p, a.Name, got)
		if err != nil || !bytes.Equal(got[:max(n, 0)], a.Value) {
			t.Errorf("%s: kernel says attribute %s has %d bytes, want %d (%v)", p, a.Name, n, len(a.Value), err)
		}
	}
	return st
}
