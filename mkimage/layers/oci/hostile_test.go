package oci

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"deltaup/mkimage/rootfs"
)

// put adds a blob to a layout that is an archive, and gives its descriptor.
func put(files *[]tar.Header, mediaType string, content any) map[string]any {
	text, ok := content.([]byte)
	if !ok {
		text, _ = json.Marshal(content)
	}
	h := fmt.Sprintf("%x", sha256.Sum256(text))
	*files = append(*files, file("blobs/sha256/"+h, string(text)))
	return map[string]any{"mediaType": mediaType, "digest": "sha256:" + h, "size": len(text)}
}

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar"
)

type object = map[string]any

// layoutOf makes the archive of a layout with an image of one layer. change may change any of it.
func layoutOf(tb testing.TB, layer []byte, change func(config, manifest, index object, files *[]tar.Header)) []byte {
	tb.Helper()
	var files []tar.Header
	l := put(&files, ociLayer, layer)
	config := object{"os": "linux", "architecture": "amd64", "rootfs": object{"type": "layers", "diff_ids": []any{l["digest"]}}}
	manifest := object{"schemaVersion": 2, "mediaType": ociManifest, "layers": []any{l}}
	index := object{"schemaVersion": 2}
	if change != nil {
		change(config, manifest, index, &files)
	}
	if manifest["config"] == nil {
		manifest["config"] = put(&files, ociConfig, config)
	}
	if index["manifests"] == nil {
		index["manifests"] = []any{put(&files, ociManifest, manifest)}
	}
	text, err := json.Marshal(index)
	if err != nil {
		tb.Fatal(err)
	}
	return archive(tb, append(files, file("oci-layout", `{"imageLayoutVersion":"1.0.0"}`), file("index.json", string(text))))
}

func TestHostileLayouts(t *testing.T) {
	good := archive(t, []tar.Header{file("a", "1")})
	other := strings.Repeat("12", 32)
	for name, c := range map[string]struct {
		layer  []byte
		change func(config, manifest, index object, files *[]tar.Header)
		want   error
	}{
		"good":            {good, nil, nil},
		"climbing":        {archive(t, []tar.Header{file("../a", "1")}), nil, rootfs.ErrMalformed},
		"a mark of ..":    {archive(t, []tar.Header{file(".wh...", "")}), nil, rootfs.ErrMalformed},
		"behind a link":   {archive(t, []tar.Header{symlink("l", "../../x"), file("l/a", "1")}), nil, rootfs.ErrMalformed},
		"link to nothing": {archive(t, []tar.Header{link("a", "b")}), nil, rootfs.ErrMalformed},
		"no archive":      {[]byte("layer"), nil, rootfs.ErrKind},
		"of a great size": {great(), nil, rootfs.ErrTooLarge},
		"another diff_id": {good, func(c, m, i object, f *[]tar.Header) { c["rootfs"] = object{"diff_ids": []any{"sha256:" + other}} }, ErrDigest},
		"no diff_id":      {good, func(c, m, i object, f *[]tar.Header) { c["rootfs"] = object{} }, ErrMalformed},
		"two diff_ids": {good, func(c, m, i object, f *[]tar.Header) {
			c["rootfs"] = object{"diff_ids": []any{"sha256:" + other, "sha256:" + other}}
		}, ErrMalformed},
		"a bad diff_id":   {good, func(c, m, i object, f *[]tar.Header) { c["rootfs"] = object{"diff_ids": []any{"sha256:../x"}} }, ErrMalformed},
		"another size":    {good, func(c, m, i object, f *[]tar.Header) { m["layers"].([]any)[0].(object)["size"] = 3 }, ErrDigest},
		"no size":         {good, func(c, m, i object, f *[]tar.Header) { delete(m["layers"].([]any)[0].(object), "size") }, ErrDigest},
		"a size below 0":  {good, func(c, m, i object, f *[]tar.Header) { m["layers"].([]any)[0].(object)["size"] = -1 }, ErrMalformed},
		"a great blob":    {good, func(c, m, i object, f *[]tar.Header) { m["layers"].([]any)[0].(object)["size"] = int64(1) << 62 }, rootfs.ErrTooLarge},
		"no digest":       {good, func(c, m, i object, f *[]tar.Header) { delete(m["layers"].([]any)[0].(object), "digest") }, ErrMalformed},
		"a missing layer": {good, func(c, m, i object, f *[]tar.Header) { m["layers"].([]any)[0].(object)["digest"] = "sha256:" + other }, ErrMalformed},
		"no layer":        {good, func(c, m, i object, f *[]tar.Header) { m["layers"].([]any)[0].(object)["mediaType"] = "text/plain" }, ErrMalformed},
		"many layers":     {good, func(c, m, i object, f *[]tar.Header) { m["layers"] = many(m["layers"].([]any)[0], layersMax+1) }, rootfs.ErrTooLarge},
		"no config":       {good, func(c, m, i object, f *[]tar.Header) { m["config"] = put(f, ociConfig, []byte("{}x")) }, ErrMalformed},
		"another artifact": {good, func(c, m, i object, f *[]tar.Header) {
			m["config"] = put(f, "application/vnd.cncf.helm.config.v1+json", c)
		}, ErrMalformed},
		"both kinds":   {good, func(c, m, i object, f *[]tar.Header) { m["manifests"] = []any{} }, ErrMalformed},
		"another kind": {good, func(c, m, i object, f *[]tar.Header) { m["mediaType"] = ociIndex }, ErrMalformed},
		"schema 1":     {good, func(c, m, i object, f *[]tar.Header) { m["schemaVersion"] = 1 }, ErrMalformed},
		"sha512": {good, func(c, m, i object, f *[]tar.Header) {
			m["layers"].([]any)[0].(object)["digest"] = "sha512:" + strings.Repeat("0", 128)
		}, ErrMalformed},
		"a great manifest": {good, func(c, m, i object, f *[]tar.Header) {
			m["annotations"] = object{"a": strings.Repeat("a", manifestMax)}
		}, rootfs.ErrTooLarge},
		"another system": {good, func(c, m, i object, f *[]tar.Header) { c["os"] = "windows" }, ErrPlatform},
		"no image":       {good, func(c, m, i object, f *[]tar.Header) { i["manifests"] = []any{} }, ErrReference},
		"indexes": {good, func(c, m, i object, f *[]tar.Header) {
			at := put(f, ociIndex, object{"schemaVersion": 2, "manifests": []any{}})
			for range indexDepth {
				at = put(f, ociIndex, object{"schemaVersion": 2, "manifests": []any{at}})
			}
			i["manifests"] = []any{at}
		}, ErrMalformed},
		"a manifest that changed": {good, func(c, m, i object, f *[]tar.Header) {
			m["config"] = put(f, ociConfig, c)
			d := put(f, ociManifest, m)
			(*f)[len(*f)-1].Linkname += " "
			(*f)[len(*f)-1].Size++
			i["manifests"] = []any{d}
		}, ErrDigest},
		"links in a circle": {good, func(c, m, i object, f *[]tar.Header) {
			*f = append((*f)[:0], symlink("blobs/sha256/x", "x"), symlink((*f)[0].Name, "x"))
		}, ErrMalformed},
	} {
		path := filepath.Join(t.TempDir(), "a.tar")
		if err := os.WriteFile(path, layoutOf(t, c.layer, c.change), 0o644); err != nil {
			t.Fatal(err)
		}
		if c.want == nil {
			if got := summary(t, read(t, path, Options{})); got != "a:1" {
				t.Errorf("%s: got %s", name, got)
			}
		} else if err := refused(t, path, Options{}); !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

func many(v any, n int) (list []any) {
	for range n {
		list = append(list, v)
	}
	return list
}

// great gives the header of a file of a tebibyte.
func great() []byte {
	h := make([]byte, 512)
	copy(h, "a")
	copy(h[100:], "0000644\x000000000\x000000000\x00\x80\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x0000000000000\x00        0")
	copy(h[257:], "ustar  \x00")
	sum := 0
	for _, b := range h {
		sum += int(b)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// dockerOf makes Docker's archive of an image.
func dockerOf(tb testing.TB, layers, diffIDs []string, more ...tar.Header) []byte {
	tb.Helper()
	config, err := json.Marshal(object{"os": "linux", "architecture": "amd64", "rootfs": object{"diff_ids": diffIDs}})
	if err != nil {
		tb.Fatal(err)
	}
	manifest, err := json.Marshal([]any{object{"Config": "c.json", "RepoTags": []string{"a/b:c"}, "Layers": layers}})
	if err != nil {
		tb.Fatal(err)
	}
	return archive(tb, append(more, file("c.json", string(config)), file("manifest.json", string(manifest))))
}

func TestHostileDocker(t *testing.T) {
	good := archive(t, []tar.Header{file("a", "1")})
	id := fmt.Sprintf("sha256:%x", sha256.Sum256(good))
	for name, c := range map[string]struct {
		archive []byte
		want    error
	}{
		"good":                {dockerOf(t, []string{"l.tar"}, []string{id}, file("l.tar", string(good))), nil},
		"a link to a layer":   {dockerOf(t, []string{"d/layer.tar"}, []string{id}, file("x/layer.tar", string(good)), symlink("d/layer.tar", "../x/layer.tar")), nil},
		"a link to itself":    {dockerOf(t, []string{"l.tar"}, []string{id}, symlink("l.tar", "l.tar")), ErrMalformed},
		"a link out of it":    {dockerOf(t, []string{"l.tar"}, []string{id}, symlink("l.tar", "../../../../../etc/passwd")), ErrMalformed},
		"a folder":            {dockerOf(t, []string{"l.tar"}, []string{id}, dir("l.tar")), ErrMalformed},
		"a missing layer":     {dockerOf(t, []string{"../l.tar"}, []string{id}, file("l.tar", string(good))), ErrMalformed},
		"more layers":         {dockerOf(t, []string{"l.tar", "l.tar"}, []string{id}, file("l.tar", string(good))), ErrMalformed},
		"another layer":       {dockerOf(t, []string{"l.tar"}, []string{zeros}, file("l.tar", string(good))), ErrDigest},
		"no list":             {archive(t, []tar.Header{file("manifest.json", "{}")}), ErrMalformed},
		"an empty list":       {archive(t, []tar.Header{file("manifest.json", "[]")}), ErrMalformed},
		"a list without end":  {archive(t, []tar.Header{file("manifest.json", strings.Repeat("[", 1000))}), ErrMalformed},
		"many images":         {archive(t, []tar.Header{file("manifest.json", "["+strings.Repeat("{},", imagesMax)+"{}]")}), rootfs.ErrTooLarge},
		"two images":          {archive(t, []tar.Header{file("manifest.json", `[{"RepoTags":["a:1"]},{"RepoTags":["a:2"]}]`)}), ErrReference},
		"a root file system":  {good, ErrMalformed},
		"a manifest.json dir": {archive(t, []tar.Header{dir("manifest.json")}), ErrMalformed},
	} {
		path := filepath.Join(t.TempDir(), "a.tar")
		if err := os.WriteFile(path, c.archive, 0o644); err != nil {
			t.Fatal(err)
		}
		if c.want == nil {
			if got := summary(t, read(t, path, Options{})); got != "a:1" {
				t.Errorf("%s: got %s", name, got)
			}
		} else if err := refused(t, path, Options{}); !errors.Is(err, c.want) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// FuzzOpen demands of any archive either an error of a known kind or a tree.
func FuzzOpen(f *testing.F) {
	good := archive(f, []tar.Header{dir("a"), file("a/b", "1"), file(".wh.c", "")})
	f.Add(layoutOf(f, good, nil))
	f.Add(dockerOf(f, []string{"l.tar"}, []string{fmt.Sprintf("sha256:%x", sha256.Sum256(good))}, file("l.tar", string(good))))
	name := filepath.Join(f.TempDir(), "a.tar")
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			return
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := Open(context.Background(), Reference{Path: name}, Options{Architecture: "amd64"})
		if err == nil {
			if m.ID == "" || m.Entries()[0].Path != "" {
				t.Fatalf("got %+v", m)
			}
			err = m.Close()
		}
		for _, kind := range []error{nil, ErrMalformed, ErrReference, ErrDigest, ErrPlatform, rootfs.ErrMalformed, rootfs.ErrKind, rootfs.ErrTooLarge, rootfs.ErrContainer} {
			if errors.Is(err, kind) {
				return
			}
		}
		t.Fatalf("error of no kind: %v", err)
	})
}

// FuzzDocuments demands of any text that its parsers keep their bounds.
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"config":{"digest":"`+zeros+`","size":1},"layers":[]}`), "arm/v7")
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"digest":"`+zeros+`","size":1,"platform":{"os":"linux","architecture":"arm"}}]}`), "armhf")
	f.Add([]byte(`[{"Config":"a","Layers":["b"]}]`), "")
	f.Add([]byte(`{"rootfs":{"diff_ids":["`+zeros+`"]}}`), "amd64")
	f.Fuzz(func(t *testing.T, text []byte, arch string) {
		p, err := parsePlatform(arch)
		if err != nil {
			p = nil
		}
		if d, err := parseDocument(text); err == nil && d.isIndex() {
			one, err := choose(d.Manifests, p)
			if err == nil && one.Digest == (v1.Hash{}) {
				t.Fatalf("chose %+v", one)
			}
		}
		if list, err := parseDocker(text); err == nil && len(list) > imagesMax {
			t.Fatalf("%d images", len(list))
		}
		if c, err := parseConfig(text, 1); err == nil {
			if len(c.RootFS.DiffIDs) != 1 {
				t.Fatalf("got %+v", c)
			}
			_ = check(c, p) // must not panic
		}
	})
}
