package apply_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
	"deltaup/mirror/client"
)

// growingInitrd is what the initrds of a patched world have besides the image's files: one file
// changes in places.
func growingInitrd(version int) map[string][]byte {
	own := noise(500, ownSize)
	copy(own[1000*version:], "changed")
	return map[string][]byte{"init": own, "conf/same": noise(501, ownSize), "conf/version": {byte(version)}}
}

// patchedInitrd makes a target whose mirror has patch sets of image and initrd; old is a copy of
// the initrd of the first release.
func patchedInitrd(t *testing.T) (m *target, file, old string) {
	t.Helper()
	m, file = newInitrdTargetOf(t, 1, growingInitrd)
	old = filepath.Join(t.TempDir(), "old-initrd")
	wanted := m.with
	m.with = func(r *apply.Request) {
		r.Outputs, r.Version, r.Slot = map[string]string{"initrd": old}, "1", nil
		r.StateDir += "-old"
	}
	if _, _, err := m.pull(); err != nil {
		t.Fatal(err)
	}
	m.with = wanted
	m.server.Reset()
	return m, file, old
}

// place puts a copy of a file in another's place.
func place(t *testing.T, file, copyOf string) {
	t.Helper()
	if err := os.WriteFile(file, readFile(t, copyOf), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestPullInitrdPatch takes the initrd's patch set from the old initrd, wherever it is, in one
// request.
func TestPullInitrdPatch(t *testing.T) {
	for name, seed := range map[string]bool{"in place": false, "as a seed": true} {
		t.Run(name, func(t *testing.T) {
			m, file, old := patchedInitrd(t)
			if seed {
				m.seeds = append([]string{old}, m.seeds...)
			} else {
				place(t, file, old)
			}
			q, r := m.mustPull()
			checkExact(t, m, q, r)
			all, sets := m.server.Requests(""), m.server.Requests("patches/")
			if q.Route != "patch" || all != 5 || sets != 3 { // the others: pointer and release
				t.Errorf("route %s, %d requests, %d of patch sets: %v", q.Route, all, sets,
					m.server.Log())
			}
			m.wantInitrd(file)
		})
	}
}

// TestPullInitrdPatchAlone pulls the initrd when the slot holds the image, the image coming by
// another route, and with a seed that is the initrd itself.
func TestPullInitrdPatchAlone(t *testing.T) {
	m, file, old := patchedInitrd(t)
	outputs := m.with
	m.with = nil
	m.mustPull()
	m.with = outputs
	place(t, file, old)
	m.server.Reset()
	m.mustPull()
	// after the pointer; the release was kept
	if n := m.server.Requests(""); n != 2 || m.server.Requests("patches/") != 1 {
		t.Errorf("%d requests: %v", n, m.server.Log())
	}
	m.wantInitrd(file)
	again := filepath.Join(t.TempDir(), "again")
	m.seeds = []string{file}
	m.with = func(r *apply.Request) { r.Outputs, r.Slot = map[string]string{"initrd": again}, nil }
	m.server.Reset()
	if _, _, err := m.pull(); err != nil {
		t.Fatal(err)
	}
	if n := m.server.Requests(""); n > 2 {
		t.Errorf("%d requests for a copy: %v", n, m.server.Log())
	}
	m.wantInitrd(again)
}

// TestPullInitrdWhole gets the image whole, and the initrd by its patch set and by chunks.
func TestPullInitrdWhole(t *testing.T) {
	for name, patch := range map[string]bool{"patch set": true, "chunks": false} {
		t.Run(name, func(t *testing.T) {
			m, file, old := patchedInitrd(t)
			if patch {
				place(t, file, old)
			}
			outputs := m.with
			m.with = func(r *apply.Request) {
				outputs(r)
				r.Optimize, r.Line, r.CPU = delta.ForTime, delta.Line{Rate: 1e9, RTT: 1}, slowCPU
			}
			m.seeds = nil
			q, r := m.mustPull()
			m.wantInitrd(file)
			if r.Route != "whole" {
				t.Errorf("route %s, then %s: %+v", q.Route, r.Route, q.Alternatives)
			}
			if n := m.server.Requests("packs/"); (n == 0) != patch {
				t.Errorf("%d requests of packs", n)
			}
		})
	}
}

// TestPullInitrdPatchFails damages the initrd's patch set in every way: the initrd comes by chunks
// then, and is right.
func TestPullInitrdPatchFails(t *testing.T) {
	m, file, old := patchedInitrd(t)
	release := m.release("2")
	set := mirror.PatchPath(release.Artifact("initrd").Patches[0].Set.ID)
	size := release.Artifact("initrd").Patches[0].Set.Size
	state := m.state
	for name, fault := range map[string]faultserver.Fault{
		"missing": faultserver.Status(404, 0), "damaged head": faultserver.Flip(100), "damaged group": faultserver.Flip(size - 3),
		"cut": faultserver.Shorten(size / 2), "another file": faultserver.Replace(noise(1, int(size))),
	} {
		t.Run(name, func(t *testing.T) {
			m.t, m.state, m.warnings = t, state+"-"+strings.ReplaceAll(name, " ", "-"), nil
			m.server.Clear()
			m.server.Reset()
			m.server.Add(faultserver.Rule{Path: set, Fault: fault})
			if err := os.RemoveAll(m.path); err != nil {
				t.Fatal(err)
			}
			place(t, file, old)
			_, r := m.mustPull()
			m.wantInitrd(file)
			if r.Route != "patch" {
				t.Errorf("the image came by %s", r.Route)
			}
			if len(m.warnings) == 0 || !strings.Contains(strings.Join(m.warnings, "\n"), "the patch set of the initrd is given up") {
				t.Errorf("warnings %q", m.warnings)
			}
			if n := m.server.Requests("indexes/"); n != 1 {
				t.Errorf("%d requests of indexes", n)
			}
		})
	}
	m.t = t
}

// TestPullInitrdOtherOld has something else in the initrd's place: no seed of use, and no harm.
func TestPullInitrdOtherOld(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing": nil, "noise": noise(7, 5000), "another initrd": cpiotest.Initrd(growingInitrd(1)), "cut off": cpiotest.Initrd(growingInitrd(1))[:9000],
	} {
		if testing.Short() && name != "another initrd" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			m, file, _ := patchedInitrd(t)
			if err := os.WriteFile(file, b, 0o644); err != nil {
				t.Fatal(err)
			}
			q, r := m.mustPull()
			checkExact(t, m, q, r)
			m.wantInitrd(file)
			packs := m.server.BodyBytes("packs/")
			if few := packs < 2*ownSize; few != (name == "another initrd") { // it has conf/same
				t.Errorf("%d bytes of packs", packs)
			}
		})
	}
}

// TestPullInitrdSeedChanges changes the old initrd after it was taken apart, which does no harm:
// what is needed of it was kept.
func TestPullInitrdSeedChanges(t *testing.T) {
	m, file, old := patchedInitrd(t)
	place(t, file, old)
	u, done, err := m.start()
	if err != nil {
		t.Fatal(err)
	}
	defer done()
	if err := os.WriteFile(file, noise(9, 100), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.wantInitrd(file)
	m.checkSlot(m.w.image[1])
}

// release reads a release of the mirror.
func (m *target) release(version string) *mirror.Release {
	m.t.Helper()
	reader, err := client.New(m.urls, client.Options{})
	if err != nil {
		m.t.Fatal(err)
	}
	release, err := reader.Release(m.t.Context(), version, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	return release
}

// TestPullInitrdGroups has a set of two groups: the second is quoted, and when it is damaged, or
// gone since the first was fetched, the initrd comes by chunks.
func TestPullInitrdGroups(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a patch set of 9 MB")
	}
	m, file := newInitrdTargetOf(t, 1, func(version int) map[string][]byte {
		return map[string][]byte{"init": noise(uint64(600+version), version>>1*17<<19+1000)}
	})
	old := filepath.Join(t.TempDir(), "old-initrd")
	wanted, state := m.with, m.state
	m.with = func(r *apply.Request) {
		r.Outputs, r.Version, r.Slot = map[string]string{"initrd": old}, "1", nil
		r.StateDir += "-old"
	}
	if _, _, err := m.pull(); err != nil {
		t.Fatal(err)
	}
	m.with = wanted
	set := m.release("2").Artifact("initrd").Patches[0].Set
	gone := func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.Header.Get("Range"), fmt.Sprint("-", set.Size-1)) {
			http.NotFound(w, r) // the last group
			return
		}
		next.ServeHTTP(w, r)
	}
	for name, fault := range map[string]faultserver.Fault{
		"sound": nil, "damaged": faultserver.Flip(set.Size - 9), "gone": gone,
	} {
		bad := fault != nil
		t.Run(name, func(t *testing.T) {
			m.t, m.state, m.warnings = t, state+"-"+name, nil
			m.server.Clear()
			m.server.Reset()
			if bad {
				m.server.Add(faultserver.Rule{Path: mirror.PatchPath(set.ID), Fault: fault})
			}
			if err := os.RemoveAll(m.path); err != nil {
				t.Fatal(err)
			}
			place(t, file, old)
			q, r := m.mustPull()
			if !bad {
				checkExact(t, m, q, r)
			} else if len(m.warnings) == 0 {
				t.Error("no warning")
			}
			if q.Bytes < set.Size*9/10 {
				t.Errorf("%d bytes were quoted, the set has %d", q.Bytes, set.Size)
			}
			if n := m.server.Requests("packs/"); (n > 0) != bad {
				t.Errorf("%d requests of packs", n)
			}
			m.wantInitrd(file)
		})
	}
	m.t = t
}
