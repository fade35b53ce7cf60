package device_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"deltaup/apply"
	"deltaup/device"
	"deltaup/internal/durable"
	"deltaup/slotboot"
	"deltaup/slotboot/machine"
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

// TestFallback has a release fail three boots: it is given up, not installed again, and the next one is.
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
	u, err := m.prepare(2, device.UpdateOptions{Again: true, DryRun: true})
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

// TestAgain installs a release that was rolled back because somebody insists; marked good, it is forgiven.
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
	u, err := m.prepare(2, device.UpdateOptions{Again: true})
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
	u, err := m.prepare(4, device.UpdateOptions{DryRun: true})
	if err != nil || u.Slot() != "b" {
		t.Fatalf("a is pinned: %v, %v", u.Slot(), err)
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

// TestHeld finds the release in a slot that is not the oldest: nothing is fetched, and nothing lost.
func TestHeld(t *testing.T) {
	m := newTarget(t, "a", "b", "c")
	wantErr(t, m.update(1), device.ErrNothing) // the factory's image gets its version
	for _, version := range []int{2, 3} {
		m.mustUpdate(version)
		m.markGood()
	}
	// The publisher takes 3 back.
	u, err := m.prepare(2, device.UpdateOptions{})
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

func TestRefusals(t *testing.T) {
	t.Run("busy", func(t *testing.T) {
		m := newTarget(t)
		u, err := m.prepare(2, device.UpdateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		wantErr(t, m.update(2), device.ErrBusy)
		if err := u.Close(); err != nil {
			t.Fatal(err)
		}
		if err := m.update(2); err != nil {
			t.Error(err)
		}
	})
	t.Run("slot in doubt", func(t *testing.T) {
		m := newTarget(t)
		m.write("/sys/dev/block/7:0/loop/backing_file", "/data/b.squashfs\n")
		m.write("/data/b.squashfs", "x")
		wantErr(t, m.update(2), machine.ErrOtherSlot)
		if s := m.status(); s.Booted != "" || s.BootedError == "" {
			t.Errorf("got %+v", s)
		}
	})
	t.Run("other machine", func(t *testing.T) {
		m := newTarget(t)
		m.Config.Compatible = "board-b"
		wantErr(t, m.update(2), apply.ErrIncompatible)
	})
	t.Run("slot in use", func(t *testing.T) {
		m := newTarget(t)
		s, err := slotboot.Open(m.path("/data/b.squashfs"), slotboot.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Reserve(1); err != nil {
			t.Fatal(err)
		}
		wantErr(t, m.update(2), slotboot.ErrBusy)
	})
	t.Run("hook", func(t *testing.T) {
		m := newTarget(t)
		m.write("/etc/deltaup/hook.d/10-battery", "#!/bin/sh\n[ \"$DELTAUP_EVENT\" != pre-install ] || { echo battery is low; exit 1; }\n")
		if err := m.update(2); err == nil || !strings.Contains(err.Error(), "10-battery") {
			t.Errorf("got %v", err)
		}
		if s := m.status(); s.Slots[1].State != device.SlotEmpty {
			t.Errorf("the slot was touched: %+v", s.Slots[1])
		}
	})
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

// TestStopped ends an update before each change of the disk in turn, as a failing disk does. Whatever GRUB starts then is whole,
// and the next update succeeds.
func TestStopped(t *testing.T) {
	newWorld(t)
	stopped := errors.New("stopped")
	for n := 0; ; n++ {
		m := newTarget(t)
		steps := 0
		var last durable.Step
		restore := durable.SetHook(func(s durable.Step) error {
			if steps++; steps > n {
				return stopped
			}
			last = s
			return nil
		})
		u, err := m.prepare(2, device.UpdateOptions{Warning: func(string) {}})
		if err == nil {
			_, err = u.Run(t.Context())
			u.Close()
		}
		restore()
		if steps <= n {
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d steps", n)
			return
		}
		if c := m.choose(); c.Slot != "" {
			m.checkWhole(c.Slot)
		} else {
			t.Fatalf("step %d: nothing boots", n+1)
		}
		if err := m.update(2); err != nil && !errors.Is(err, device.ErrReboot) {
			t.Fatalf("after step %d: %v", n+1, err)
		}
		if got := m.reboot(); got != "b" || m.version(got) != "2" {
			t.Fatalf("after step %d (%v): booted %s: %+v", n+1, last, got, m.status())
		}
	}
}

func TestDoctor(t *testing.T) {
	m := newTarget(t)
	levels := func() string {
		text := ""
		for _, f := range m.Doctor() {
			if f.Level != device.Good {
				text += f.Level + ": " + f.What + "\n"
			}
			if f.Level == device.Wrong && f.Advice == "" {
				t.Errorf("no advice: %s", f.What)
			}
		}
		return text
	}
	m.mustUpdate(2)
	m.markGood()
	m.reboot()
	if got := levels(); got != "" {
		t.Errorf("a sound machine:\n%s", got)
	}
	if err := device.Sound(m.Doctor()); err != nil {
		t.Error(err)
	}
	cmdline := m.read(m.path("/proc/cmdline"))
	m.write("/proc/cmdline", strings.Replace(cmdline, "deltaup.env=", "deltaup.env=0", 1))
	if got := levels(); !strings.HasPrefix(got, "wrong: GRUB read another environment block (0") {
		t.Errorf("another block:\n%s", got)
	}
	wantErr(t, device.Sound(m.Doctor()), device.ErrUnsound)
	m.write("/proc/cmdline", "deltaup.slot=b\n")
	if got := levels(); !strings.HasPrefix(got, "unknown: not proved that GRUB reads the same") {
		t.Errorf("no proof:\n%s", got)
	}
	m.write("/proc/cmdline", cmdline)
	if err := os.Remove(m.path("/boot/deltaup/a/initrd.img")); err != nil {
		t.Fatal(err)
	}
	if got := levels(); !strings.Contains(got, "wrong: slot a would be booted and has no ") || !strings.Contains(got, "unknown: there is no slot to fall back to") {
		t.Errorf("no initrd:\n%s", got)
	}
	m.install("a", 1)
	mounts := m.read(m.path("/proc/self/mountinfo"))
	for _, x := range []struct{ old, new, want string }{
		{"vfat", "btrfs", "wrong: /boot/deltaup/grubenv: GRUB cannot write there: GRUB does not write to btrfs"},
		{"xfs /dev/sda2", "tmpfs tmpfs", "wrong: /var/lib/deltaup lies on tmpfs"},
	} {
		m.write("/proc/self/mountinfo", strings.ReplaceAll(mounts, x.old, x.new))
		if got := levels(); got != x.want+"\n" {
			t.Errorf("%s: got\n%s", x.new, got)
		}
	}
	m.write("/proc/self/mountinfo", mounts+"30 21 8:9 / /boot/deltaup/a rw - vfat /dev/sda9 rw\n")
	if got := levels(); !strings.Contains(got, "wrong: slot a: /boot/deltaup/a is on another file system") {
		t.Errorf("two file systems:\n%s", got)
	}
	m.write("/proc/self/mountinfo", mounts)
	m.write("/boot/deltaup/grubenv", "# GRUB Environment Block\n")
	if got := levels(); !strings.HasPrefix(got, "wrong: /boot/deltaup/grubenv: it has 25 bytes, not 1024\n") {
		t.Errorf("a cut block:\n%s", got)
	}
}

// TestSetup is repeated without harm, and refuses what GRUB could not write.
func TestSetup(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	before := m.read(m.path("/boot/deltaup/grubenv"))
	files, err := m.Setup(t.Context(), device.SetupOptions{Whole: m.path("/boot/grub/grub.cfg"), Generator: m.path("/etc/grub.d/42_deltaup")})
	if err != nil || len(files) != 3 {
		t.Fatalf("got %v, %v", files, err)
	}
	if m.read(m.path("/boot/deltaup/grubenv")) != before {
		t.Error("a second setup changed the state")
	}
	for _, path := range []string{"/boot/deltaup/deltaup.cfg", "/boot/grub/grub.cfg", "/etc/grub.d/42_deltaup"} {
		text := m.read(m.path(path))
		for _, want := range []string{"/deltaup/b/vmlinuz", "/deltaup/b/initrd.img", "deltaup.image=LABEL=data:/b.squashfs", "/deltaup/grubenv"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %s", path, want)
			}
		}
	}
	if info, err := os.Stat(m.path("/etc/grub.d/42_deltaup")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("the generator cannot be run: %v", err)
	}
	mounts := m.read(m.path("/proc/self/mountinfo"))
	m.write("/proc/self/mountinfo", strings.Replace(mounts, "vfat", "btrfs", 1))
	_, err = m.Setup(t.Context(), device.SetupOptions{})
	wantErr(t, err, device.ErrUnfit)
}

// TestSetupElsewhere sets a machine up that is not running.
func TestSetupElsewhere(t *testing.T) {
	m := newTarget(t)
	m.write("/proc/cmdline", "quiet\n")
	if err := os.Remove(m.path("/boot/deltaup/grubenv")); err != nil {
		t.Fatal(err)
	}
	_, err := m.Setup(t.Context(), device.SetupOptions{})
	wantErr(t, err, device.ErrNoActive)
	if _, err := m.Setup(t.Context(), device.SetupOptions{Active: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := m.reboot(); got != "a" {
		t.Errorf("booted %s", got)
	}
	_, err = m.Select("both")
	wantErr(t, err, device.ErrNoSlot)
	if fmt.Sprint(m.Config.Slots[1].Name) != "b" {
		t.Error("slots changed")
	}
}
