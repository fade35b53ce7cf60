package apply_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/delta"
)

// early has the target look at its seeds before it prepares a pull. It checks what is said of that,
// and how much is left of it when the pull has ended.
func (m *target) early(begin bool, check func(*apply.Early)) {
	with := m.with
	m.with = func(r *apply.Request) {
		with(r)
		r.Early = apply.NewEarly(context.Background(), r)
		if begin {
			r.Early.Begin()
			apply.EarlyLeft(r.Early)
		}
		check(r.Early)
		m.t.Cleanup(func() {
			if begin && apply.EarlyLeft(r.Early) != 0 {
				m.t.Error("something is left open")
			}
		})
	}
}

// TestEarlyBlocks: the stored bytes of a seed are read once, before the release is known.
func TestEarlyBlocks(t *testing.T) {
	for _, begin := range []bool{true, false} {
		m := newTarget(t)
		m.take("beside")
		read := m.watchSeeds()
		m.early(begin, func(e *apply.Early) {
			if !e.WantsBlockmap() || e.Connections() != delta.DefaultParallel {
				t.Errorf("block map: %v, %d connections", e.WantsBlockmap(), e.Connections())
			}
		})
		_, r := m.mustPull()
		if r.Route != "blocks" || (*read == 0) != begin {
			t.Errorf("route %s, %d bytes of the seed read by the pull", r.Route, *read)
		}
	}
}

// TestEarlyKept: a seed is opened early when its recipe is kept, and only then. The recipe is read
// once.
func TestEarlyKept(t *testing.T) {
	m := patched(t, 3, 1)
	inner := m.with
	m.with = func(r *apply.Request) { inner(r); r.Version, r.Channel = "2", "" }
	read := m.watchSeeds()
	m.early(true, func(e *apply.Early) {
		if n := apply.EarlyLeft(e); n != 0 {
			t.Errorf("%d seeds are open whose recipe is not kept", n)
		}
	})
	if _, r, err := m.pull(); err != nil || r.Route != "patch" || *read == 0 {
		t.Fatalf("route %s, %d bytes of the seed read, %v", r.Route, *read, err)
	}

	m.seeds = []string{m.path}
	for _, route := range []delta.Route{"", "whole"} {
		m.with = func(r *apply.Request) { inner(r); r.Route = "" }
		read = m.watchSeeds()
		m.path += "-next"
		m.early(true, func(e *apply.Early) {
			if n := apply.EarlyLeft(e); n != 1 || e.WantsBlockmap() || e.Connections() != 0 {
				t.Errorf("%d seeds; block map: %v, %d connections", n, e.WantsBlockmap(),
					e.Connections())
			}
			if err := os.RemoveAll(filepath.Join(m.state, "recipes")); err != nil {
				t.Error(err)
			}
		})
		with := m.with
		m.with = func(r *apply.Request) { with(r); r.Route = route }
		m.server.Reset()
		_, r := m.mustPull()
		if want := route == "whole"; (r.Route == "whole") != want || *read != 0 {
			t.Errorf("route %s, asked for %q, %d bytes of the seed read", r.Route, route, *read)
		}
		if route == "" { // for the next one
			m.with = inner
			m.path += "-kept"
			m.mustPull()
		}
	}
}

// TestEarlyEnds: early work ends with its context, and when it is closed, whatever the seeds are.
func TestEarlyEnds(t *testing.T) {
	m := newTarget(t)
	if err := os.WriteFile(m.path, []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &apply.Request{
		Seeds:    []string{m.seeds[0], m.path, m.path, m.path + "-none", t.TempDir()},
		StateDir: m.state, Line: delta.Line{Rate: 1e7, RTT: time.Millisecond},
	}
	e := apply.NewEarly(ctx, r)
	e.Begin()
	e.Begin()
	if n := apply.EarlyLeft(e); n != 1 {
		t.Errorf("%d seeds are of use", n)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	cancel()
	e = apply.NewEarly(ctx, r)
	e.Begin()
	if n := apply.EarlyLeft(e); n != 0 {
		t.Errorf("%d seeds are open after the end", n)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if err := (*apply.Early)(nil).Close(); err != nil {
		t.Error(err)
	}
}
