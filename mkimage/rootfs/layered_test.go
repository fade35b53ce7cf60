package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"deltaup/mkimage/tree"
)

// layersOf makes layers of archives.
func layersOf(archives ...[]byte) (layers []ContainerLayer) {
	for i, b := range archives {
		layers = append(layers, ContainerLayer{fmt.Sprint(i), func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(b)), nil
		}})
	}
	return layers
}

func readLayers(t testing.TB, o Options, archives ...[]byte) tree.Tree {
	t.Helper()
	tr, err := FromLayers(context.Background(), layersOf(archives...), o)
	if err != nil {
		t.Fatal(err)
	}
	return closeLater(t, tr)
}

func TestLayersShapes(t *testing.T) {
	type layer = []file
	for _, c := range []struct {
		name   string
		layers []layer
		want   string
	}{
		{"none", nil, ""},
		{"one", []layer{{plain("a", "1"), plain("b/c", "2")}}, "a:1 b:d b/c:2"},
		{"empty ones", []layer{{}, {plain("a", "1")}, {}}, "a:1"},
		{"the upper one counts", []layer{{plain("a", "1"), plain("b", "1")}, {plain("a", "22")}}, "a:22 b:1"},
		{"a mark", []layer{{plain("a/b", "1"), plain("a/c", "2")}, {plain("a/.wh.b", "")}}, "a:d a/c:2"},
		{"of a folder", []layer{{plain("a/b/c", "1"), plain("d", "2")}, {plain(".wh.a", "")}}, "d:2"},
		{"of nothing", []layer{{plain("a", "1")}, {plain(".wh.b", ""), plain("c/d/.wh.e", "")}}, "a:1"},
		{"of a name of the same layer", []layer{{plain("a", "1")}, {plain("a", "2"), plain(".wh.a", "")}}, "a:2"},
		{"first", []layer{{plain("a", "1")}, {plain(".wh.a", ""), plain("a", "2")}}, "a:2"},
		{"of a folder that stays", []layer{{plain("a/b", "1")}, {folder("a"), plain("a/c", "2"), plain(".wh.a", "")}}, "a:d a/c:2"},
		{"an opaque folder", []layer{{plain("a/b", "1"), plain("a/c/d", "1"), plain("e", "1")}, {folder("a"), plain("a/f", "2"), plain("a/.wh..wh..opq", ""), plain("a/c/g", "2")}}, "a:d a/c:d a/c/g:2 a/f:2 e:1"},
		{"an opaque root", []layer{{plain("a/b", "1")}, {plain(".wh..wh..opq", ""), plain("c", "2")}}, "c:2"},
		{"a mark and then again", []layer{{plain("a", "1")}, {plain(".wh.a", "")}, {plain("a", "3")}}, "a:3"},
		{"a mark of two layers ago", []layer{{plain("a", "1")}, {plain("b", "2")}, {plain(".wh.a", "")}}, "b:2"},
		{"a file becomes a folder", []layer{{plain("a", "1")}, {folder("a"), plain("a/b", "2")}}, "a:d a/b:2"},
		{"a folder becomes a file", []layer{{plain("a/b", "1")}, {plain("a", "2")}}, "a:2"},
		{"a folder becomes a link", []layer{{plain("a/b", "1"), plain("c/d", "1")}, {symlink("a", "c")}, {plain("a/e", "3")}}, "a>c c:d c/d:1 c/e:3"},
		{"through a lower link", []layer{{folder("usr/lib"), symlink("lib", "usr/lib")}, {plain("lib/a", "1"), plain("usr/lib/b", "2")}, {plain("lib/.wh.b", "")}}, "lib>usr/lib usr:d usr/lib:d usr/lib/a:1"},
		{"a link into a lower layer", []layer{{plain("a", "1"), plain("b", "1")}, {link("c/d", "a")}}, "a:1 b:1 c:d c/d=a"},
		{"whose target changes later", []layer{{plain("a", "1")}, {link("b", "a")}, {plain("a", "3")}}, "a:3 b:1"},
		{"whose target goes in the same layer", []layer{{plain("a", "1")}, {link("b", "a"), plain(".wh.a", "")}}, "b:1"},
		{"a link before its target", []layer{{link("b", "a"), plain("a", "1")}, {plain("a", "2")}}, "a:2 b:1"},
		{"names of aufs", []layer{{plain(".wh..wh.plnk/12.3", "x"), plain(".wh..wh.aufs", ""), plain("a", "1")}}, "a:1"},
		{"names like marks", []layer{{plain("a.wh.b", "1"), plain(".whb", "2")}}, ".whb:2 a.wh.b:1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var archives [][]byte
			for i, l := range c.layers {
				archive := makeTar(t, l...)
				if i%2 == 1 {
					archive = gzipped(t, archive)
				}
				archives = append(archives, archive)
			}
			tr := readLayers(t, Options{Empty: true}, archives...)
			if got := summary(t, tr); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			if w := tr.Warnings(); len(w) > 0 {
				t.Errorf("warnings %q", w)
			}
		})
	}
}

// TestLayersAttributes demands that a layer changes only the folders that it lists, and the pax
// records for a whole layer only that layer.
func TestLayersAttributes(t *testing.T) {
	var low bytes.Buffer
	writeGlobal(t, &low, map[string]string{"uid": "7"})
	low.Write(makeTar(t, file{Name: "a/", Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o700, Format: tar.FormatPAX}},
		file{Name: "b/", Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o700, Format: tar.FormatPAX}},
		file{Name: "c/", Header: tar.Header{Typeflag: tar.TypeDir, Mode: 0o700, Format: tar.FormatPAX}}))
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00"
	high := makeTar(t, file{Name: "a/ping", Content: "x", Header: tar.Header{PAXRecords: map[string]string{"SCHILY.xattr.security.capability": capability}}},
		folder("b"), plain("c/d", ""), plain(".wh.c", ""))
	tr := readLayers(t, Options{}, low.Bytes(), high)
	for path, want := range map[string]tree.Attr{
		"a": {Mode: 0o700, UID: 7}, "b": {Mode: 0o755}, "c": {Mode: 0o755},
		"a/ping": {Mode: 0o644, Xattrs: []tree.Xattr{{Name: "security.capability", Value: []byte(capability)}}},
	} {
		_, e := entry(t, tr, path)
		want.Type, want.ModTime = e.Type, e.ModTime
		if fmt.Sprint(e.Attr) != fmt.Sprint(want) {
			t.Errorf("%s: got %v, want %v", path, e.Attr, want)
		}
	}
}

func TestLayersRefused(t *testing.T) {
	good := makeTar(t, plain("a", "1"), symlink("l", "/nowhere"))
	for name, c := range map[string]struct {
		archive []byte
		want    error
		text    string
	}{
		"climbing":         {makeTar(t, plain("../a", "")), ErrMalformed, "climbs"},
		"a mark of ..":     {makeTar(t, plain("b/.wh...", "")), ErrMalformed, "no name"},
		"a mark of .":      {makeTar(t, plain(".wh..", "")), ErrMalformed, "no name"},
		"an empty mark":    {makeTar(t, plain(".wh.", "")), ErrMalformed, "no name"},
		"below a mark":     {makeTar(t, plain(".wh.a/b", "")), ErrMalformed, "below a mark"},
		"behind a link":    {makeTar(t, plain("l/.wh.b", "")), ErrMalformed, "symbolic link"},
		"link to nothing":  {makeTar(t, link("b", "c")), ErrMalformed, "missing"},
		"to what is gone":  {makeTar(t, plain(".wh.a", ""), link("b", "a")), ErrMalformed, "missing"},
		"truncated":        {good[:700], ErrMalformed, "truncated"},
		"no archive":       {[]byte(strings.Repeat("x", 1024)), ErrKind, ""},
		"of overlayfs":     {makeTar(t, file{Name: "gone", Header: tar.Header{Typeflag: tar.TypeChar}}), ErrContainer, ""},
		"of huge contents": {hugeHeader(t), ErrTooLarge, "GiB"},
	} {
		_, err := FromLayers(context.Background(), layersOf(good, c.archive), Options{})
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.text) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	if _, err := FromLayers(context.Background(), make([]ContainerLayer, layersMax+1), Options{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many: got error %v", err)
	}
	bad := errors.New("bad")
	for name, l := range map[string]ContainerLayer{
		"Open":  {Open: func() (io.ReadCloser, error) { return nil, bad }},
		"Close": {Open: func() (io.ReadCloser, error) { return badClose{bytes.NewReader(good), bad}, nil }},
		// behind what the decompressor reads
		"the end": {Open: func() (io.ReadCloser, error) {
			return badClose{io.MultiReader(bytes.NewReader(good), failing{bad}), nil}, nil
		}},
	} {
		if _, err := FromLayers(context.Background(), []ContainerLayer{l}, Options{}); !errors.Is(err, bad) {
			t.Errorf("error of %s: got %v", name, err)
		}
	}
}

// hugeHeader gives the first block of an archive with a file of a tebibyte.
func hugeHeader(t *testing.T) []byte {
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(&tar.Header{Name: "a", Size: 1 << 40, Format: tar.FormatGNU}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type badClose struct {
	io.Reader
	err error
}

func (b badClose) Close() error { return b.err }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// FuzzFromLayers demands of any two archives, one upon the other, what FuzzFromTar demands of one.
func FuzzFromLayers(f *testing.F) {
	low := makeTar(f, folder("a"), plain("a/b", "1"), plain("c", "2"), symlink("l", "a"))
	for _, high := range [][]byte{
		makeTar(f, plain("a/.wh.b", ""), plain("d", "2")), makeTar(f, plain("a/.wh..wh..opq", ""), link("e", "c")),
		makeTar(f, plain(".wh.l", ""), plain("l/x", "")), makeTar(f, plain("a", "x"), plain(".wh..wh.plnk/1", "")),
	} {
		f.Add(low, high)
	}
	temp := f.TempDir()
	f.Fuzz(func(t *testing.T, low, high []byte) {
		if len(low)+len(high) > 1<<16 {
			return
		}
		low, high = bytes.Clone(low), bytes.Clone(high)
		for _, archive := range [][]byte{low, high} {
			for at := 0; at+blockSize <= len(archive); at += blockSize {
				if block := archive[at : at+blockSize]; bytes.HasPrefix(block[257:], []byte("ustar")) {
					setChecksum(block)
				}
			}
		}
		tr, err := FromLayers(context.Background(), layersOf(low, high), Options{tempDir: temp, Empty: true})
		if err != nil {
			for _, kind := range []error{ErrMalformed, ErrKind, ErrTooLarge, ErrContainer} {
				if errors.Is(err, kind) {
					return
				}
			}
			t.Fatalf("error of no kind: %v", err)
		}
		defer tr.Close()
		checkTree(t, tr)
		for _, e := range tr.Entries() {
			if isWhiteout(&e) {
				t.Fatalf("the mark %q is left", e.Path)
			}
		}
	})
}
