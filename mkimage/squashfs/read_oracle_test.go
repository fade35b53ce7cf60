package squashfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"deltaup/mkimage/tree"

	caleb "github.com/CalebQ42/squashfs"
)

// sampleTar is the sample as a tar, with a file that looks like a program.
func sampleTar(t testing.TB) (archive []byte, inodes map[string]*Inode, contents map[string][]byte) {
	t.Helper()
	inodes, contents = sample(newBuilder(t, &memory{}, Params{}))
	contents["code"] = ownCode(t, 300_000)
	inodes["code"] = &Inode{Attr: tree.Attr{Type: tree.Regular, Mode: 0o755}}
	return tarOf(t, inodes, contents), inodes, contents
}

// ownCode gives n bytes from the middle of the running program.
func ownCode(t testing.TB, n int) []byte {
	t.Helper()
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := f.ReadAt(b, 1<<20); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestReadOwn reads images of Writer.
func TestReadOwn(t *testing.T) {
	for _, blockSize := range []int{BlockSizeMin, 128 << 10, BlockSizeMax} {
		image, inodes, contents := writeSample(t, Params{BlockSize: blockSize, Trailer: trailer("trail\x00er")})
		m := openFile(t, image)
		compareImage(t, m, inodes, contents)
		if trailer, err := m.Trailer(); err != nil || string(trailer) != "trail\x00er" {
			t.Errorf("trailer %q, %v", trailer, err)
		}
	}
	image, inodes, contents := writeSample(t, Params{ModTime: 77, Compressor: plainCompressor{}})
	m := openFile(t, image)
	compareImage(t, m, inodes, contents)
	if info := m.Info(); info.Compression != "gzip" || info.ModTime != 77 || info.BlockSize != 128<<10 ||
		!bytes.Equal(info.compressorOptions, plainCompressor{}.Options()) {
		t.Errorf("info is %+v", info)
	}
}

// TestReadMksquashfs reads images of mksquashfs with all its compressors and with the other options
// that change the format.
func TestReadMksquashfs(t *testing.T) {
	archive, inodes, contents := sampleTar(t)
	for _, args := range []string{
		"-comp gzip",
		"-comp xz",
		"-comp lz4",
		"-comp zstd",
		"-comp gzip -no-fragments -b 1M",
		"-comp gzip -Xcompression-level 1 -Xwindow-size 8 -Xstrategy huffman_only,filtered",
		"-comp xz -noI",
		"-comp xz -Xdict-size 8K -b 64K",
		"-comp xz -Xbcj x86",
		"-comp lz4 -Xhc -always-use-fragments -exports",
		"-comp zstd -noI -noId -noD -noF -noX -b 4K",
		"-comp zstd -noD -noX -exports -nopad",
		"-comp zstd -Xcompression-level 22 -b 1M -tailends",
		"-comp zstd -no-duplicates -no-sparse -noF -no-fragments",
		"-comp zstd -no-tailends -not-reproducible -processors 2",
	} {
		t.Run(args, func(t *testing.T) {
			m := openFile(t, mksquashfs(t, archive, strings.Fields(args)...))
			compareImage(t, m, inodes, contents)
			if strings.Contains(args, "-Xbcj") && runtime.GOARCH == "amd64" && !hasFilter(t, m) {
				t.Error("no block has a branch filter: nothing was tested")
			}
		})
	}
	t.Run("-no-xattrs", func(t *testing.T) {
		m := openFile(t, mksquashfs(t, archive, "-no-xattrs"))
		for p, n := range nodesOf(t, m) {
			if n.Xattrs != nil {
				t.Errorf("%q has %d attributes", p, len(n.Xattrs))
			}
		}
	})
	t.Run("lzo", func(t *testing.T) {
		b, err := os.ReadFile(mksquashfs(t, archive, "-comp", "lzo"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := openBytes(b); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "lzo") {
			t.Errorf("error %v, want that lzo is unsupported", err)
		}
	})
}

// hasFilter looks for an xz block header with two filters among the stored blocks of "code".
func hasFilter(t *testing.T, m *Image) bool {
	t.Helper()
	n, err := m.Lookup("code")
	if err != nil {
		t.Fatal(err)
	}
	for b, err := range m.Blocks(n) {
		if err != nil {
			t.Fatal(err)
		}
		stored, err := m.ReadStored(b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b.Compressed && stored[13]&3 == 1 {
			return true
		}
	}
	return false
}

// TestReadTar2sqfs reads images of squashfs-tools-ng.
func TestReadTar2sqfs(t *testing.T) {
	_, inodes, contents := sampleTar(t)
	in := inodes["xattrs"] // tar2sqfs does not accept its largest value
	in.Xattrs = slices.DeleteFunc(in.Xattrs, func(x tree.Xattr) bool { return x.Name == "user.larger" })
	archive := tarOf(t, inodes, contents)
	for _, args := range []string{"-c gzip", "-c xz -b 16384", "-c zstd -e -T", "-c lz4"} {
		t.Run(args, func(t *testing.T) {
			f := imageFile(t)
			pipeTool(t, archive, "tar2sqfs", append(strings.Fields(args), "-q", "-f", f.Name())...)
			compareImage(t, openFile(t, f.Name()), inodes, contents)
		})
	}
}

// TestCaleb compares contents with those that another reader gives. That reader cannot read
// squashfs's lz4 blocks, empty files, and files that end in a hole.
func TestCaleb(t *testing.T) {
	archive, _, _ := sampleTar(t)
	for _, comp := range []string{"gzip", "xz", "zstd"} {
		t.Run(comp, func(t *testing.T) {
			m := openFile(t, mksquashfs(t, archive, "-comp", comp, "-b", "64K"))
			theirs, err := caleb.NewReader(m.r)
			if err != nil {
				t.Fatal(err)
			}
			compared := 0
			for p, n := range nodesOf(t, m) {
				if n.Type != tree.Regular || !fs.ValidPath(p) || n.Size == 0 || p == "sparse-all" {
					continue
				}
				got, err := readAll(m, n)
				if err != nil {
					t.Errorf("%q: %v", p, err)
					continue
				}
				f, err := theirs.Open(p)
				if err != nil {
					t.Errorf("%q: other reader: %v", p, err)
					continue
				}
				want, err := io.ReadAll(f)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%q: %d bytes, other reader has %d (%v)", p, len(got), len(want), err)
				}
				f.Close()
				compared++
			}
			if compared < 10 {
				t.Errorf("compared %d files only", compared)
			}
		})
	}
}
