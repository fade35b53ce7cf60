package trust_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"deltaup/internal/test/durabletest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/trust"
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	// Everything here is synced again and again, which would take all the time on a busy disk.
	if dir, err := os.MkdirTemp("/dev/shm", "deltaup-trust"); err == nil {
		defer os.RemoveAll(dir)
		os.Setenv("TMPDIR", dir)
	}
	return m.Run()
}

// crashes cuts the power before each step of work, on a copy of a site, and calls after with what
// is left: once with a disk that keeps nothing unsynced, once with a disk that keeps everything.
func crashes(t *testing.T, s *site, work func(*site) error, after func(*site)) {
	t.Helper()
	for _, keep := range []bool{false, true} {
		steps := 0
		for n := 1; ; n++ {
			dir := t.TempDir()
			c := *s
			c.dir, c.keys = filepath.Join(dir, "mirror"), filepath.Join(dir, "keys")
			copyTree(t, c.dir, s.dir)
			copyTree(t, c.keys, s.keys)
			cut := durabletest.CrashAt(t, n)
			err := work(&c)
			over := false
			if keep {
				over = !cut.Keep()
			} else {
				over = !cut.Restart()
			}
			if over {
				s.must(err)
				break
			}
			if !errors.Is(err, durabletest.ErrCrash) {
				t.Fatalf("step %d: %v", n, err)
			}
			after(&c)
			s.must(os.RemoveAll(dir))
			steps++
		}
		if steps < 5 {
			t.Errorf("the work took %d steps", steps)
		}
	}
}

// wantBundle demands that the timestamp leads to a bundle that is there and right.
func (m *target) wantBundle(version string) {
	m.t.Helper()
	m.o.State, m.o.Channel = m.t.TempDir(), "stable"
	r, err := m.refresh()
	if err != nil {
		m.t.Fatal(err)
	}
	if r.Bundled(mirror.ReleasePath(version)) == nil {
		m.t.Fatalf("no bundle has release %s: %q", version, r.Warnings())
	}
}

// TestPublishCrash demands that a reader finds either the old state or the new one, each with its
// bundle, and that publishing again succeeds.
func TestPublishCrash(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	seen := map[string]int{}
	crashes(t, s, func(c *site) error { return c.tryPublish("2", "stable", trust.Info{}) }, func(c *site) {
		m := c.newTarget()
		v := m.newest()
		if v != "1" && v != "2" {
			t.Fatalf("stable points to %s", v)
		}
		seen[v]++
		m.wantBundle(v)
		s.must(trust.Check(context.Background(), folder.At(c.dir)))
		c.publish("2", "stable", trust.Info{})
		m.wants("2")
		m.wantBundle("2")
	})
	if seen["1"] == 0 || seen["2"] == 0 {
		t.Errorf("readers saw %v", seen)
	}
}

// TestRotateCrash demands that readers with the old root and with the newest root find a valid
// state, and that replacing the keys again succeeds.
func TestRotateCrash(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	old := s.newTarget()
	for _, role := range trust.Roles {
		t.Run(role, func(t *testing.T) {
			change := trust.Change{Role: role, Passphrase: passphrase, Work: 1}
			crashes(t, s, func(c *site) error { return c.open().Rotate(context.Background(), change) }, func(c *site) {
				m := *old
				m.o.State = t.TempDir()
				m.reads(c.dir)
				m.wants("1")
				c.newTarget().wants("1")
				c.newTarget().wantBundle("1")
				s.must(trust.Check(context.Background(), folder.At(c.dir)))
				s.must(c.open().Rotate(context.Background(), change))
				m.wants("1")
				c.publish("2", "stable", trust.Info{})
				m.wants("2")
			})
		})
	}
}

// TestInitCrash demands that an interrupted first signing either is complete or can be made anew.
func TestInitCrash(t *testing.T) {
	s := newSite(t, nil)
	s.must(os.RemoveAll(s.dir))
	s.must(os.RemoveAll(s.keys))
	s.must(os.MkdirAll(s.dir, 0o755))
	s.must(os.MkdirAll(s.keys, 0o755))
	how := trust.InitOptions{Passphrase: passphrase, Work: 1}
	crashes(t, s, func(c *site) error { _, err := trust.Init(context.Background(), c.options(), how); return err }, func(c *site) {
		if _, err := trust.Init(context.Background(), c.options(), how); err != nil && !errors.Is(err, trust.ErrInitialized) {
			t.Fatal(err)
		}
		c.publish("1", "stable", trust.Info{})
		c.newTarget().wants("1")
	})
}

// TestRefreshCrash cuts the power while a target writes down what it trusts.
func TestRefreshCrash(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	base := s.newTarget()
	base.wants("1")
	before := s.copyOf()
	s.rotate(trust.Change{Role: "targets"})
	s.publish("2", "stable", trust.Info{})
	for _, keep := range []bool{false, true} {
		for n := 1; ; n++ {
			m := *base
			m.o.State = filepath.Join(t.TempDir(), "state")
			copyTree(t, m.o.State, base.o.State)
			m.reads(s.dir)
			cut := durabletest.CrashAt(t, n)
			_, err := m.refresh()
			over := false
			if keep {
				over = !cut.Keep()
			} else {
				over = !cut.Restart()
			}
			if over {
				s.must(err)
				if n < 15 {
					t.Errorf("a refresh took %d steps", n)
				}
				break
			}
			if !errors.Is(err, durabletest.ErrCrash) {
				t.Fatalf("step %d: %v", n, err)
			}
			m.wants("2")
			m.reads(before)
			if _, err := m.refresh(); !errors.Is(err, trust.ErrRollback) && !errors.Is(err, trust.ErrSignature) {
				t.Fatalf("step %d: the old state afterwards: %v", n, err)
			}
		}
	}
}
