package apply_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/apply"
	"deltaup/internal/test/faultserver"
)

// likeTarget is a target whose only seed an mksquashfs has made of the first release's files, but
// for those that leave names.
func likeTarget(t *testing.T, leave ...string) *target {
	t.Helper()
	mksquashfs := tool(t, "mksquashfs")
	m := patched(t, 2, 1)
	seed := filepath.Join(t.TempDir(), "foreign.squashfs")
	args := []string{filepath.Join(m.w.dir, "tree1"), seed, "-quiet", "-no-progress", "-comp", "gzip"}
	if len(leave) > 0 {
		args = append(append(args, "-e"), leave...)
	}
	if out, err := exec.Command(mksquashfs, args...).CombinedOutput(); err != nil {
		t.Fatalf("mksquashfs: %v: %s", err, out)
	}
	m.seeds = []string{seed}
	return m
}

// TestForeignPatch: patches are for whoever has their bases. The recipe that the set leads from is
// fetched, and nothing else that a seed of ours does not need.
func TestForeignPatch(t *testing.T) {
	m := likeTarget(t)
	q, r := m.mustPull()
	checkExact(t, m, q, r)
	if q.Route != "patch" || q.Sets != 1 || m.server.Requests("recipes/") != 1 ||
		m.server.Requests("packs/")+m.server.Requests("indexes/") != 0 {
		t.Errorf("route %s, %+v: %v", q.Route, q.Alternatives, m.server.Log())
	}
}

// TestForeignPatchInPart: what the seed lacks, base or content, comes by chunks.
func TestForeignPatchInPart(t *testing.T) {
	for name, lib := range map[string]string{"base": "usr/lib/lib0.so", "content": "usr/lib/lib2.so"} {
		t.Run(name, func(t *testing.T) {
			m := likeTarget(t, lib)
			m.with = func(r *apply.Request) { r.Line, r.CPU, r.Route = thin, steady, "patch" }
			q, r := m.mustPull()
			checkExact(t, m, q, r)
			size := int64(len(growing(1)[lib]))
			if n := m.server.BodyBytes("packs/"); q.Route != "patch" || n < size || n > size+size/10 ||
				m.server.BodyBytes("patches/") < setSize(t, m.w)/2 {
				t.Errorf("route %s, %d bytes of packs for a file of %d: %v", q.Route, n, size, m.server.Log())
			}
		})
	}
}

// TestForeignPatchOfNoUse: a seed that has nothing of the release costs no more than finding out.
func TestForeignPatchOfNoUse(t *testing.T) {
	m := patched(t, 2, 1)
	m.seeds = []string{newWorld(t).image[0]}
	q, r := m.mustPull()
	if r.BytesFetched > q.ImageSize+q.ImageSize/8 || len(m.warnings) > 0 {
		t.Errorf("%d bytes for an image of %d by %s, warnings %q", r.BytesFetched, q.ImageSize, r.Route, m.warnings)
	}
}

// TestForeignPatchFaults: without the old release, its recipe or a good set there are other routes.
func TestForeignPatchFaults(t *testing.T) {
	for name, rule := range map[string]faultserver.Rule{
		"no release": {Path: "releases/1.json", Fault: faultserver.Status(404, 0)},
		"no recipe":  {Path: "recipes/", Nth: 1, Fault: faultserver.Status(404, 0)},
		"bad recipe": {Path: "recipes/", Nth: 1, Fault: faultserver.Flip(60)},
		"bad set":    {Path: "patches/", Fault: faultserver.Flip(20)},
	} {
		t.Run(name, func(t *testing.T) {
			m := likeTarget(t)
			m.server.Add(rule)
			if _, r := m.mustPull(); r.Route == "patch" && name != "bad recipe" {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}

// TestDamagedSeed: a seed that cannot be read in places has most of the bases.
func TestDamagedSeed(t *testing.T) {
	m := patched(t, 2, 1)
	b := readFile(t, m.w.image[0])
	at := bytes.Index(b, growing(1)["usr/lib/lib3.so"][:64])
	if at < 0 {
		t.Fatal("the library's bytes are not in the image")
	}
	b[at+5] ^= 1
	m.seeds = []string{filepath.Join(t.TempDir(), "damaged")}
	if err := os.WriteFile(m.seeds[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	q, r := m.mustPull()
	if r.Route != "patch" || m.server.BodyBytes("packs/") > 150<<10 {
		t.Errorf("route %s, %d bytes of packs: %+v\n%s", r.Route, m.server.BodyBytes("packs/"), q.Alternatives, strings.Join(m.warnings, "\n"))
	}
}
