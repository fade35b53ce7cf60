package apply_test

import (
	"testing"

	"deltaup/apply"
	"deltaup/internal/test/faultserver"
)

// grouped is a system whose second version brings more than one group of a patch set holds.
func grouped(version int) map[string][]byte {
	files := map[string][]byte{"usr/lib/stays": noise(1, 300<<10)}
	for i := range version - 1 {
		files["usr/lib/one"] = noise(uint64(10+i), 5<<20)
		files["usr/lib/two"] = noise(uint64(20+i), 5<<20)
	}
	return files
}

// TestBadGroup: of a set that is damaged in one place, only that group's contents are fetched
// otherwise, and nothing that was right is fetched again.
func TestBadGroup(t *testing.T) {
	if testing.Short() {
		t.Skip("making the set takes ten seconds")
	}
	m := newTargetOf(t, worldOf(t, "grouped", grouped, 2, 1))
	m.with = func(r *apply.Request) { r.Line, r.CPU, r.Route = thin, steady, "patch" }
	size := setSize(t, m.w)
	m.server.Add(faultserver.Rule{Path: "patches/", Fault: faultserver.Flip(size - 1)})
	q, r := m.mustPull()
	if r.Route != "patch" || len(m.warnings) == 0 {
		t.Errorf("route %s, warnings %q", r.Route, m.warnings)
	}
	// Once in the first place, and the bad group once more before it is given up.
	if n, packs := m.server.BodyBytes("patches/"), m.server.BodyBytes("packs/"); n > size+size*2/3 || packs < 4<<20 || packs > 6<<20 {
		t.Errorf("%d bytes of a set of %d were fetched, and %d of packs; quoted were %d", n, size, packs, q.Bytes)
	}
}
