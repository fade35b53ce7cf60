package trust_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"deltaup/trust"
)

const dayLong = 24 * time.Hour

func TestExpiry(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	m.wants("1")
	s.now = epoch.Add(13 * dayLong)
	m.wants("1")
	s.now = epoch.Add(15 * dayLong)
	if _, err := m.refresh(); !errors.Is(err, trust.ErrExpired) || !strings.Contains(err.Error(), "expired on 2030-01-15 00:00; by this machine's clock it is 2030-01-16 00:00") {
		t.Errorf("the day after: %v", err)
	}
	m.o.Grace = 2 * dayLong
	r, err := m.refresh()
	s.must(err)
	if w := strings.Join(r.Warnings(), "\n"); !strings.Contains(w, "the signed timestamp expired on 2030-01-15") {
		t.Errorf("warnings: %q", w)
	}
	m.o.Grace = time.Hour
	if _, err := m.refresh(); !errors.Is(err, trust.ErrExpired) {
		t.Errorf("beyond the grace: %v", err)
	}
}

// TestSnapshotRefreshed demands that Refresh signs the snapshot again in time, and no more often
// than needed.
func TestSnapshotRefreshed(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	snapshots := map[int64]bool{}
	for range 60 {
		s.now = s.now.Add(5 * dayLong)
		s.refresh()
		m.wants("1")
		roles, _, err := s.open().Keys()
		s.must(err)
		snapshots[roles[2].Version] = true
	}
	if n := len(snapshots); n < 4 || n > 8 {
		t.Errorf("%d snapshots in 300 days", n)
	}
}

// TestNoClock follows a machine whose clock starts in 1970 at each boot.
func TestNoClock(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	m.o.Now = func() time.Time { return time.Unix(100, 0) }
	r, err := m.refresh()
	s.must(err)
	if w := strings.Join(r.Warnings(), "\n"); !strings.Contains(w, "freshness is unproven: this machine's clock says 1970-01-01 00:01, and the publisher signed at 2030-01-01 00:00") {
		t.Errorf("warnings: %q", w)
	}
	before := s.copyOf()
	s.now, s.anyClock = s.now.Add(100*dayLong), true
	s.publish("2", "stable", trust.Info{})
	m.wants("2")
	m.reads(before)
	if _, err := m.refresh(); !errors.Is(err, trust.ErrRollback) {
		t.Errorf("rolled back: %v", err)
	}
	st, err := trust.ReadStatus(m.o.State)
	s.must(err)
	if !st.Signed.Equal(s.now) {
		t.Errorf("the floor is %v, not %v", st.Signed, s.now)
	}
}

// TestClockSetBack demands that setting a clock back does not revive metadata that had expired when
// something newer was signed.
func TestClockSetBack(t *testing.T) {
	s := newSite(t, nil)
	m := s.newTarget()
	m.o.Now = func() time.Time { return epoch }
	s.publish("1", "stable", trust.Info{})
	s.now, s.anyClock = epoch.Add(731*dayLong), true // the root has expired by then
	s.publish("2", "stable", trust.Info{})
	if _, err := m.refresh(); err == nil {
		if _, err = m.refresh(); !errors.Is(err, trust.ErrExpired) {
			t.Errorf("an expired root by the floor: %v", err)
		}
	} else if !errors.Is(err, trust.ErrExpired) {
		t.Error(err)
	}
}

// TestFastForward signs far ahead with a stolen key, and demands that the machine recovers when the
// publisher revokes the key.
func TestFastForward(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	thief := &site{t: t, dir: s.copyOf(), keys: s.keys, now: epoch.Add(10 * dayLong)}
	for range 50 {
		thief.refresh()
	}
	m.reads(thief.dir)
	m.wants("1")
	m.reads(s.dir)
	if _, err := m.refresh(); !errors.Is(err, trust.ErrRollback) {
		t.Fatalf("after the thief's: %v", err)
	}
	s.rotate(trust.Change{Role: "timestamp"})
	m.wants("1")
	st, err := trust.ReadStatus(m.o.State)
	s.must(err)
	if !st.Signed.Equal(epoch) {
		t.Errorf("the floor is %v still", st.Signed)
	}
}
