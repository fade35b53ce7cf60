package device_test

import (
	"os"
	"strings"
	"testing"

	"deltaup/device"
	"deltaup/slotboot/loader"
)

func TestDoctor(t *testing.T) {
	m := newTarget(t)
	levels := func() string {
		text := ""
		for _, f := range m.Doctor() {
			if f.Level != loader.Good {
				text += string(f.Level) + ": " + f.What + "\n"
			}
			if f.Level == loader.Wrong && f.Advice == "" {
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

// TestDamaged spoils files of slots that GRUB would start all the same: the doctor tells, and what
// it advises helps.
func TestDamaged(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	m.markGood()
	wrong := func() (told []string) {
		for _, f := range m.Doctor() {
			if f.Level == loader.Wrong {
				told = append(told, f.What+" -> "+f.Advice)
			}
		}
		return told
	}
	for _, file := range []string{"vmlinuz", "initrd.img"} {
		// one that a factory filled, and one that an update did
		for _, slot := range []string{"a", "b"} {
			path := "/boot/deltaup/" + slot + "/" + file
			whole := m.read(m.path(path))
			for _, damage := range []string{whole[:len(whole)/2], strings.ToUpper(whole)} {
				m.write(path, damage)
				told := wrong()
				if len(told) != 1 || !strings.Contains(told[0], file+" is not what was installed") || !strings.Contains(told[0], "deltaup mark-") {
					t.Errorf("%s damaged: %q", path, told)
				}
				wantErr(t, m.MarkActive(t.Context(), slot), device.ErrNotWhole)
			}
			m.write(path, whole)
		}
	}
	if told := wrong(); len(told) > 0 {
		t.Fatalf("whole again: %q", told)
	}
	path := "/boot/deltaup/b/initrd.img"
	m.write(path, m.read(m.path(path))[:99])
	if err := m.MarkActive(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if got := m.reboot(); got != "a" {
		t.Fatalf("booted %s", got)
	}
	if got := m.mustUpdate(2); got != "b" {
		t.Errorf("release 2 went to %s", got)
	}
}
