package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestFirstNameExcluded(t *testing.T) {
	archive := makeTar(t, plain("a", "1"), link("b", "a"), link("c", "a"), symlink("d", "x"))
	tr := readTar(t, archive, Options{Filter: Filter{Exclude: []string{"a"}}})
	if got, want := summary(t, tr), "b:1 c=b d>x"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTreeOpenRefuses(t *testing.T) {
	tr := readTar(t, makeTar(t, plain("a", "1"), link("b", "a"), folder("c")), Options{})
	for _, path := range []string{"", "b", "c"} {
		i, _ := entry(t, tr, path)
		if r, err := tr.Open(i); err == nil || r != nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", path)) {
			t.Errorf("%q: got %v, %v", path, r, err)
		}
	}
}

// TestTarTruncated demands for every truncation an error that says so, or that the input is no
// archive.
func TestTarTruncated(t *testing.T) {
	archive := makeTar(t, plain("a", strings.Repeat("1", 700)), folder("b"), plain("b/"+strings.Repeat("c", 150), "2"),
		file{Name: "d", Content: "x", Header: tar.Header{PAXRecords: map[string]string{"SCHILY.xattr.user.a": "v"}}})
	end := len(archive) - 1024 // two blocks of zeros; one suffices
	for n := range end + blockSize {
		_, err := FromTar(context.Background(), bytes.NewReader(archive[:n]), Options{})
		switch {
		case n < blockSize && (errors.Is(err, ErrKind) || n == 0 && errors.Is(err, ErrMalformed)):
		case n >= blockSize && errors.Is(err, ErrMalformed) && strings.Contains(err.Error(), "truncated"):
		default:
			t.Fatalf("%d of %d bytes: got error %v", n, len(archive), err)
		}
	}
	for n := end + blockSize; n <= len(archive); n += blockSize {
		if got := len(readTar(t, archive[:n], Options{}).Entries()); got != 5 {
			t.Errorf("%d of %d bytes: got %d entries", n, len(archive), got)
		}
	}
}

func TestTarsConcatenated(t *testing.T) {
	one, two := makeTar(t, plain("a", "1"), plain("b", "2")), makeTar(t, plain("b", "3"), link("c", "a"))
	whole := slices.Concat(one, two)
	both := Options{IgnoreZeros: true}
	for name, archive := range map[string][]byte{
		"plain": whole, "gzip members": slices.Concat(gzipped(t, one), gzipped(t, two)), "padded gzip": append(gzipped(t, whole), 0, 0, 0),
		"zstd frames":                slices.Concat(zstded(t, one), zstded(t, two)),
		"one block of zeros between": slices.Concat(one[:len(one)-blockSize], two),
		"a tape's worth of zeros":    slices.Concat(one, make([]byte, gapMax/2), two),
	} {
		tr := readTar(t, archive, Options{})
		if got := summary(t, tr); got != "a:1 b:2" {
			t.Errorf("%s: got %s", name, got)
		}
		if w := tr.Warnings(); len(w) != 1 || !strings.Contains(w[0], "another archive") || !strings.Contains(w[0], "--ignore-zeros") {
			t.Errorf("%s: got warnings %q", name, w)
		}
		tr = readTar(t, archive, both)
		if got := summary(t, tr); got != "a:1 b:3 c=a" {
			t.Errorf("%s: read on: got %s", name, got)
		}
		if w := tr.Warnings(); len(w) != 0 {
			t.Errorf("%s: read on: got warnings %q", name, w)
		}
	}
	if _, err := FromTar(context.Background(), bytes.NewReader(append(whole, "garbage"...)), both); !errors.Is(err, ErrMalformed) {
		t.Errorf("garbage read on to: got %v", err)
	}
	if _, err := FromTar(context.Background(), bytes.NewReader(append(gzipped(t, whole), 0, 1)), both); !errors.Is(err, ErrMalformed) {
		t.Errorf("garbage behind gzip: got %v", err)
	}
}

// TestTarStreamEnd demands that checksums at the end of a stream are checked, though its last bytes
// are not stored.
func TestTarStreamEnd(t *testing.T) {
	archive := gzipped(t, makeTar(t, plain("a", randomBytes(5000))))
	archive[len(archive)-6] ^= 1 // the checksum
	if _, err := FromTar(context.Background(), bytes.NewReader(archive), Options{}); !errors.Is(err, ErrMalformed) {
		t.Errorf("got error %v", err)
	}
}

func TestTarWarnings(t *testing.T) {
	for name, c := range map[string]struct {
		files   []file
		exclude string
		want    []string
	}{
		"folder in a link's place":      {[]file{folder("a"), symlink("l", "a"), folder("l")}, "x", []string{`1 symbolic links replaced`, `"/l"`, "--keep-directory-symlink"}},
		"of one that is left out":       {[]file{folder("a"), symlink("l", "a"), folder("l")}, "l", nil},
		"file in a full folder's place": {[]file{plain("a/b", "1"), plain("a", "2")}, "x", []string{`1 folders replaced`, `"/a"`}},
		"in an empty folder's place":    {[]file{folder("a"), plain("a", "2")}, "x", nil},
	} {
		got := readTar(t, makeTar(t, c.files...), Options{Filter: Filter{Exclude: []string{c.exclude}}}).Warnings()
		if len(got) != min(len(c.want), 1) {
			t.Errorf("%s: got warnings %q", name, got)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(got[0], want) {
				t.Errorf("%s: warning %q lacks %q", name, got[0], want)
			}
		}
	}
}

func TestTarKeepDirectorySymlink(t *testing.T) {
	keep := Options{KeepDirectorySymlink: true}
	archive := makeTar(t, folder("a"), symlink("l", "a"), symlink("d", "none"), folder("l"), plain("l/x", "1"), folder("d"))
	tr := readTar(t, archive, keep)
	if got, want := summary(t, tr), "a:d a/x:1 d:d l>a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if w := tr.Warnings(); len(w) != 1 || !strings.Contains(w[0], `"/d"`) {
		t.Errorf("got warnings %q", w)
	}
	if _, err := FromTar(context.Background(), bytes.NewReader(makeTar(t, symlink("l", ".."), folder("l"))), keep); !errors.Is(err, errOutside) {
		t.Errorf("link out of the tree: got %v", err)
	}
}

// TestSymlinkMode demands that symbolic links always have the same mode, in an archive of another
// system, a folder and an image.
func TestSymlinkMode(t *testing.T) {
	l := symlink("l", "f")
	l.Header.Mode = 0o644
	if _, e := entry(t, readTar(t, makeTar(t, l), Options{}), "l"); e.Mode != 0o777 {
		t.Errorf("got mode %o", e.Mode)
	}
}

// TestTarLinkChain demands that a long chain of hard links before their targets takes no stack.
func TestTarLinkChain(t *testing.T) {
	const n = 20000
	var files []file
	for i := range n {
		files = append(files, link(fmt.Sprintf("%06d", i), fmt.Sprintf("%06d", i+1)))
	}
	tr := readTar(t, makeTar(t, append(files, plain(fmt.Sprintf("%06d", n), "1"))...), Options{})
	if _, e := entry(t, tr, "019999"); e.Link != "000000" {
		t.Errorf("got %+v", e)
	}
}

func TestTarTrailingGarbage(t *testing.T) {
	one, two := makeTar(t, plain("a", "1")), makeTar(t, plain("b", "2"))
	for name, tail := range map[string][]byte{
		"zeros": make([]byte, 9000), "garbage": bytes.Repeat([]byte("garbage"), 999), "another archive": two,
	} {
		if got := summary(t, readTar(t, slices.Concat(one, tail), Options{})); got != "a:1" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

// TestTarFromMiddle demands that an archive begins at the reader's position.
func TestTarFromMiddle(t *testing.T) {
	r := bytes.NewReader(slices.Concat([]byte("before"), makeTar(t, plain("a", "1"), plain("b", "2"))))
	if _, err := r.Seek(6, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	tr, err := FromTar(context.Background(), r, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := summary(t, closeLater(t, tr)); got != "a:1 b:2" {
		t.Errorf("got %s", got)
	}
}

// TestTarSlashMakesFolder reads folders that are marked by a slash alone, as in old archives and
// some new ones.
func TestTarSlashMakesFolder(t *testing.T) {
	for _, typeflag := range []byte{tar.TypeReg, 0, 'D'} {
		archive := makeTar(t, folder("a/"))
		archive[156] = typeflag
		setChecksum(archive[:blockSize])
		if got := summary(t, readTar(t, archive, Options{})); got != "a:d" {
			t.Errorf("type %q: got %s", typeflag, got)
		}
	}
}

func TestGlobalHeaderWarned(t *testing.T) {
	archive := makeTarRaw(t, []file{
		{Name: "g", Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "b"}}}, plain("a", "1")})
	if w := readTar(t, archive, Options{}).Warnings(); len(w) != 1 || !strings.Contains(w[0], "pax header") {
		t.Errorf("got warnings %q", w)
	}
}

// TestGlobalHeaderHeeded demands that global records apply until another global header changes
// them, except to entries with records of their own.
func TestGlobalHeaderHeeded(t *testing.T) {
	one := func(f file) []byte { b := makeTar(t, f); return b[:len(b)-2*blockSize] }
	var b bytes.Buffer
	writeGlobal(t, &b, map[string]string{"mtime": "-5.5", "uid": "7", "SCHILY.xattr.user.k": "v"})
	b.Write(one(plain("a", "1")))
	b.Write(one(file{Name: "b", Header: tar.Header{Format: tar.FormatPAX, PAXRecords: map[string]string{"SCHILY.xattr.user.k": "w"}}}))
	writeGlobal(t, &b, map[string]string{"mtime": "9", "uid": "", "gid": "8"})
	b.Write(makeTar(t, plain("c", "1")))
	var got []string
	for _, e := range readTar(t, b.Bytes(), Options{}).Entries()[1:] {
		got = append(got, fmt.Sprintf("%s %d:%d %d %s", e.Path, e.UID, e.GID, e.ModTime, e.Xattrs[0].Value))
	}
	if want := []string{"a 7:0 0 v", "b 7:0 0 w", "c 0:8 9 v"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, bad := range []map[string]string{{"mtime": "soon"}, {"uid": "4294967296"}, {"SCHILY.xattr.user.k": strings.Repeat("v", globalsMax)}} {
		b.Reset()
		writeGlobal(t, &b, bad)
		b.Write(makeTar(t, plain("a", "1")))
		if _, err := FromTar(context.Background(), &b, Options{}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.80v: got error %v", bad, err)
		}
	}
}

func TestTarCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	archive := makeTar(t, plain("a", "1"))
	if _, err := FromTar(ctx, bytes.NewReader(archive), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("in place: got %v", err)
	}
	if _, err := FromTar(ctx, io.MultiReader(bytes.NewReader(archive)), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("spooled: got %v", err)
	}
}
