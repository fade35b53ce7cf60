package oci

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"deltaup/mkimage/rootfs"
)

// serve starts a registry. wrap may change its answers.
func serve(tb testing.TB, wrap func(http.Handler) http.Handler) (host string, stop func()) {
	tb.Helper()
	h := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	s := httptest.NewServer(h)
	tb.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), s.Close
}

func push(tb testing.TB, ref string, m remote.Taggable) string {
	tb.Helper()
	tag := must[name.Reference](tb)(name.ParseReference(ref))
	var err error
	if index, ok := m.(v1.ImageIndex); ok {
		err = remote.WriteIndex(tag, index)
	} else {
		err = remote.Write(tag, m.(v1.Image))
	}
	if err != nil {
		tb.Fatal(err)
	}
	return must[*remote.Descriptor](tb)(remote.Get(tag)).Digest.String()
}

// indexOf makes an index of images, and of an entry for no platform as builders add it.
func indexOf(tb testing.TB, images ...v1.Image) v1.ImageIndex {
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: imageOf(tb, "linux/amd64"), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "unknown", Architecture: "unknown"}},
	})
	for _, m := range images {
		p := must[*v1.ConfigFile](tb)(m.ConfigFile()).Platform()
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: m, Descriptor: v1.Descriptor{Platform: p}})
	}
	return index
}

func TestRegistry(t *testing.T) {
	host, stop := serve(t, nil)
	tag, other := host+"/team/base:stable", []tar.Header{file("other", "1")}
	digest := push(t, tag, indexOf(t, imageOf(t, "linux/arm64/v8", other), imageOf(t, "linux/amd64", layers...)))
	o := Options{Architecture: "amd64", Cache: t.TempDir()}

	if err := refused(t, tag, o); !errors.Is(err, ErrUnlocked) {
		t.Errorf("without a digest: got error %v", err)
	}
	if names := must[[]os.DirEntry](t)(os.ReadDir(o.Cache)); len(names) > 0 {
		t.Errorf("without a digest: fetched %v", names)
	}
	locked, err := Resolve(context.Background(), must[Reference](t)(ParseReference(tag)), o)
	if err != nil || locked != digest {
		t.Fatalf("resolved to %s, %v, want %s", locked, err, digest)
	}
	push(t, tag, imageOf(t, "linux/amd64", other)) // the tag goes on to another image
	o.Digest = locked
	if m := read(t, tag, o); summary(t, m) != composed || m.Digest != digest || m.Platform != "linux/amd64" {
		t.Errorf("got %s, %s, %s", m.Digest, m.Platform, summary(t, m))
	}
	stop()
	// the cache has all of it, of this platform alone
	o.Digest = ""
	if got := summary(t, read(t, tag+"@"+locked, o)); got != composed {
		t.Errorf("without the registry: got %s", got)
	}
	if err := refused(t, tag+"@"+locked, Options{Architecture: "arm64", Cache: o.Cache}); errors.Is(err, ErrPlatform) {
		t.Errorf("another platform without the registry: got error %v", err)
	}
	o.Digest = zeros
	if err := refused(t, tag+"@"+locked, o); !errors.Is(err, ErrDigest) {
		t.Errorf("locked to something else: got error %v", err)
	}
	if err := refused(t, tag, Options{Digest: locked}); err == nil || !strings.Contains(err.Error(), "cache") {
		t.Errorf("without a cache: got error %v", err)
	}
	// what was damaged in the cache is not read
	for _, e := range must[[]os.DirEntry](t)(os.ReadDir(o.Cache)) {
		path := o.Cache + "/" + e.Name()
		good := must[[]byte](t)(os.ReadFile(path))
		bad := bytes.Clone(good)
		bad[len(bad)/2] ^= 1
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := refused(t, tag+"@"+locked, Options{Architecture: "amd64", Cache: o.Cache}); !errors.Is(err, ErrDigest) {
			t.Errorf("damaged %s: got error %v", e.Name(), err)
		}
		if err := os.WriteFile(path, good, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLyingRegistry demands that nothing of a registry that gives something else than asked for is
// read, or gets into the cache.
func TestLyingRegistry(t *testing.T) {
	good := imageOf(t, "linux/amd64", layers...)
	config := must[v1.Hash](t)(good.ConfigName()).String()
	layer := must[v1.Hash](t)(must[[]v1.Layer](t)(good.Layers())[2].Digest()).String()
	manifest := must[v1.Hash](t)(good.Digest()).String()
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		return b
	}
	for title, c := range map[string]struct {
		what string
		lie  func([]byte) []byte
	}{
		"another manifest":     {"/manifests/" + manifest, flip},
		"a manifest with more": {"/manifests/" + manifest, func(b []byte) []byte { return append(bytes.Clone(b), ' ') }},
		"a huge manifest":      {"/manifests/" + manifest, func([]byte) []byte { return bytes.Repeat([]byte(" "), manifestMax+1) }},
		"another config":       {"/blobs/" + config, flip},
		"a short config":       {"/blobs/" + config, func(b []byte) []byte { return b[:len(b)-1] }},
		"no config":            {"/blobs/" + config, func([]byte) []byte { return nil }},
		"a huge config":        {"/blobs/" + config, func([]byte) []byte { return bytes.Repeat([]byte(" "), configMax+1) }},
		"another layer":        {"/blobs/" + layer, flip},
		"a short layer":        {"/blobs/" + layer, func(b []byte) []byte { return b[:len(b)-1] }},
		"a long layer":         {"/blobs/" + layer, func(b []byte) []byte { return append(bytes.Clone(b), 0) }},
		"layer after layer":    {"/blobs/" + layer, func(b []byte) []byte { return bytes.Repeat(b, 2) }},
	} {
		t.Run(title, func(t *testing.T) {
			var told int
			host, _ := serve(t, func(h http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, c.what) {
						h.ServeHTTP(w, r)
						return
					}
					told++
					a := httptest.NewRecorder()
					h.ServeHTTP(a, r)
					for key, values := range a.Header() {
						if key != "Content-Length" {
							w.Header()[key] = values
						}
					}
					w.WriteHeader(a.Code)
					if f, ok := w.(http.Flusher); ok {
						f.Flush() // so that no length is told
					}
					w.Write(c.lie(a.Body.Bytes()))
				})
			})
			tag := host + "/team/base:one"
			if err := remote.Write(must[name.Tag](t)(name.NewTag(tag)), good); err != nil {
				t.Fatal(err)
			}
			o := Options{Cache: t.TempDir()}
			err := refused(t, tag+"@"+manifest, o)
			if err == nil || told == 0 {
				t.Fatalf("got error %v, told %d lies", err, told)
			}
			if !errors.Is(err, ErrDigest) && !errors.Is(err, rootfs.ErrTooLarge) && !strings.Contains(err.Error(), "does not match requested digest") && !strings.Contains(err.Error(), "error verifying") {
				t.Errorf("got error %v", err)
			}
			for _, e := range must[[]os.DirEntry](t)(os.ReadDir(o.Cache)) {
				if hash := c.what[strings.LastIndex(c.what, ":")+1:]; strings.Contains(e.Name(), hash) {
					t.Errorf("the cache has %s", e.Name())
				}
			}
		})
	}
}

// TestStoppedFetch demands that a fetch ends when its context does.
func TestStoppedFetch(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	release := make(chan struct{})
	host, _ := serve(t, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				cancel()
				select {
				case <-release:
				case <-time.After(time.Minute):
				}
			}
			h.ServeHTTP(w, r)
		})
	})
	tag := host + "/team/base:one"
	digest := push(t, tag, imageOf(t, "linux/amd64", layers...))
	_, err := Open(ctx, must[Reference](t)(ParseReference(fmt.Sprint(tag, "@", digest))), Options{Cache: t.TempDir()})
	close(release)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v", err)
	}
}
