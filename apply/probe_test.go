package apply_test

import (
	"fmt"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/delta"
	"deltaup/internal/test/faultserver"
)

// large is a system of more than 16 MiB, most of which stays.
func large(version int) map[string][]byte {
	return map[string][]byte{
		"usr/lib/large": noise(1, 17<<20),
		"usr/bin/tool":  noise(uint64(100+version), 50<<10),
	}
}

// TestSeedsNotRead: on a line that brings the whole image sooner than the seeds can be read, they
// are not.
func TestSeedsNotRead(t *testing.T) {
	w := worldOf(t, "large", large, 2, 0)
	for _, tt := range []struct {
		line     delta.Line
		optimize delta.Optimize
		route    delta.Route // asked for
		want     string
		reads    bool
	}{
		{delta.Line{Rate: 1e10, RTT: time.Microsecond}, delta.ForTime, "", "whole", false},
		{delta.Line{Rate: 1e10, RTT: time.Microsecond}, delta.ForBytes, "", "blocks", true},
		{thin, delta.ForTime, "", "chunks", true},
		{thin, delta.ForTime, "whole", "whole", false},
	} {
		t.Run(fmt.Sprint(tt.want, tt.reads), func(t *testing.T) {
			m := newTargetOf(t, w)
			reads := false
			m.with = func(r *apply.Request) {
				r.Line, r.CPU, r.Optimize, r.Route = tt.line, steady, tt.optimize, tt.route
				events := r.Events
				r.Events = func(e apply.Event) {
					reads = reads || e.Stage == apply.StageSeed
					events(e)
				}
			}
			q, r := m.mustPull()
			checkExact(t, m, q, r)
			if q.Route != tt.want || reads != tt.reads {
				t.Errorf("route %s, seeds were read: %v: %+v", q.Route, reads, q.Alternatives)
			}
		})
	}
}

// TestSeedsReadAfterAll: when the image is not to be had whole, there are still the seeds.
func TestSeedsReadAfterAll(t *testing.T) {
	m := newTargetOf(t, worldOf(t, "large", large, 2, 0))
	m.with = func(r *apply.Request) { r.Line, r.CPU = delta.Line{Rate: 1e10, RTT: time.Microsecond}, steady }
	m.server.Add(faultserver.Rule{Path: "images/", Fault: faultserver.Status(404, 0)})
	if _, r := m.mustPull(); r.Route != "chunks" || len(m.warnings) == 0 {
		t.Errorf("route %s, warnings %q", r.Route, m.warnings)
	}
}
