package apply_test

import (
	"errors"
	"testing"

	"deltaup/apply"
	"deltaup/delta"
)

// TestMemory permits an update less memory than its quickest route takes: it takes one that needs
// none, and refuses when that may not be taken, or is too large as well.
func TestMemory(t *testing.T) {
	const usual, less, least = 64 << 20, 30 << 20, 10 << 20
	for _, tt := range []struct {
		name   string
		memory int64
		route  delta.Route // asked for; "": any
		patch  bool        // it goes by patches
		limit  int64       // that is told; 0: it is refused
	}{
		{"usual", 0, "", true, usual},
		{"more", 200 << 20, "", true, 200 << 20},
		{"less", less, "", false, less},
		{"less for a route", less, "patch", false, 0},
		{"less than any takes", least, "", false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newTargetOf(t, patchedWorld(t, 2, 1))
			limit := int64(0)
			m.with = func(r *apply.Request) {
				few(r)
				r.Route, r.Memory, r.Limit = tt.route, tt.memory, func(n int64) { limit = n }
			}
			if tt.limit == 0 {
				if _, _, err := m.pull(); !errors.Is(err, apply.ErrMemory) {
					t.Errorf("error %v", err)
				}
				return
			}
			_, r := m.mustPull()
			if (r.Route == "patch") != tt.patch || limit != tt.limit {
				t.Errorf("by %s, with %d bytes", r.Route, limit)
			}
		})
	}
}
