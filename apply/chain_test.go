package apply_test

import (
	"testing"

	"deltaup/internal/faultserver"
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
