package apply_test

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
	"deltaup/mirror/serve"
)

// ownSize is what an initrd of initrdWorld has that the image has not.
const ownSize = 30 << 10

// newInitrdTarget makes a target whose mirror has the world's releases with an initrd each, of the
// image's files.
func newInitrdTarget(t *testing.T, patchFrom int) (m *target, file string) {
	return newInitrdTargetOf(t, patchFrom, func(version int) map[string][]byte {
		return map[string][]byte{"init": noise(uint64(400+version), ownSize)}
	})
}

// newInitrdTargetOf is newInitrdTarget with other files than the image's.
func newInitrdTargetOf(t *testing.T, patchFrom int, own func(version int) map[string][]byte) (m *target, file string) {
	m = newTarget(t)
	dir := t.TempDir()
	for i, image := range m.w.image {
		files := system(i + 1)
		path := filepath.Join(dir, "initrd")
		inside := map[string][]byte{
			"usr/lib/lib0.so": files["usr/lib/lib0.so"], "usr/lib/lib5.so": files["usr/lib/lib5.so"],
			"var/sparse": files["var/lib/sparse"],
		}
		maps.Copy(inside, own(i+1))
		packed := cpiotest.Initrd(inside)
		if err := os.WriteFile(path, packed, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := publish.Add(context.Background(), folder.At(filepath.Join(dir, "mirror")), publish.Publication{
			Version: string(rune('1' + i)), Channel: "stable", Image: image, PatchFrom: patchFrom,
			Artifacts: []publish.File{{Name: "initrd", Path: path}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	m.server = faultserver.New(t, serve.Handler(filepath.Join(dir, "mirror")))
	m.urls = []string{m.server.URL}
	file = filepath.Join(t.TempDir(), "initrd.img")
	m.with = func(r *apply.Request) {
		r.Outputs = map[string]string{"initrd": file}
		r.Optimize = delta.ForBytes
	}
	return m, file
}

// wantInitrd holds the file against the release that the mirror has.
func (m *target) wantInitrd(file string) {
	m.t.Helper()
	a := m.release("2").Artifact("initrd")
	if a.Beside() == nil {
		m.t.Errorf("the initrd is %s", a.Kind)
	}
	if got := readFile(m.t, file); chunkstore.Sum(got) != a.ID || int64(len(got)) != a.Size {
		m.t.Error("the file is not the published initrd")
	}
}

func TestPullInitrd(t *testing.T) {
	for name, c := range map[string]struct {
		patchFrom int
		seeds     bool
		only      delta.Route
		route     string
	}{
		"patch": {1, true, "", "patch"}, "chunks": {0, true, "chunks", "chunks"}, "no seed": {0, false, "", "whole"},
	} {
		t.Run(name, func(t *testing.T) {
			m, file := newInitrdTarget(t, c.patchFrom)
			if !c.seeds {
				m.seeds = nil
			}
			with := m.with
			alone := func(r *apply.Request) { with(r); r.Route = c.only }
			m.with = func(r *apply.Request) { r.Optimize, r.Route = delta.ForBytes, c.only }
			m.state += "-without"
			u, done, err := m.start()
			if err != nil {
				t.Fatal(err)
			}
			without := u.Quote()
			done()
			m.with, m.state = alone, m.state+"-with"
			m.server.Reset()
			q, r := m.mustPull()
			m.wantInitrd(file)
			if q.Route != c.route || r.Route != c.route {
				t.Errorf("route %s, then %s, want %s: %+v", q.Route, r.Route, c.route, q.Alternatives)
			}
			if more := q.Bytes - without.Bytes; more > ownSize+1<<10 || c.seeds && more < ownSize {
				t.Errorf("%d bytes more than without the initrd, which has %d of its own", more, ownSize)
			}
			if r.BytesFetched != q.Bytes+q.MetaBytes {
				t.Errorf("fetched %d bytes, quoted were %d+%d", r.BytesFetched, q.Bytes, q.MetaBytes)
			}
			if m.server.Requests("indexes/") != 1 && c.route == "patch" {
				t.Error("the release's own index was fetched")
			}
		})
	}
}

// TestPullInitrdAgain pulls an initrd alone, when the slot holds the image, or a seed is it, or
// nothing is there.
func TestPullInitrdAgain(t *testing.T) {
	m, file := newInitrdTarget(t, 0)
	outputs := m.with
	m.with = nil
	m.mustPull()
	m.with = outputs
	image := m.w.image[1]
	for name, c := range map[string]struct {
		seeds []string
		slot  bool
		most  int64 // bytes of packs
	}{
		"slot":     {nil, true, ownSize + 1<<10},
		"seed":     {[]string{image}, false, ownSize + 1<<10},
		"old seed": {[]string{m.seeds[0]}, false, 600 << 10},
		"nothing":  {nil, false, 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(file); err != nil {
				t.Fatal(err)
			}
			m.server.Reset()
			m.seeds = c.seeds
			m.with = func(r *apply.Request) {
				outputs(r)
				if !c.slot {
					r.Slot = nil
				}
			}
			if _, _, err := m.pull(); err != nil {
				t.Fatal(err)
			}
			m.wantInitrd(file)
			if n := m.server.BodyBytes("packs/"); n < ownSize || n > c.most {
				t.Errorf("%d bytes of packs, want %d to %d", n, ownSize, c.most)
			}
		})
	}
}
