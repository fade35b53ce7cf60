package apply_test

import (
	"fmt"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/internal/test/faultserver"
)

// TestRoutes takes each route and checks that its quote is exact.
func TestRoutes(t *testing.T) {
	for _, tt := range []struct {
		route string
		with  func(r *apply.Request)
		seeds bool
	}{
		{"patch", func(r *apply.Request) { r.Line, r.CPU = thin, steady }, true},
		{"patch", func(r *apply.Request) { r.Line, r.CPU, r.Optimize = fast, slowCPU, delta.ForBytes }, true},
		{"blocks", func(r *apply.Request) { r.Line, r.CPU = fast, slowCPU }, true},
		{"whole", func(r *apply.Request) { r.Line, r.CPU = thin, steady }, false},
		{"whole", func(r *apply.Request) {
			r.Line = delta.Line{Rate: 1e12, RTT: time.Nanosecond}
			r.CPU = delta.CPU{Compress: 1e6, Decode: 1e6, Patch: 1e6, Write: 400e6, Scan: 1e6}
		}, true},
	} {
		t.Run(tt.route, func(t *testing.T) {
			m := patched(t, 2, 1)
			m.with = tt.with
			if !tt.seeds {
				m.seeds = nil
			}
			q, r := m.mustPull()
			checkExact(t, m, q, r)
			if q.Route != tt.route {
				t.Errorf("route %s, want %s: %+v", q.Route, tt.route, q.Alternatives)
			}
			if tt.route == "blocks" && (r.BlocksCompressed > 0 || m.server.Requests("packs/") > 0) {
				t.Errorf("result %+v: want nothing compressed", r)
			}
		})
	}
	t.Run("chunks", func(t *testing.T) {
		m := newTarget(t)
		q, r := m.mustPull()
		checkExact(t, m, q, r)
		if q.Route != "chunks" {
			t.Errorf("route %s: %+v", q.Route, q.Alternatives)
		}
	})
}

// TestWholeLost: without the image a pull that was to fetch it whole goes on by the contents.
func TestWholeLost(t *testing.T) {
	quick := func(r *apply.Request) {
		r.Line = delta.Line{Rate: 1e12, RTT: time.Nanosecond}
		r.CPU = delta.CPU{Compress: 1e6, Decode: 1e6, Patch: 1e6, Write: 400e6, Scan: 1e6}
	}
	for name, fault := range map[string]faultserver.Fault{
		"missing": faultserver.Status(404, 0),
		"damaged": faultserver.Flip(20000),
	} {
		for _, seeds := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", seeds ", seeds), func(t *testing.T) {
				m := patched(t, 2, 1)
				m.with = quick
				want := "patch"
				if !seeds {
					m.seeds, want = nil, "chunks"
				}
				m.server.Add(faultserver.Rule{Path: "images/", Fault: fault})
				q, r := m.mustPull()
				if q.Route != "whole" || r.Route != want || len(m.warnings) == 0 {
					t.Errorf("route %s, then %s; warnings %q", q.Route, r.Route, m.warnings)
				}
			})
		}
	}
}

// TestBlockFaults: stored blocks that are damaged for good leave the other routes.
func TestBlockFaults(t *testing.T) {
	damaged := readFile(t, patchedWorld(t, 2, 1).image[1])
	for i := 100; i < len(damaged); i += 1000 {
		damaged[i] ^= 1
	}
	for name, rule := range map[string]faultserver.Rule{
		"no block map":    {Path: "blockmaps/", Fault: faultserver.Status(404, 0)},
		"other block map": {Path: "blockmaps/", Fault: faultserver.Flip(20)},
		"no image":        {Path: "images/", Fault: faultserver.Status(404, 0)},
		"damaged once":    {Path: "images/", Nth: 1, Fault: faultserver.Replace(damaged)},
		"damaged":         {Path: "images/", Fault: faultserver.Replace(damaged)},
	} {
		t.Run(name, func(t *testing.T) {
			m := patched(t, 2, 1)
			m.with = func(r *apply.Request) { r.Line, r.CPU = fast, slowCPU }
			m.server.Add(rule)
			_, r := m.mustPull()
			if len(m.warnings) == 0 || (r.Route == "blocks") != (name == "damaged once") {
				t.Errorf("route %s, warnings %q", r.Route, m.warnings)
			}
		})
	}
}
