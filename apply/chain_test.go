package apply_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
)

// TestChain goes from the first to the fourth release through the sets of all between.
func TestChain(t *testing.T) {
	m := patched(t, 4, 1)
	q, r := m.mustPull()
	checkExact(t, m, q, r)
	if q.Route != "patch" || q.Sets != 3 {
		t.Errorf("route %s through %d sets: %+v", q.Route, q.Sets, q.Alternatives)
	}
	if n := m.server.Requests("recipes/"); n > 0 {
		t.Errorf("%d recipes were fetched", n)
	}
	direct := patched(t, 4, 3)
	d, r := direct.mustPull()
	checkExact(t, direct, d, r)
	if d.Route != "patch" || d.Sets != 1 {
		t.Errorf("route %s through %d sets: %+v", d.Route, d.Sets, d.Alternatives)
	}
}

// TestBrokenChain: sets or releases on the way that are missing or damaged.
func TestBrokenChain(t *testing.T) {
	for name, rule := range map[string]faultserver.Rule{
		"no set":       {Path: "patches/", Nth: 2, Fault: faultserver.Status(404, 0)},
		"no release":   {Path: "releases/3.json", Fault: faultserver.Status(404, 0)},
		"bad release":  {Path: "releases/2.json", Fault: faultserver.Flip(60)},
		"bad set":      {Path: "patches/", Fault: faultserver.Flip(20)},
		"other answer": {Path: "patches/", Fault: faultserver.Replace([]byte("<html>Please log in</html>"))},
	} {
		t.Run(name, func(t *testing.T) {
			m := patched(t, 4, 1)
			m.server.Add(rule)
			_, r := m.mustPull()
			if r.Route == "patch" || len(m.warnings) == 0 {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}

// TestChainOfLists: a set that refers to chunk lists which the set before it left out needs the
// recipe between them.
func TestChainOfLists(t *testing.T) {
	w := patchedWorld(t, 3, 1)
	set := setWithLists(t, filepath.Join(w.dir, "v2.squashfs"), filepath.Join(w.dir, "v3.squashfs"))
	size, err := patchset.HeadSize(set)
	if err != nil {
		t.Fatal(err)
	}
	head, err := patchset.ReadHead(set[:size])
	if err != nil {
		t.Fatal(err)
	}
	w = altered(t, w, func(r *mirror.Release, put func([]byte, func(chunkstore.ID) string) mirror.Object) {
		r.Patches[0].Set = put(set, mirror.PatchPath)
		r.Patches[0].Head = mirror.Object{ID: head.ID, Size: size}
	})
	m := newTargetOf(t, w)
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	q, r := m.mustPull()
	checkExact(t, m, q, r)
	if q.Route != "patch" || q.Sets != 2 || m.server.Requests("recipes/") != 1 {
		t.Errorf("route %s through %d sets, %d recipes: %+v", q.Route, q.Sets, m.server.Requests("recipes/"), q.Alternatives)
	}
	m = newTargetOf(t, w)
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	m.server.Add(faultserver.Rule{Path: "recipes/", Nth: 1, Fault: faultserver.Status(404, 0)})
	if _, r := m.mustPull(); r.Route == "patch" || len(m.warnings) == 0 {
		t.Errorf("without the recipe: route %s, warnings %q", r.Route, m.warnings)
	}

	// from release 2, whose kept recipe lacks these lists: they are read
	m = newTargetOf(t, w)
	m.with = func(r *apply.Request) { r.Line, r.CPU, r.Version, r.Channel = thin, steady, "2", "" }
	m.pulled()
	m.with = func(r *apply.Request) { r.Line, r.CPU = thin, steady }
	m.seeds = []string{m.path}
	read := m.watchSeeds()
	r, _ = m.again()
	if r.Route != "patch" || *read == 0 || m.server.Requests("recipes/") != 0 || len(m.warnings) > 0 {
		t.Errorf("from a kept recipe: route %s, %d bytes of the seed read, %d recipes, warnings %q", r.Route, *read,
			m.server.Requests("recipes/"), m.warnings)
	}
}

// setWithLists makes a set that has all chunk lists.
func setWithLists(t *testing.T, from, to string) []byte {
	t.Helper()
	var derived [2]*mkimage.Derived
	for i, path := range []string{from, to} {
		b := readFile(t, path)
		image, err := squashfs.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		if derived[i], err = mkimage.Derive(t.Context(), image, chunkstore.Params{}, mkimage.DeriveOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var set bytes.Buffer
	side := func(d *mkimage.Derived) patchset.Side {
		return patchset.Side{Recipe: d.Recipe, Contents: patchset.FromImage(d)}
	}
	_, err := patchset.Make(t.Context(), &set, side(derived[0]), side(derived[1]), patchset.MakeOptions{ChunkLists: true})
	if err != nil {
		t.Fatal(err)
	}
	return set.Bytes()
}
