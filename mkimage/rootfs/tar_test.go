package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"deltaup/mkimage/tree"
)

func link(name, target string) file {
	return file{Name: name, Header: tar.Header{Typeflag: tar.TypeLink, Linkname: target}}
}

func symlink(name, target string) file {
	return file{Name: name, Header: tar.Header{Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}}
}

func plain(name, content string) file { return file{Name: name, Content: content} }
func folder(name string) file         { return file{Name: name, Dir: true} }

// summary writes a tree in one line: path, type, content or target, with "=" for hard links.
func summary(t *testing.T, tr tree.Tree) string {
	t.Helper()
	checkTree(t, tr)
	var words []string
	for i, e := range tr.Entries()[1:] {
		word := e.Path + ":" + typeNames[e.Type]
		switch {
		case e.Link != "":
			word = e.Path + "=" + e.Link
		case e.Type == tree.Regular:
			word = e.Path + ":" + content(t, tr, i+1)
		case e.Type == tree.Symlink:
			word = e.Path + ">" + e.Target
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestTarShapes(t *testing.T) {
	for _, c := range []struct {
		name  string
		files []file
		want  string
	}{
		{"order", []file{plain("b", "1"), plain("a-b", "2"), folder("a"), plain("a/b", "3")}, "a:d a/b:3 a-b:2 b:1"},
		{"names cleaned", []file{folder("./"), folder("./a/"), plain("/a//b", "1"), plain("a/x/../c", "2")}, "a:d a/b:1 a/c:2"},
		{"parents implied", []file{plain("a/b/c", "1")}, "a:d a/b:d a/b/c:1"},
		{"last wins", []file{plain("a", "1"), plain("a", "2")}, "a:2"},
		{"file replaces folder", []file{plain("a/b/c", "1"), plain("a", "2")}, "a:2"},
		{"folder comes again", []file{plain("a/b", "1"), plain("a", "2"), folder("a"), plain("a/c", "3")}, "a:d a/c:3"},
		{"folder again keeps", []file{folder("a"), plain("a/b", "1"), folder("a")}, "a:d a/b:1"},
		{"symlink replaces file", []file{plain("a", "1"), symlink("a", "b")}, "a>b"},
		{"link after", []file{plain("b", "1"), link("c", "b")}, "b:1 c=b"},
		{"first name in path order is the file", []file{plain("b", "1"), link("a", "b"), link("c", "./a")}, "a:1 b=a c=a"},
		{"link before", []file{link("a", "b"), plain("b", "1")}, "a:1 b=a"},
		{"links before, in a chain", []file{link("a", "b"), link("b", "c"), link("d", "a"), plain("c", "1")}, "a:1 b=a c=a d=a"},
		{"link to symlink", []file{symlink("a", "x"), link("b", "a")}, "a>x b=a"},
		{"link to itself", []file{plain("a", "1"), link("a", "a")}, "a:1"},
		{"link keeps the old content", []file{plain("a", "1"), link("b", "a"), plain("a", "2")}, "a:2 b:1"},
		{"link replaced", []file{plain("a", "1"), link("b", "a"), plain("b", "2")}, "a:1 b:2"},
		{"pending link replaced", []file{link("b", "nowhere"), plain("b", "2")}, "b:2"},
		{"link replaces folder", []file{plain("a", "1"), plain("b/c", "2"), link("b", "a")}, "a:1 b=a"},
		{"link parents implied", []file{plain("z", "1"), link("a/b", "z")}, "a:d a/b:1 z=a/b"},
		{"empty file", []file{plain("a", ""), plain("b", "1")}, "a: b:1"},
		{"behind a link", []file{folder("usr/lib"), symlink("lib", "usr/lib"), plain("lib/a", "1"), plain("lib/b/c", "2")},
			"lib>usr/lib usr:d usr/lib:d usr/lib/a:1 usr/lib/b:d usr/lib/b/c:2"},
		{"behind links of all kinds", []file{folder("a/b"), symlink("a/up", "../a/./b"), symlink("top", "/a/up"), symlink("c", "top/"), plain("c/x", "1")},
			"a:d a/b:d a/b/x:1 a/up>../a/./b c>top/ top>/a/up"},
		{"hard link to a name behind a link", []file{plain("usr/a", "1"), symlink("l", "usr"), link("b", "l/a")}, "b:1 l>usr usr:d usr/a=b"},
		{"hard link to a name behind a link that comes later", []file{link("b", "l/a"), symlink("l", "usr"), plain("usr/a", "1")}, "b:1 l>usr usr:d usr/a=b"},
		{"hard link behind a link to itself", []file{plain("usr/a", "1"), symlink("l", "usr"), link("l/a", "usr/a")}, "l>usr usr:d usr/a:1"},
		{"file replaces link, nothing behind it", []file{plain("a", "1"), symlink("l", "a"), plain("l", "2")}, "a:1 l:2"},
		{"folder replaces link", []file{folder("a"), symlink("l", "a"), folder("l"), plain("l/x", "1")}, "a:d l:d l/x:1"},
		{"link replaces folder that was led through", []file{folder("a"), folder("b"), symlink("l", "a"), plain("l/x", "1"), symlink("l", "b"), plain("l/y", "2")},
			"a:d a/x:1 b:d b/y:2 l>b"},
		{"folder goes that names were put in", []file{plain("a/x", "1"), plain("a", "2"), folder("a"), plain("a/x", "3")}, "a:d a/x:3"},
		{"labels and comments", []file{
			{Name: "pax_global_header", Header: tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "x"}}},
			plain("a", "1")}, "a:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := summary(t, readTar(t, makeTarRaw(t, c.files), Options{})); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// makeTarRaw is makeTar, and also writes what archive/tar's writer refuses or repairs.
func makeTarRaw(t *testing.T, files []file) []byte {
	for i, f := range files {
		if f.Header.Typeflag == tar.TypeXGlobalHeader {
			files[i].Header.Format = tar.FormatPAX
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: f.Name, PAXRecords: f.Header.PAXRecords}); err != nil {
				t.Fatal(err)
			}
			if err := w.Flush(); err != nil {
				t.Fatal(err)
			}
			rest := slices.Concat(files[:i], files[i+1:])
			return append(b.Bytes(), makeTar(t, rest...)...)
		}
	}
	return makeTar(t, files...)
}

func TestTarErrors(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		name  string
		files []file
		want  []string
	}{
		{"nothing", nil, []string{"empty"}},
		{"missing target", []file{plain("a", "1"), link("b", "c")}, []string{`"b"`, `"c"`, "missing"}},
		{"circle", []file{link("a", "b"), link("b", "a")}, []string{`"a"`, `"b"`, "missing"}},
		{"link to itself alone", []file{link("a", "a")}, []string{`"a"`, "missing"}},
		{"link to folder", []file{folder("a"), link("b", "a")}, []string{`"b"`, `"a"`, "folder"}},
		{"link to folder that comes later", []file{link("b", "a"), folder("a")}, []string{`"b"`, `"a"`, "folder"}},
		{"link into replaced folder", []file{plain("a/b", "1"), plain("a", "2"), link("c", "a/b")}, []string{`"c"`, `"a/b"`, "missing"}},
		{"climbs out", []file{plain("a/../../b", "1")}, []string{`"a/../../b"`, "climbs out"}},
		{"link climbs out", []file{link("a", "../b")}, []string{`"a"`, `"../b"`, "climbs out"}},
		{"below a file", []file{plain("a", "1"), plain("a/b", "2")}, []string{`"a/b"`, `"a"`, "no folder"}},
		{"below a symlink", []file{symlink("a", "b"), plain("a/b", "2")}, []string{`"a/b"`, `"a"`, "no folder"}},
		{"behind a link to a file", []file{plain("f", "1"), symlink("a", "f"), plain("a/b", "2")}, []string{`"a/b"`, `"f"`, "no folder"}},
		{"behind a link that leads out", []file{symlink("a", "../x"), plain("a/b", "2")}, []string{`"a/b"`, `"a" -> "../x"`, "out of the tree"}},
		{"behind a link that leads out by another", []file{folder("x"), symlink("l", "x/.."), symlink("a", "l/.."), plain("a/b", "2")}, []string{`"a/b"`, `"l" -> "x/.."`, "out of the tree"}},
		{"behind a circle", []file{symlink("a", "b"), symlink("b", "a"), plain("a/b", "2")}, []string{`"a/b"`, "circle"}},
		{"up from a link", []file{folder("x/y"), symlink("a", "x/y"), plain("a/../b", "2")}, []string{`"a/../b"`, `link "a"`}},
		{"below a pending link", []file{link("a", "b"), plain("a/b", "2"), plain("b", "")}, []string{`"a/b"`, `"a"`, "no folder"}},
		{"root is a file", []file{plain("./.", "1")}, []string{"root"}},
		{"root is a link", []file{plain("a", "1"), link(".", "a")}, []string{"root"}},
		{"long name", []file{plain("a/"+long, "1")}, []string{"too long", "256"}},
		{"long path", []file{plain(strings.Repeat("a/", 2050)+"b", "1")}, []string{"too long"}},
		{"deep path", []file{plain(strings.Repeat("a/", 1024)+"b", "1")}, []string{"too long"}},
		{"long target", []file{symlink("a", strings.Repeat("b", 4096))}, []string{`"a"`, "4096"}},
		{"device number", []file{{Name: "a", Header: tar.Header{Typeflag: tar.TypeChar, Devmajor: 4096}}}, []string{`"a"`, "4096:0"}},
		{"owner", []file{{Name: "a", Header: tar.Header{Uid: math.MaxInt}}}, []string{`"a"`, fmt.Sprintf("%d:0", math.MaxInt)}},
		{"long xattr", []file{{Name: "a", Header: tar.Header{PAXRecords: map[string]string{"SCHILY.xattr.user.x": strings.Repeat("v", 65537)}}}}, []string{`"user.x"`, `"a"`}},
		{"odd xattr", []file{{Name: "a", Header: tar.Header{PAXRecords: map[string]string{"LIBARCHIVE.xattr.user.x": "*"}}}}, []string{"user.x", `"a"`}},
		{"unknown type", []file{{Name: "a", Header: tar.Header{Typeflag: 'M'}}}, []string{`"a"`, `'M'`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := FromTar(context.Background(), bytes.NewReader(makeTar(t, c.files...)), Options{})
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("got error %v", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
		})
	}
}

func TestTarAttributes(t *testing.T) {
	const maxUID = math.MaxInt & math.MaxUint32 // archive/tar's numbers are ints
	archive := makeTar(t,
		file{Name: "dev", Header: tar.Header{Typeflag: tar.TypeBlock, Devmajor: 259, Devminor: 65537, Mode: 0o660, Uid: 0, Gid: 6}},
		file{Name: "null", Header: tar.Header{Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3, Mode: 0o666}},
		file{Name: "pipe", Header: tar.Header{Typeflag: tar.TypeFifo, Mode: 0o600}},
		file{Name: "su", Header: tar.Header{Mode: 0o104755, Uid: maxUID, Gid: 70000, ModTime: at(1700000000)}},
		file{Name: "tmp", Dir: true, Header: tar.Header{Uid: 1, ModTime: at(5)}},
	)
	want := []string{
		`"" d 755 0:0 0`,
		`"dev" b 660 0:6 0 dev 259:65537`,
		`"null" c 666 0:0 0 dev 1:3`,
		`"pipe" p 600 0:0 0`,
		fmt.Sprintf(`"su" f 4755 %d:70000 1700000000 0 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`, maxUID),
		`"tmp" d 755 1:0 5`,
	}
	checkSame(t, describe(t, readTar(t, archive, Options{})), want)
}

func TestTarRootAndRepeatedFolder(t *testing.T) {
	archive := makeTar(t,
		file{Name: "./", Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o1777, Uid: 3, ModTime: at(7)}},
		file{Name: "a/", Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o700, ModTime: at(8)}},
		plain("a/b", ""),
		file{Name: "a/", Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o711, ModTime: at(9)}},
	)
	tr := readTar(t, archive, Options{})
	if _, root := entry(t, tr, ""); root.Mode != 0o1777 || root.UID != 3 || root.ModTime != 7 {
		t.Errorf("root: %+v", root)
	}
	if _, a := entry(t, tr, "a"); a.Mode != 0o711 || a.ModTime != 9 {
		t.Errorf("a: %+v", a)
	}
}

func TestTimesOwnerAndClamp(t *testing.T) {
	archive := makeTar(t,
		file{Name: "a", Header: tar.Header{ModTime: at(-1), Format: tar.FormatPAX}},
		file{Name: "b", Header: tar.Header{ModTime: time.Unix(-2, 500e6), Format: tar.FormatPAX}},
		file{Name: "c", Header: tar.Header{ModTime: time.Unix(100, 999e6), Format: tar.FormatPAX}},
		file{Name: "d", Header: tar.Header{ModTime: at(math.MaxUint32), Format: tar.FormatPAX}},
		file{Name: "e/f", Header: tar.Header{ModTime: at(math.MaxUint32 + 1), Format: tar.FormatPAX}},
	)
	clamp := uint32(1000)
	for _, c := range []struct {
		name     string
		o        Options
		want     []uint32 // root, a, b, c, d, e, e/f
		warnings []string
	}{
		{"as they are", Options{}, []uint32{0, 0, 0, 100, math.MaxUint32, 0, math.MaxUint32},
			[]string{`2 modification times before 1970 became 0, first at "/a"`, `1 modification times after 2106 became the latest possible, first at "/e/f"`}},
		{"clamped", Options{Clamp: &clamp}, []uint32{1000, 0, 0, 100, 1000, 1000, 1000},
			[]string{`2 modification times before 1970 became 0, first at "/a"`}},
		{"warnings only of what stays", Options{Filter: Filter{Exclude: []string{"a", "e/*"}}}, []uint32{0, 0, 100, math.MaxUint32, 0},
			[]string{`1 modification times before 1970 became 0, first at "/b"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Owner = &Owner{uid: 7, gid: 8}
			tr := readTar(t, archive, c.o)
			var times []uint32
			for _, e := range tr.Entries() {
				times = append(times, e.ModTime)
				if e.UID != 7 || e.GID != 8 {
					t.Errorf("%q: owner %d:%d", e.Path, e.UID, e.GID)
				}
			}
			if !slices.Equal(times, c.want) {
				t.Errorf("got times %d, want %d", times, c.want)
			}
			if !slices.Equal(tr.Warnings(), c.warnings) {
				t.Errorf("got warnings %q, want %q", tr.Warnings(), c.warnings)
			}
		})
	}
}

func TestTarXattrs(t *testing.T) {
	archive := makeTar(t,
		file{Name: "a", Header: tar.Header{PAXRecords: map[string]string{
			"SCHILY.xattr.user.b":              "1\x00\xff",
			"SCHILY.xattr.user.a":              "2",
			"SCHILY.xattr.user.%25%3Dx":        "gnu",
			"SCHILY.xattr.system.posix_acl_x":  "dropped",
			"SCHILY.xattr.nodot":               "dropped",
			"SCHILY.acl.access":                "user::rw-",
			"LIBARCHIVE.xattr.user.b":          "b3RoZXI",
			"LIBARCHIVE.xattr.user.%c3%a4%20z": "AP8",
			"LIBARCHIVE.xattr.trusted.pad":     "AA==",
			"RHT.security.selinux":             "system_u:object_r:bin_t:s0",
			"SCHILY.fflags":                    "nodump",
		}}},
		link("z", "a"),
		file{Name: "y", Header: tar.Header{PAXRecords: map[string]string{"SCHILY.acl.default": "user::rwx"}}},
	)
	tr := readTar(t, archive, Options{})
	want := []tree.Xattr{
		{Name: "security.selinux", Value: []byte("system_u:object_r:bin_t:s0\x00")},
		{Name: "trusted.pad", Value: []byte{0}},
		{Name: "user.%=x", Value: []byte("gnu")},
		{Name: "user.a", Value: []byte("2")},
		{Name: "user.b", Value: []byte("1\x00\xff")},
		{Name: "user.ä z", Value: []byte("\x00\xff")},
	}
	for _, path := range []string{"a", "z"} {
		if _, e := entry(t, tr, path); fmt.Sprintf("%q", e.Xattrs) != fmt.Sprintf("%q", want) {
			t.Errorf("%s: got  %q\nwant %q", path, e.Xattrs, want)
		}
	}
	w := `4 extended attributes left out that are not user., trusted. or security. (access control lists, say), first at "/a"`
	if got := tr.Warnings(); !slices.Equal(got, []string{w}) {
		t.Errorf("got warnings %q", got)
	}
}
