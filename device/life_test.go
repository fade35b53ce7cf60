package device_test

import (
	"errors"
	"os"
	"testing"

	"deltaup/device"
)

func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// TestLife goes through three releases on two slots.
func TestLife(t *testing.T) {
	m := newTarget(t)
	wantErr(t, m.update(1), device.ErrNothing)
	if err := m.update(2); err != nil {
		t.Fatal(err)
	}
	if s := m.status(); s.Booted != "a" || s.Next != "b" || !s.RebootNeeded || s.TriesLeft != 3 || s.Slots[1].State != device.SlotTrial {
		t.Errorf("installed: %+v", s)
	}
	if text := m.read(m.path("/run/motd.d/50-deltaup")); text != "deltaup: release 2 is installed in slot b and boots at the next restart\n" {
		t.Errorf("notice: %q", text)
	}
	wantErr(t, m.update(2), device.ErrReboot)
	if got := m.reboot(); got != "b" {
		t.Fatalf("booted %s", got)
	}
	if s := m.status(); !s.OnTrial || s.RebootNeeded || s.Booted != "b" {
		t.Errorf("on trial: %+v", s)
	}
	wantErr(t, m.update(3), device.ErrTrial)
	m.markGood()
	if slot, changed, err := m.MarkGood(t.Context()); slot != "b" || changed || err != nil {
		t.Errorf("once more: %s, %v, %v", slot, changed, err)
	}
	wantErr(t, m.update(2), device.ErrNothing)
	if got := m.mustUpdate(3); got != "a" {
		t.Errorf("release 3 went to %s", got)
	}
	m.markGood()
	for _, s := range m.status().Slots {
		if s.State != device.SlotGood {
			t.Errorf("at the end: %+v", s)
		}
	}
}

// TestFallback has a release fail three boots: it is given up, not installed again, and the next
// one is.
func TestFallback(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	m.write("/sys/fs/pstore/dmesg-ramoops-0", "Kernel panic - not syncing: no init\n")
	for range 2 {
		if got := m.reboot(); got != "b" {
			t.Fatalf("booted %s", got)
		}
	}
	if got := m.reboot(); got != "a" {
		t.Fatalf("booted %s, want the fallback", got)
	}
	s := m.status()
	if s.FellBack != "b" || len(s.Failed) != 1 || s.Failed[0].Version != "2" || len(s.Failed[0].Console) != 1 || s.Slots[1].State != device.SlotBad {
		t.Fatalf("after the fallback: %+v", s)
	}
	wantErr(t, m.update(2), device.ErrRolledBack)
	if kept := m.status().Failed; len(kept) != 1 || kept[0].Console[0] != "Kernel panic - not syncing: no init" {
		t.Errorf("kept: %+v", kept)
	}
	// Somebody insists.
	u, err := m.prepare(2, device.InstallOptions{Again: true, DryRun: true})
	if err != nil {
		t.Fatal(err)
	}
	if u.Slot() != "b" || !u.Quote().Current {
		t.Errorf("again: slot %s, %+v", u.Slot(), u.Quote())
	}
	if err := u.Close(); err != nil {
		t.Error(err)
	}
	if got := m.mustUpdate(3); got != "b" {
		t.Errorf("release 3 went to %s", got)
	}
	m.markGood()
	if s := m.status(); len(s.Failed) != 1 || s.FellBack != "" {
		t.Errorf("at the end: %+v", s)
	}
}

// TestAgain installs a release that was rolled back because somebody insists; marked good, it is
// forgiven.
func TestAgain(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	if slot, err := m.Rollback(t.Context(), ""); slot != "a" || err != nil {
		t.Fatalf("rollback: %s, %v", slot, err)
	}
	if got := m.reboot(); got != "a" {
		t.Fatalf("booted %s", got)
	}
	wantErr(t, m.update(2), device.ErrRolledBack)
	u, err := m.prepare(2, device.InstallOptions{Again: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	if got := m.reboot(); got != "b" {
		t.Fatalf("booted %s", got)
	}
	m.markGood()
	if s := m.status(); len(s.Failed) != 0 {
		t.Errorf("still failed: %+v", s.Failed)
	}
}

// TestCheck runs health checks, whose failure is remembered with what the check printed.
func TestCheck(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	m.write("/etc/deltaup/check.d/wanted.d/10-time", "#!/bin/sh\nexit 1\n")
	m.write("/etc/deltaup/check.d/required.d/10-fine", "#!/bin/sh\n[ \"$DELTAUP_SLOT\" = b ]\n")
	if h, err := m.Check(t.Context()); err != nil || len(h.Required) != 1 || len(h.Wanted) != 1 || h.Wanted[0].Err == nil {
		t.Errorf("only a wanted one fails: %+v, %v", h, err)
	}
	m.write("/etc/deltaup/check.d/required.d/20-net", "#!/bin/sh\necho no route to the mirror\nexit 7\n")
	_, err := m.Check(t.Context())
	wantErr(t, err, device.ErrUnhealthy)
	if err := m.MarkBad(t.Context(), "b", err.Error()); err != nil {
		t.Fatal(err)
	}
	if s := m.status(); !s.RebootNeeded || s.Next != "a" {
		t.Errorf("marked bad: %+v", s)
	}
	if got := m.reboot(); got != "a" {
		t.Fatalf("booted %s", got)
	}
	s := m.status()
	want := "a required check failed: 20-net: exit status 7: no route to the mirror"
	if len(s.Failed) != 1 || s.Failed[0].Reason != want {
		t.Errorf("failed: %+v, want %q", s.Failed, want)
	}
	wantErr(t, m.update(2), device.ErrRolledBack)
}

// TestHooks are told of everything that happens, in order.
func TestHooks(t *testing.T) {
	m := newTarget(t)
	m.write("/etc/deltaup/hook.d/log", "#!/bin/sh\necho \"$DELTAUP_EVENT $DELTAUP_SLOT $DELTAUP_VERSION $DELTAUP_BOOTED $DELTAUP_REASON\" >>$DELTAUP_ROOT/log\n")
	m.mustUpdate(2)
	m.markGood()
	m.mustUpdate(3)
	if err := m.MarkBad(t.Context(), "a", "too slow"); err != nil {
		t.Fatal(err)
	}
	m.reboot()
	m.mustUpdate(4)
	for range 3 {
		m.reboot()
	}
	if err := m.Observe(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := `pre-install b 2 a 
post-install b 2 a 
good b 2 b 
pre-install a 3 b 
post-install a 3 b 
bad a 3 a too slow
pre-install a 4 b 
post-install a 4 b 
fallback a 4 b it was not marked good in any of its boots
`
	if got := m.read(m.path("/log")); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestHookFails: a hook that fails is told, and keeps nothing from being done but an installation.
func TestHookFails(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	m.write("/etc/deltaup/hook.d/fails", "#!/bin/sh\nexit 1\n")
	var failed *device.HookError
	if slot, changed, err := m.MarkGood(t.Context()); slot != "b" || !changed || !errors.As(err, &failed) {
		t.Errorf("mark good: %s, %v, %v", slot, changed, err)
	}
	if s := m.status(); s.OnTrial || s.Slots[1].State != device.SlotGood {
		t.Errorf("marked good: %+v", s)
	}
	if err := m.update(3); !errors.As(err, &failed) {
		t.Errorf("update: %v", err)
	}
	if err := os.Remove(m.path("/etc/deltaup/hook.d/fails")); err != nil {
		t.Fatal(err)
	}
	m.mustUpdate(3)
	m.write("/etc/deltaup/hook.d/fails", "#!/bin/sh\nexit 1\n")
	slot, err := m.Rollback(t.Context(), "")
	if slot != "b" || !errors.As(err, &failed) {
		t.Errorf("rollback: %q, %v", slot, err)
	}
	if text := m.read(m.path("/run/reboot-required")); text != "deltaup: slot b boots at the next restart\n" {
		t.Errorf("notice: %q", text)
	}
	if err := m.MarkBad(t.Context(), "a", "again"); !errors.As(err, &failed) {
		t.Errorf("mark bad: %v", err)
	}
}
