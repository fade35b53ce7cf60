package device_test

import (
	"errors"
	"os"
	"testing"

	"deltaup/device"
	"deltaup/slotboot/counted"
)

// TestOlder keeps three releases on three slots and goes back to each.
func TestOlder(t *testing.T) {
	m := newTarget(t, "a", "b", "c")
	for _, x := range []struct {
		version int
		slot    string
	}{{2, "b"}, {3, "c"}} {
		if got := m.mustUpdate(x.version); got != x.slot {
			t.Fatalf("release %d went to %s", x.version, got)
		}
		m.markGood()
	}
	slot, err := m.Rollback(t.Context(), "")
	if slot != "b" || err != nil {
		t.Fatalf("rollback: %s, %v", slot, err)
	}
	if got := m.reboot(); got != "b" {
		t.Fatalf("booted %s", got)
	}
	m.markGood()
	wantErr(t, m.update(3), device.ErrRolledBack)
	if _, err := m.Rollback(t.Context(), "7"); !errors.Is(err, device.ErrNoSlot) {
		t.Errorf("to a release that is nowhere: %v", err)
	}
	if slot, err := m.Rollback(t.Context(), "3"); slot != "c" || err != nil {
		t.Errorf("forward again: %s, %v", slot, err)
	}
	if got := m.reboot(); got != "c" {
		t.Fatalf("booted %s", got)
	}
	m.markGood()
	// The oldest is overwritten, unless it is pinned.
	if err := m.Pin("a", true); err != nil {
		t.Fatal(err)
	}
	u, err := m.prepare(4, device.InstallOptions{DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := u.Slot(); got != "b" {
		t.Errorf("a is pinned: %s", got)
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if err := m.Pin("b", true); err != nil {
		t.Fatal(err)
	}
	wantErr(t, m.update(4), device.ErrNoSlot)
	if err := m.Pin("a", false); err != nil {
		t.Fatal(err)
	}
	if got := m.mustUpdate(4); got != "a" {
		t.Errorf("release 4 went to %s", got)
	}
}

// TestRollbackGivenUp goes back while the active slot is one that the initramfs has given up: to
// that slot on trial, and from a trial to the one that boots in its place.
func TestRollbackGivenUp(t *testing.T) {
	for _, x := range []struct{ version, want string }{{"3", "c"}, {"", "a"}} {
		m := newTarget(t, "a", "b", "c")
		for version := 2; version <= 3; version++ {
			m.mustUpdate(version)
			m.markGood()
		}
		m.fails("c", counted.FaultImage)
		if got := m.reboot(); got != "a" {
			t.Fatalf("booted %s", got)
		}
		if x.version == "" {
			if err := m.Pin("c", true); err != nil {
				t.Fatal(err)
			}
			if got := m.mustUpdate(4); got != "b" {
				t.Fatalf("release 4 went to %s", got)
			}
		}
		if slot, err := m.Rollback(t.Context(), x.version); err != nil || slot != x.want {
			t.Errorf("to %q: %s, %v", x.version, slot, err)
		}
		if got := m.reboot(); got != x.want {
			t.Errorf("to %q: booted %s", x.version, got)
		}
	}
}

// TestHeld finds the release in a slot that is not the oldest: nothing is fetched, and nothing
// lost.
func TestHeld(t *testing.T) {
	m := newTarget(t, "a", "b", "c")
	wantErr(t, m.update(1), device.ErrNothing) // the factory's image gets its version
	for _, version := range []int{2, 3} {
		m.mustUpdate(version)
		m.markGood()
	}
	// The publisher takes 3 back.
	u, err := m.prepare(2, device.InstallOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if q := u.Quote(); u.Slot() != "b" || q.Bytes != 0 || !q.Current {
		t.Errorf("slot %s, %+v", u.Slot(), q)
	}
	if _, err := u.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	if got := m.reboot(); got != "b" || m.version("b") != "2" || m.version("a") != "1" {
		t.Errorf("booted %s", got)
	}
}

func TestMarkActive(t *testing.T) {
	m := newTarget(t)
	wantErr(t, m.MarkActive(t.Context(), "b"), device.ErrNotWhole)
	wantErr(t, m.MarkActive(t.Context(), "z"), device.ErrNoSlot)
	m.mustUpdate(2)
	if err := m.MarkBad(t.Context(), "b", "by hand"); err != nil {
		t.Fatal(err)
	}
	if got := m.reboot(); got != "a" {
		t.Fatalf("booted %s", got)
	}
	slot, err := m.Select("other")
	if slot != "b" || err != nil {
		t.Fatalf("other: %s, %v", slot, err)
	}
	if err := m.MarkActive(t.Context(), slot); err != nil {
		t.Fatal(err)
	}
	if s := m.status(); s.Next != "b" || len(s.Failed) != 0 || !s.RebootNeeded {
		t.Errorf("got %+v", s)
	}
	if err := m.MarkActive(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if s := m.status(); s.Next != "a" || s.RebootNeeded {
		t.Errorf("back: %+v", s)
	}
	if _, err := os.Stat(m.path("/run/motd.d/50-deltaup")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the notice is still there: %v", err)
	}
}

// TestLastGood does not let go of the only slot that boots.
func TestLastGood(t *testing.T) {
	m := newTarget(t)
	if err := m.MarkBad(t.Context(), "a", "why not"); err == nil {
		t.Error("marked the last good slot bad")
	}
	if s := m.status(); len(s.Failed) != 0 || s.Next != "a" {
		t.Errorf("got %+v", s)
	}
	_, err := m.Rollback(t.Context(), "")
	wantErr(t, err, device.ErrNoSlot)
}
