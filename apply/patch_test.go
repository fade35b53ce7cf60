package apply_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror/client"
)

// TestPatch pulls through one set: pointer, release, head, groups, and nothing else.
func TestPatch(t *testing.T) {
	m := patched(t, 2, 1)
	q, r := m.mustPull()
	checkExact(t, m, q, r)
	if q.Route != "patch" || q.Sets != 1 || r.BlocksCopied == 0 || q.MetaRequests+q.Requests > 4 {
		t.Errorf("quote %+v, result %+v", q, r)
	}
	for _, kind := range []string{"packs/", "recipes/", "indexes/", "images/", "blockmaps/"} {
		if n := m.server.Requests(kind); n > 0 {
			t.Errorf("%d requests for %s", n, kind)
		}
	}
	for _, a := range q.Alternatives {
		if a.Chosen != (a.Route == "patch") || a.Chosen == (a.Why != "") || a.Requests == 0 && a.Bytes > 0 {
			t.Errorf("alternative %+v", a)
		}
	}
	if left, err := filepath.Glob(filepath.Join(m.state, "*", "fetch", "*")); err != nil || len(left) > 0 {
		t.Errorf("left in the state folder: %v (%v)", left, err)
	}
}

// TestSeedOfRelease: a seed that is the release needs nothing of the mirror but its name.
func TestSeedOfRelease(t *testing.T) {
	m := patched(t, 2, 1)
	m.seeds = append(m.seeds, m.w.image[1])
	q, r := m.mustPull()
	checkExact(t, m, q, r)
	if q.Bytes != 0 || q.MetaRequests != 2 || r.BlocksCompressed != 0 {
		t.Errorf("quote %+v, result %+v: want all copied", q, r)
	}
}

// TestResumeSet cuts the connection in the middle of a set, again and again.
func TestResumeSet(t *testing.T) {
	m := patched(t, 2, 1)
	m.with = func(r *apply.Request) { r.Line, r.Parallel = delta.Line{Rate: 125e3, RTT: time.Microsecond}, 1 }
	var came int64
	for i := 0; ; i++ {
		if i > 200 {
			t.Fatal("no end")
		}
		m.server.Clear()
		m.server.Add(
			faultserver.Rule{Path: "patches/", Nth: 1, Fault: faultserver.Cut(3000)},
			faultserver.Rule{Path: "patches/", Fault: faultserver.Status(503, 0)})
		m.server.Reset()
		_, _, err := m.pull()
		for _, r := range m.server.Log() {
			if strings.HasPrefix(r.Path, "patches/") && r.Status < 400 {
				came += r.Body
			}
		}
		if err == nil {
			break
		}
		if !errors.Is(err, client.ErrUnreachable) {
			t.Fatal(err)
		}
		m.checkUnbootable()
	}
	m.checkSlot(m.w.image[1])
	if size := setSize(t, m.w); came != size {
		t.Errorf("%d bytes came over all runs, the set has %d", came, size)
	}
}

// TestWrongBase changes a file of the seed after it was read: a patch of it then gives other bytes.
func TestWrongBase(t *testing.T) {
	m := patched(t, 2, 1)
	seed := filepath.Join(t.TempDir(), "changing")
	b := readFile(t, m.w.image[0])
	m.seeds = []string{seed}
	if err := os.WriteFile(seed, b, 0o644); err != nil {
		t.Fatal(err)
	}
	u, done, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if q := u.Quote(); q.Route != "patch" {
		t.Fatalf("route %s", q.Route)
	}
	// Noise is stored as it is. Shortly before the change, so that the patch copies it and the new
	// chunk holds it.
	lib := growing(1)["usr/lib/lib0.so"]
	at := bytes.Index(b, lib[100<<10:100<<10+64])
	if at < 0 {
		t.Fatal("the library's bytes are not in the image")
	}
	b[at+6000-10] ^= 1
	if err := os.WriteFile(seed, b, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := u.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.checkSlot(m.w.image[1])
	if len(m.warnings) == 0 || m.server.Requests("packs/") == 0 {
		t.Errorf("route %s, warnings %q", r.Route, m.warnings)
	}
}
