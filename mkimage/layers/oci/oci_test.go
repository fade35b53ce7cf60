package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ocilayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	randomly "github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"deltaup/internal/test/oracle"
	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

const capability = "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"

// file is one entry of a layer.
func file(name, content string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Linkname: content, Size: int64(len(content)), Uid: 5, Gid: 7}
}

func dir(name string) tar.Header {
	return tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o755}
}

func link(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}
}

func symlink(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target, Mode: 0o777}
}

// layers are those of an image with all that may happen from one to the next.
var layers = [][]tar.Header{
	{
		dir("bin"), file("bin/sh", "#!"), file("bin/gone", "x"), file("bin/ping", "ping"), dir("etc"), file("etc/passwd", "root"),
		dir("opt"), dir("opt/old"), file("opt/old/a", "a"), dir("opt/old/b"), file("opt/old/b/c", "c"),
		file("kind", "a file"), dir("srv"), file("srv/x", "x"), dir("usr"), dir("usr/lib"), symlink("lib", "usr/lib"), file("usr/lib/a", "a"),
	},
	{ // nothing
	},
	{
		dir("bin"), file("bin/.wh.gone", ""), link("bin/bash", "bin/sh"),
		dir("opt"), dir("opt/old"), file("opt/old/.wh..wh..opq", ""), file("opt/old/new", "new"),
		dir("kind"), file("kind/now", "a folder"), file("srv", "no folder any more"), file("usr/lib/b", "b"),
	},
	{
		dir("bin"), {Name: "bin/ping", Typeflag: tar.TypeReg, Mode: 0o4755, Linkname: "ping2", Size: 5, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": capability}},
		file(".wh.etc", ""), dir("opt"), {Name: "opt/old/", Typeflag: tar.TypeDir, Mode: 0o700, Uid: 9}, {Name: "run/", Typeflag: tar.TypeDir, Mode: 0o1777},
	},
}

const composed = "bin:d bin/bash:#! bin/ping:ping2 bin/sh=bin/bash kind:d kind/now:a folder lib>usr/lib opt:d opt/old:d opt/old/new:new run:d srv:no folder any more usr:d usr/lib:d usr/lib/a:a usr/lib/b:b"

func archive(tb testing.TB, headers []tar.Header) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
		}
		h.ModTime = time.Unix(1000, 0)
		if err := w.WriteHeader(&h); err != nil {
			tb.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// must gives a value of a call that must not fail.
func must[T any](tb testing.TB) func(T, error) T {
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// imageOf makes an image for a platform such as linux/arm/v7.
func imageOf(tb testing.TB, platform string, layers ...[]tar.Header) v1.Image {
	tb.Helper()
	m := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, headers := range layers {
		b := archive(tb, headers)
		l := must[v1.Layer](tb)(tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }, tarball.WithMediaType(types.OCILayer)))
		m = must[v1.Image](tb)(mutate.AppendLayers(m, l))
	}
	c := must[*v1.ConfigFile](tb)(m.ConfigFile()).DeepCopy()
	p := must[*v1.Platform](tb)(v1.ParsePlatform(platform))
	c.OS, c.Architecture, c.Variant = p.OS, p.Architecture, p.Variant
	return must[v1.Image](tb)(mutate.ConfigFile(m, c))
}

// writeLayout writes a layout with images, by their names.
func writeLayout(tb testing.TB, images map[string]v1.Image) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "layout")
	l := must[ocilayout.Path](tb)(ocilayout.Write(name, empty.Index))
	for ref, m := range images {
		p := must[*v1.ConfigFile](tb)(m.ConfigFile()).Platform()
		if err := l.AppendImage(m, ocilayout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": ref}), ocilayout.WithPlatform(*p)); err != nil {
			tb.Fatal(err)
		}
	}
	return name
}

// writeDocker writes an archive as "docker save" does.
func writeDocker(tb testing.TB, m v1.Image) string {
	tb.Helper()
	name := filepath.Join(tb.TempDir(), "docker.tar")
	if err := tarball.WriteToFile(name, must[Reference](tb)(ParseReference("example/image:one")).tag(tb), m); err != nil {
		tb.Fatal(err)
	}
	return name
}

func run(tb testing.TB, tool string, args ...string) {
	tb.Helper()
	if out, err := exec.Command(oracle.Need(tb, tool), args...).CombinedOutput(); err != nil {
		tb.Fatalf("%s %q: %v\n%s", tool, args, err, out)
	}
}

func read(tb testing.TB, ref string, o Options) *Image {
	tb.Helper()
	r := must[Reference](tb)(ParseReference(ref))
	m, err := Open(context.Background(), r, o)
	if err != nil {
		tb.Fatalf("%s: %v", ref, err)
	}
	tb.Cleanup(func() {
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
	})
	return m
}

func refused(tb testing.TB, ref string, o Options) error {
	tb.Helper()
	m, err := Open(context.Background(), must[Reference](tb)(ParseReference(ref)), o)
	if err == nil {
		tb.Errorf("%s: read, want an error", ref)
		if err := m.Close(); err != nil {
			tb.Error(err)
		}
	}
	return err
}

func content(tb testing.TB, t tree.Tree, i int) string {
	r := must[io.ReadCloser](tb)(t.Open(i))
	defer r.Close()
	return string(must[[]byte](tb)(io.ReadAll(r)))
}

// summary writes a tree in one line.
func summary(tb testing.TB, t tree.Tree) string {
	var words []string
	for i, e := range t.Entries()[1:] {
		word := e.Path + ":d"
		switch {
		case e.Link != "":
			word = e.Path + "=" + e.Link
		case e.Type == tree.Regular:
			word = e.Path + ":" + content(tb, t, i+1)
		case e.Type == tree.Symlink:
			word = e.Path + ">" + e.Target
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// details are all that the entries have, in lines. Times of folders are left out, and owners unless
// owners is set.
func details(tb testing.TB, t tree.Tree, owners bool) string {
	var b strings.Builder
	for i, e := range t.Entries() {
		if e.Type == tree.Directory {
			e.ModTime = 0
		}
		if !owners {
			e.UID, e.GID, e.Xattrs = 0, 0, nil
		}
		fmt.Fprintf(&b, "%+v", e)
		if e.Type == tree.Regular && e.Link == "" {
			fmt.Fprintf(&b, " %q", content(tb, t, i))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestForms(t *testing.T) {
	m := imageOf(t, "linux/amd64", layers...)
	layout, docker := writeLayout(t, map[string]v1.Image{"one": m}), writeDocker(t, m)
	packed := filepath.Join(t.TempDir(), "oci.tar")
	run(t, "tar", "-C", layout, "-cf", packed, "oci-layout", "index.json", "blobs")
	run(t, "gzip", "-k", packed)
	id := must[v1.Hash](t)(m.ConfigName()).String()
	digest := must[v1.Hash](t)(m.Digest()).String()
	for ref, want := range map[string]string{
		layout: digest, "oci:" + layout + ":one": digest, layout + "@" + digest: digest,
		"oci-archive:" + packed: digest, packed + ".gz": digest,
		"docker-archive:" + docker: id, docker + ":example/image:one": id, docker + "@" + id: id,
	} {
		clamp := uint32(900)
		got := read(t, ref, Options{Architecture: "amd64", Clamp: &clamp})
		if got.Digest != want || got.ID != id || got.Platform != "linux/amd64" {
			t.Errorf("%s: got %s, %s, %s", ref, got.Digest, got.ID, got.Platform)
		}
		if s := summary(t, got); s != composed {
			t.Errorf("%s: got  %s\nwant %s", ref, s, composed)
		}
		if w := got.Warnings(); len(w) > 0 {
			t.Errorf("%s: warnings %q", ref, w)
		}
		for _, e := range got.Entries() {
			switch {
			case e.Path != "" && e.ModTime != clamp:
				t.Errorf("%s: %s has the time %d", ref, e.Path, e.ModTime)
			case e.Path == "bin/ping" && (e.Mode != 0o4755 || len(e.Xattrs) != 1 || e.Xattrs[0].Name != "security.capability" || string(e.Xattrs[0].Value) != capability):
				t.Errorf("%s: bin/ping is %+v", ref, e)
			case e.Path == "bin/sh" && (e.UID != 5 || e.GID != 7), e.Path == "opt/old" && (e.UID != 9 || e.Mode != 0o700):
				t.Errorf("%s: owner or mode of %+v", ref, e)
			}
		}
		if now, err := Resolve(context.Background(), must[Reference](t)(ParseReference(ref)), Options{}); err != nil || now != want {
			t.Errorf("%s: resolved to %s, %v", ref, now, err)
		}
	}
}

// TestUmoci compares the tree with what umoci unpacks.
func TestUmoci(t *testing.T) {
	root := os.Geteuid() == 0
	random := imageOf(t, "linux/amd64", layers[0])
	for range 3 {
		random = must[v1.Image](t)(mutate.AppendLayers(random, must[v1.Layer](t)(randomly.Layer(3000, types.OCILayer))))
	}
	for name, m := range map[string]v1.Image{"layers": imageOf(t, "linux/amd64", layers...), "random": random} {
		layout, out := writeLayout(t, map[string]v1.Image{"one": m}), filepath.Join(t.TempDir(), "root")
		args := []string{"raw", "unpack", "--image", layout + ":one", out}
		if !root {
			args = append([]string{"raw", "unpack", "--rootless"}, args[2:]...)
		}
		run(t, "umoci", args...)
		want := must[tree.Tree](t)(rootfs.FromFolder(context.Background(), out, rootfs.Options{}))
		got := read(t, layout, Options{})
		w, g := strings.Split(details(t, want, root), "\n"), strings.Split(details(t, got, root), "\n")
		if len(w) < 4 {
			t.Fatalf("%s: umoci made %q", name, w)
		}
		for i := range max(len(w), len(g)) {
			if i == 0 {
				continue // the root has the mode that the tool gives it
			}
			if i >= len(w) || i >= len(g) || w[i] != g[i] {
				t.Fatalf("%s: entry %d:\ngot  %s\nwant %s", name, i, g[min(i, len(g)-1)], w[min(i, len(w)-1)])
			}
		}
		if err := want.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestSkopeo reads what skopeo has copied, in each format.
func TestSkopeo(t *testing.T) {
	layout := writeLayout(t, map[string]v1.Image{"one": imageOf(t, "linux/amd64", layers...)})
	out := t.TempDir()
	for format, name := range map[string]string{"docker-archive:": "docker.tar", "oci-archive:": "oci.tar", "oci:": "oci"} {
		ref := format + filepath.Join(out, name)
		run(t, "skopeo", "copy", "--quiet", "oci:"+layout+":one", ref+":example/image:two")
		if got := summary(t, read(t, ref+":example/image:two", Options{Architecture: "amd64"})); got != composed {
			t.Errorf("%s: got  %s", ref, got)
		}
	}
}

func TestPlatforms(t *testing.T) {
	images := map[string]v1.Image{}
	for _, p := range []string{"linux/amd64", "linux/arm64/v8", "linux/arm/v6", "linux/arm/v7"} {
		images[strings.ReplaceAll(p, "/", "-")] = imageOf(t, p, []tar.Header{file("is", p)})
	}
	layout := writeLayout(t, images)
	for arch, want := range map[string]string{
		"amd64": "linux/amd64", "linux/amd64": "linux/amd64", "arm64": "linux/arm64/v8", "arm64/v8": "linux/arm64/v8",
		"arm/v6": "linux/arm/v6", "arm/v7": "linux/arm/v7", "arm": "linux/arm/v7", "armhf": "linux/arm/v7",
	} {
		m := read(t, layout, Options{Architecture: arch})
		if got := summary(t, m); got != "is:"+want || m.Platform != want {
			t.Errorf("%s: got %s, %s", arch, m.Platform, got)
		}
	}
	for arch, want := range map[string]error{"riscv64": ErrPlatform, "arm/v5": ErrPlatform, "": ErrPlatform, "a/b/c": ErrPlatform, "windows/amd64": ErrPlatform} {
		if err := refused(t, layout, Options{Architecture: arch}); !errors.Is(err, want) {
			t.Errorf("%q: got error %v", arch, err)
		}
	}
	// a name leads to an image whose configuration says what it is for
	if err := refused(t, layout+":linux-amd64", Options{Architecture: "arm64"}); !errors.Is(err, ErrPlatform) {
		t.Errorf("another platform: got error %v", err)
	}
	if err := refused(t, layout+":other", Options{}); !errors.Is(err, ErrReference) || !strings.Contains(err.Error(), "linux-arm-v6, linux-arm-v7") {
		t.Errorf("another name: got error %v", err)
	}
}
