package trust_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"deltaup/trust"
)

// TestPublisherClock demands that each way of signing compares the clock with the last signature.
func TestPublisherClock(t *testing.T) {
	year := 365 * dayLong
	acts := map[string]func(s *site) error{
		"publish": func(s *site) error { return s.tryPublish("2", "stable", trust.Info{}) },
		"refresh": func(s *site) error { return s.open().Refresh(context.Background()) },
		"rotate":  func(s *site) error { return s.open().Rotate(context.Background(), trust.Change{}) },
		"ready":   func(s *site) error { return s.open().Ready() },
	}
	for _, c := range []struct {
		what   string
		by     time.Duration
		refuse string
	}{
		{"at once", 0, ""},
		{"another machine, a little behind", -5 * time.Minute, ""},
		{"a month of silence", 31 * dayLong, ""},
		{"as long as a snapshot holds", 90 * dayLong, ""},
		{"longer", 91 * dayLong, "it says 2030-04-02 00:00, and nothing was signed since root 1 on 2030-01-01 00:00, for 91 days"},
		{"14 years ahead", 14 * year, "it says 2043-12-29 00:00, and nothing was signed since root 1"},
		{"an hour back", -time.Hour, "it says 2029-12-31 23:00, and root 1 was signed later, on 2030-01-01 00:00"},
		{"1970", time.Unix(0, 0).Sub(epoch), "it says 1970-01-01 00:00"},
	} {
		for act, do := range acts {
			s := newSite(t, nil)
			s.now = epoch.Add(c.by)
			before := s.read("metadata/timestamp.json")
			err := do(s)
			switch {
			case c.refuse == "" && err != nil:
				t.Errorf("%s, %s: %v", c.what, act, err)
			case c.refuse != "" && (!errors.Is(err, trust.ErrClock) || !strings.Contains(err.Error(), c.refuse)):
				t.Errorf("%s, %s: %v; want %q", c.what, act, err, c.refuse)
			case c.refuse != "" && s.read("metadata/timestamp.json") != before:
				t.Errorf("%s, %s: something was signed", c.what, act)
			}
			s.anyClock = true
			if err := do(s); err != nil {
				t.Errorf("%s, %s, as somebody insists: %v", c.what, act, err)
			}
		}
	}
}

// TestInitClock: before the first signature only firstDay can show that a clock is wrong.
func TestInitClock(t *testing.T) {
	s := &site{t: t, dir: t.TempDir() + "/mirror", keys: t.TempDir() + "/keys", now: time.Unix(1000, 0)}
	how := trust.InitOptions{Passphrase: passphrase, Work: 1}
	if _, err := trust.Init(context.Background(), s.options(), how); !errors.Is(err, trust.ErrClock) {
		t.Errorf("in 1970: %v", err)
	}
	s.now = epoch
	_, err := trust.Init(context.Background(), s.options(), how)
	s.must(err)
}

// TestLeap shows a machine what a publisher signed by a clock 14 years ahead, by each way of
// signing, and then sets the clock right. Signing again must be all that it takes, and the snapshot
// must hold no longer than it should.
func TestLeap(t *testing.T) {
	for what, act := range map[string]func(s *site){
		"publish": func(s *site) { s.publish("2", "stable", trust.Info{}) },
		"refresh": func(s *site) { s.refresh() },
		"rotate":  func(s *site) { s.rotate(trust.Change{Role: "snapshot"}) },
	} {
		t.Run(what, func(t *testing.T) {
			s := newSite(t, nil)
			s.publish("1", "stable", trust.Info{})
			m := s.newTarget()
			m.wants("1")
			right := epoch.Add(dayLong)
			m.o.Now = func() time.Time { return right }
			s.now, s.anyClock = epoch.Add(14*365*dayLong), true
			act(s)
			if _, err := m.refresh(); err != nil && !errors.Is(err, trust.ErrExpired) {
				t.Fatalf("while the clock is ahead: %v", err)
			}
			if _, err := m.refresh(); !errors.Is(err, trust.ErrExpired) || !strings.Contains(err.Error(), "2043-12-29 00:00 by the publisher's clock") {
				t.Fatalf("while the clock is ahead: %v", err)
			}
			s.now, s.anyClock = right, false
			if err := s.open().Refresh(context.Background()); !errors.Is(err, trust.ErrClock) {
				t.Fatalf("nobody has looked at the clock: %v", err)
			}
			s.anyClock = true
			if what == "rotate" { // the wrong clock signs a root as well
				s.rotate(trust.Change{})
			} else {
				s.refresh()
			}
			if _, err := m.refresh(); err != nil {
				t.Fatalf("after the clock was set: %v", err)
			}
			roles, _, err := s.open().Keys()
			s.must(err)
			if got := roles[2].Expires.Sub(right); got > 90*dayLong {
				t.Errorf("the snapshot holds for %v", got)
			}
			s.anyClock = false
			s.now = right.Add(dayLong)
			s.refresh()
			st, err := trust.ReadStatus(m.o.State)
			s.must(err)
			if !st.Signed.Equal(right) {
				t.Errorf("the floor is %v", st.Signed)
			}
		})
	}
}

// TestSignedAfterExpiry demands that a signed time after the file's own expiry leaves the floor
// where it is.
func TestSignedAfterExpiry(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	m.wants("1")
	s.forgeTimestamp(func(t *timestamp) { t.UnrecognizedFields["x-signed"] = "2044-01-01T00:00:00Z" })
	m.wants("1")
	m.wants("1")
	st, err := trust.ReadStatus(m.o.State)
	s.must(err)
	if !st.Signed.Equal(epoch) {
		t.Errorf("the floor is %v", st.Signed)
	}
	s.now = epoch.Add(dayLong)
	s.refresh() // the publisher ignores it too
}
