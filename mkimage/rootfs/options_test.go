package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"deltaup/internal/test/disktest"
	"deltaup/mkimage/squashfs"
)

// TestExcludedIsNotLookedAt demands that excluded entries of an archive may be invalid.
func TestExcludedIsNotLookedAt(t *testing.T) {
	long := strings.Repeat("n", 300)
	wrong := []file{
		{Name: "dev/x", Header: tar.Header{Typeflag: tar.TypeChar, Devmajor: 5000}},
		{Name: "bad/owner", Header: tar.Header{Uid: math.MaxInt}},
		{Name: "bad/type", Header: tar.Header{Typeflag: 'M'}},
		{Name: "bad/xattr", Header: tar.Header{PAXRecords: map[string]string{"LIBARCHIVE.xattr.user.x": "*"}}},
		{Name: "bad/xattr2", Header: tar.Header{PAXRecords: map[string]string{"SCHILY.xattr.user.x": strings.Repeat("v", 65537)}}},
		plain("bad/"+long, "1"), plain("bad/"+strings.Repeat("a/", 2050)+"b", "1"), symlink("bad/target", strings.Repeat("t", 5000)),
		link("bad/gone", "nowhere"), link("bad/out", "../x"), link("bad/folder", "bad"),
		plain("bad/file", "1"), plain("bad/file/below", "1"),
		symlink("bad/dangling", "nowhere"), plain("bad/dangling/behind", "1"), symlink("bad/loop", "loop"), plain("bad/loop/behind", "1"),
		{Name: "bad/wh/.wh.x"},
	}
	o := Options{Filter: Filter{Exclude: []string{"bad", "dev"}}}
	if got := summary(t, readTar(t, makeTar(t, append(wrong, plain("ok", "1"))...), o)); got != "ok:1" {
		t.Errorf("got %s", got)
	}
	// each must be an error when nothing excludes it, or the test would prove nothing
	for _, f := range wrong {
		switch f.Name {
		case "bad/file", "bad/dangling", "bad/loop":
			continue
		}
		files := []file{plain("bad/file", "1"), symlink("bad/dangling", "nowhere"), symlink("bad/loop", "loop"), f}
		if _, err := FromTar(context.Background(), bytes.NewReader(makeTar(t, files...)), Options{}); err == nil {
			t.Errorf("%.80q passes where it is not excluded", f.Name)
		}
	}
}

// TestExcludeBehindLink demands that patterns match names in the tree, not the archive's spellings.
func TestExcludeBehindLink(t *testing.T) {
	archive := makeTar(t, folder("usr/lib"), symlink("lib", "usr/lib"), plain("lib/x", "1"), plain("lib/y", "2"))
	for pattern, want := range map[string]string{
		"usr/lib/x": "lib>usr/lib usr:d usr/lib:d usr/lib/y:2",
		"lib/x":     "lib>usr/lib usr:d usr/lib:d usr/lib/x:1 usr/lib/y:2",
		"lib":       "usr:d usr/lib:d usr/lib/x:1 usr/lib/y:2",
	} {
		if got := summary(t, readTar(t, archive, Options{Filter: Filter{Exclude: []string{pattern}}})); got != want {
			t.Errorf("%s: got %s, want %s", pattern, got, want)
		}
	}
}

// TestExcludedHardLinkTarget demands that a file stays as long as one of its names does, whichever
// name is excluded and whichever comes first.
func TestExcludedHardLinkTarget(t *testing.T) {
	for _, files := range [][]file{{plain("a", "1"), link("b", "a")}, {link("b", "a"), plain("a", "1")}} {
		for pattern, want := range map[string]string{"a": "b:1", "b": "a:1"} {
			if got := summary(t, readTar(t, makeTar(t, files...), Options{Filter: Filter{Exclude: []string{pattern}}})); got != want {
				t.Errorf("%s: got %s, want %s", pattern, got, want)
			}
		}
	}
}

// TestExcludedInImage demands that the inode of an excluded name in an image is not read.
func TestExcludedInImage(t *testing.T) {
	dir := writeFolder(t, plain("a", "1"))
	for _, name := range []string{"bad", "boot/bad"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755), os.Symlink(strings.Repeat("t", 200), filepath.Join(dir, name)))
	}
	path := filepath.Join(t.TempDir(), "image")
	run(t, "mksquashfs", dir, path, "-noappend", "-no-progress", "-quiet", "-noI", "-noId", "-no-exports")
	image, err := os.ReadFile(path)
	must(t, err)
	image = bytes.ReplaceAll(image, []byte(strings.Repeat("t", 200)), append([]byte(strings.Repeat("t", 199)), 0))
	must(t, os.WriteFile(path, image, 0o600))
	if _, err := Open(context.Background(), path, Options{}); err == nil {
		t.Fatal("a target with a zero byte passes: the image is not as wrong as it should be")
	}
	tr := mustRead(t, path, Options{Filter: Filter{Exclude: []string{"bad", "boot"}}})
	if got := summary(t, tr); got != "a:1" {
		t.Errorf("got %s", got)
	}
}

func TestSubdir(t *testing.T) {
	files := []file{plain("x", "1"), folder("root"), plain("root/etc/a", "2"), plain("root/b", "3"), folder("root/usr")}
	dir := writeFolder(t, append([]file{folder("root/etc")}, files...)...)
	must(t, os.Symlink("/root/usr/..", dir+"/l"), os.Symlink("../..", dir+"/out"), os.Link(dir+"/x", dir+"/root/x"))
	archive, image := filepath.Join(t.TempDir(), "tar"), filepath.Join(t.TempDir(), "image")
	run(t, "tar", "--sort=name", "-C", dir, "-cf", archive, ".")
	run(t, "mksquashfs", dir, image, "-noappend", "-no-progress", "-quiet")
	for _, input := range []string{dir, archive, image} {
		for _, subdir := range []string{"root", "/root/", "./root/.", "l"} {
			o := Options{Subdir: subdir, Filter: Filter{Exclude: []string{"b"}}}
			if got, want := summary(t, mustRead(t, input, o)), "etc:d etc/a:2 usr:d x:1"; got != want {
				t.Errorf("%s of %s: got %s, want %s", subdir, input, got, want)
			}
		}
		for subdir, want := range map[string]error{"none": fs.ErrNotExist, "root/none/x": fs.ErrNotExist, "x": ErrMalformed, "out": ErrMalformed} {
			if _, err := Open(context.Background(), input, Options{Subdir: subdir}); !errors.Is(err, want) || errors.Is(want, fs.ErrNotExist) && errors.Is(err, ErrMalformed) {
				t.Errorf("%s of %s: got error %v", subdir, input, err)
			}
		}
	}
	// Entries outside of the folder may be invalid.
	wrong := append(files, file{Name: "bad", Header: tar.Header{Uid: math.MaxInt}}, plain("x/below", ""))
	if got := summary(t, readTar(t, makeTar(t, wrong...), Options{Subdir: "root/etc"})); got != "a:2" {
		t.Errorf("got %s", got)
	}
}

func TestOneFileSystem(t *testing.T) {
	dir := writeFolder(t, folder("mnt"), folder("bind"), folder("usr"), plain("usr/a", "1"), plain("f", "2"))
	// never unlocked, so that the thread and its mounts end with the goroutine
	runtime.LockOSThread()
	if err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")); err != nil {
		t.Skipf("no mounts of its own: %v", err)
	}
	must(t, unix.Mount("tmpfs", dir+"/mnt", "tmpfs", 0, "mode=0700"), os.WriteFile(dir+"/mnt/b", nil, 0o600),
		unix.Mount(dir+"/usr", dir+"/bind", "", unix.MS_BIND, ""))
	defer func() { must(t, unix.Unmount(dir+"/mnt", unix.MNT_DETACH), unix.Unmount(dir+"/bind", unix.MNT_DETACH)) }()
	if got, want := summary(t, mustRead(t, dir, Options{})), "bind:d bind/a:1 f:2 mnt:d mnt/b: usr:d usr/a:1"; got != want {
		t.Errorf("all: got %s, want %s", got, want)
	}
	one := Options{OneFileSystem: true}
	tr := mustRead(t, dir, one)
	if got, want := summary(t, tr), "bind:d f:2 mnt:d usr:d usr/a:1"; got != want {
		t.Errorf("one: got %s, want %s", got, want)
	}
	if _, e := entry(t, tr, "mnt"); e.Mode != 0o700 {
		t.Errorf("the mount point: got mode %o", e.Mode)
	}
	one.Subdir = "mnt"
	if got := summary(t, mustRead(t, dir, one)); got != "b:" {
		t.Errorf("the mounted one itself: got %s", got)
	}
}

// TestOutputs demands that outputs are left out by their inode, not by their name.
func TestOutputs(t *testing.T) {
	dir := writeFolder(t, plain("a", "1"), folder("out"), plain("out/image", "2"), plain("deltaup-0123456789abcdef.tmp", "mine, though named so"),
		plain("out/deltaup-0123456789abcdef.tmp", "3"), plain("out/other", "4"))
	must(t, os.Link(dir+"/out/image", dir+"/again"))
	by := filepath.Join(t.TempDir(), "by")
	must(t, os.Symlink(dir+"/out", by))
	for _, name := range []string{dir + "/out/image", by + "/image", dir + "/out/../out/image"} {
		tr := mustRead(t, dir, Options{Outputs: []string{name, name + ".recipe", "/nowhere/image"}})
		if got, want := summary(t, tr), "a:1 deltaup-0123456789abcdef.tmp:mine, though named so out:d out/other:4"; got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
		want := `3 names left out of what is written here, first at "/again"`
		if w := tr.Warnings(); !slices.Equal(w, []string{want}) {
			t.Errorf("%s: got warnings %q", name, w)
		}
	}
	must(t, os.Symlink("out/other", dir+"/link"))
	// the image will replace the link
	tr := mustRead(t, dir, Options{Outputs: []string{dir + "/link"}})
	if got := summary(t, tr); strings.Contains(got, "link>") || !strings.Contains(got, "out/other:4") {
		t.Errorf("a symbolic link: got %s", got)
	}
}

func TestForeign(t *testing.T) {
	dir := t.TempDir()
	with := func(magic map[int]string) string {
		b := make([]byte, 1<<17)
		for at, m := range magic {
			copy(b[at:], m)
		}
		return string(b)
	}
	ext := func(features map[int]string) string {
		features[0x400], features[0x404], features[0x421], features[0x438] = "\x01", "\x01", "\x20", "\x53\xef"
		return with(features)
	}
	for want, content := range map[string]string{
		"an ext4 file system":          ext(map[int]string{0x460: "\x42\x02"}),
		"an ext3 file system":          ext(map[int]string{0x45c: "\x04"}),
		"an ext2 file system":          ext(map[int]string{}),
		"an XFS file system":           with(map[int]string{0: "XFSB"}),
		"a btrfs file system":          with(map[int]string{0x10040: "_BHRfS_M"}),
		"an ISO 9660 file system":      with(map[int]string{0x8001: "CD001"}),
		"a FAT file system":            with(map[int]string{0: "\xeb\x58\x90", 82: "FAT32   ", 510: "\x55\xaa"}),
		"a disk with partitions (GPT)": with(map[int]string{510: "\x55\xaa", 512: "EFI PART"}),
		"a disk with partitions, or":   with(map[int]string{510: "\x55\xaa"}),
		"a zip archive":                with(map[int]string{0: "PK\x03\x04"}),
		"compressed with bzip2":        "BZh91AY",
		"a program":                    with(map[int]string{0: "\x7fELF"}),
	} {
		path := filepath.Join(dir, "f")
		must(t, os.WriteFile(path, []byte(content), 0o600))
		_, err := Open(context.Background(), path, Options{})
		if !errors.Is(err, ErrKind) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v", want, err)
		}
		_, err = FromTar(context.Background(), strings.NewReader(string(gzipped(t, []byte(content)))), Options{})
		if !errors.Is(err, ErrKind) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s, compressed: got error %v", want, err)
		}
	}
	image := filepath.Join(dir, "image")
	run(t, "mksquashfs", writeFolder(t, plain("a", "1")), image, "-noappend", "-no-progress", "-quiet")
	b, err := os.ReadFile(image)
	must(t, err)
	must(t, os.WriteFile(image, []byte(with(nil)+string(b)), 0o600)) // mksquashfs -offset
	if got := summary(t, mustRead(t, image, Options{})); got != "a:1" {
		t.Errorf("behind zeros: got %s", got)
	}
	// a file in another file system
	must(t, os.WriteFile(image, []byte(ext(map[int]string{})+string(b)), 0o600))
	if _, err := Open(context.Background(), image, Options{}); !errors.Is(err, ErrKind) || !strings.Contains(err.Error(), "ext2") {
		t.Errorf("in a file system: got error %v", err)
	}
}

// TestForeignInside demands that the error names what lies behind an offset or in a partition, with
// its place.
func TestForeignInside(t *testing.T) {
	dir := t.TempDir()
	made := func(tool string, arguments ...string) []byte {
		path := filepath.Join(dir, "made")
		must(t, os.RemoveAll(path), os.WriteFile(path, nil, 0o600), os.Truncate(path, 2<<20))
		run(t, tool, append(arguments, path)...)
		b, err := os.ReadFile(path)
		must(t, err)
		return b
	}
	ext4, vfat := made("mkfs.ext4", "-q", "-F"), made("mkfs.vfat")
	at := func(size int, fs map[int][]byte) []byte {
		b := make([]byte, size)
		for at, f := range fs {
			copy(b[at:], f)
		}
		return b
	}
	two := map[int][]byte{1 << 20: vfat, 4 << 20: ext4}
	both := "partition 1 at byte 1048576 is a FAT file system, partition 2 at byte 4194304 is an ext4 file system"
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"behind 512 bytes":   {at(3<<20, map[int][]byte{512: ext4}), "an ext4 file system begins at byte 512: "},
		"behind a MiB":       {at(4<<20, map[int][]byte{1 << 20: vfat}), "a FAT file system begins at byte 1048576: "},
		"far behind":         {at(24<<20, map[int][]byte{21 << 20: ext4}), "an ext4 file system begins at byte 22020096: "},
		"behind other bytes": {at(4<<20, map[int][]byte{0: []byte("hello"), 1 << 20: ext4}), "an ext4 file system begins at byte 1048576: "},
		"a GPT":              {disktest.GPT(at(8<<20, two), 512, 2048, 8192), "a disk with partitions (GPT): " + both},
		"an MBR":             {disktest.MBR(at(8<<20, two), 0x83, 2048, 8192), "a disk with partitions (MBR): " + both},
		"an empty partition": {disktest.MBR(at(8<<20, nil), 0x83, 2048), "partition 1 at byte 1048576 is nothing known"},
		"zeros alone":        {at(8<<20, nil), "the archive is empty"},
	} {
		path := filepath.Join(dir, "disk")
		must(t, os.WriteFile(path, c.content, 0o600))
		_, err := Open(context.Background(), path, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrKind) == errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// TestSeveralImages demands that Open does not choose among several images.
func TestSeveralImages(t *testing.T) {
	dir := t.TempDir()
	image := func(content string) []byte {
		path := filepath.Join(dir, "image")
		run(t, "mksquashfs", writeFolder(t, plain("a", content)), path, "-noappend", "-no-progress", "-quiet")
		b, err := os.ReadFile(path)
		must(t, err)
		return b
	}
	b := make([]byte, 4<<20)
	copy(b[1<<20:], image("1"))
	copy(b[2<<20:], image("2"))
	path := filepath.Join(dir, "disk")
	must(t, os.WriteFile(path, disktest.GPT(b, 512, 2048, 4096), 0o600))
	_, err := Open(context.Background(), path, Options{})
	if want := "partition 1 at byte 1048576 and partition 2 at byte 2097152"; !errors.Is(err, squashfs.ErrSeveral) || !strings.Contains(err.Error(), want) {
		t.Errorf("got error %v", err)
	}
	for offset, want := range map[int64]string{1 << 20: "a:1", 2 << 20: "a:2"} {
		if got := summary(t, mustRead(t, path, Options{Offset: offset})); got != want {
			t.Errorf("offset %d: got %s", offset, got)
		}
	}
	for _, offset := range []int64{1, 3 << 20, 1 << 40} {
		if _, err := Open(context.Background(), path, Options{Offset: offset}); !errors.Is(err, squashfs.ErrCorrupt) {
			t.Errorf("offset %d: got error %v", offset, err)
		}
	}
	for _, other := range []string{dir, "-"} {
		if _, err := Open(context.Background(), other, Options{Offset: 512, Stdin: strings.NewReader("")}); !errors.Is(err, ErrOffset) {
			t.Errorf("%s: got error %v", other, err)
		}
	}
}
