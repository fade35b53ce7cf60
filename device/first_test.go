package device_test

import (
	"errors"
	"strings"
	"testing"

	"deltaup/device"
	"deltaup/internal/test/durabletest"
	"deltaup/slotboot/loader"
)

// newEmpty is a machine that an installer has booted: no slot runs, and none holds anything.
func newEmpty(t *testing.T) *target {
	m := newTarget(t)
	m.remove("/boot", "/var", "/data", "/run")
	m.write("/data/.keep", "")
	m.write("/proc/cmdline", "quiet\n")
	return m
}

// checkFirst demands that slot a boots, with version 2, and that it is not on trial: there is
// nothing to fall back to.
func (m *target) checkFirst() {
	m.t.Helper()
	c := m.choose()
	if c.Slot != "a" || c.Trial || c.FellBack != "" {
		m.t.Fatalf("GRUB chooses %+v", c)
	}
	m.checkWhole("a")
	if got := m.version("a"); got != "2" {
		m.t.Errorf("slot a has version %s", got)
	}
	if s := m.status(); s.Next != "a" || !s.Slots[0].Active {
		m.t.Errorf("status: %+v", s)
	}
}

// TestBeforeSetup: what an empty machine is told leads to its setup, and is told once.
func TestBeforeSetup(t *testing.T) {
	m := newEmpty(t)
	for _, f := range m.Doctor() {
		if strings.Contains(f.Advice, "mark-bad") {
			t.Errorf("%s -> %s, for which there has to be a state", f.What, f.Advice)
		}
	}
	_, err := m.Notice(t.Context())
	wantErr(t, err, loader.ErrNone)
	if n := strings.Count(err.Error(), "no environment block"); n != 1 {
		t.Errorf("told %d times: %v", n, err)
	}
}

// TestFirstInstallation sets an empty machine up in both orders, and nobody names a slot.
func TestFirstInstallation(t *testing.T) {
	for _, order := range []string{"setup, install", "install, setup"} {
		t.Run(order, func(t *testing.T) {
			m := newEmpty(t)
			setup := func() {
				t.Helper()
				if err := m.setup(); err != nil {
					t.Fatal(err)
				}
			}
			if order == "setup, install" {
				setup()
				if s := m.status(); s.BlockError != "" || s.Next != "" || s.Slots[0].State != device.SlotEmpty || s.Slots[1].State != device.SlotEmpty {
					t.Errorf("status before: %+v", s)
				}
				if err := device.Sound(m.Doctor()); err != nil {
					t.Errorf("doctor before: %v", err)
				}
				setup()
			}
			if err := m.update(2); err != nil {
				t.Fatal(err)
			}
			m.checkFirst()
			if order == "install, setup" {
				setup()
				m.checkFirst()
			}
			// Without a reboot in between: the second slot is on trial, with the first to fall back
			// to.
			if err := m.update(3); err != nil {
				t.Fatal(err)
			}
			if c := m.choose(); c.Slot != "b" || !c.Trial {
				t.Errorf("GRUB chooses %+v", c)
			}
			if got := m.reboot(); got != "b" {
				t.Errorf("booted %s", got)
			}
			m.markGood()
		})
	}
}

// TestFirstInstallationCut cuts the power in a first installation without a block, then goes on.
func TestFirstInstallationCut(t *testing.T) {
	m := newEmpty(t)
	was := m.tree()
	for n := 1; ; n += 3 {
		m.restore(was)
		crash := durabletest.CrashAt(t, n)
		err := func() error {
			u, err := m.prepare(2, device.InstallOptions{})
			if err != nil {
				return err
			}
			defer u.Close()
			_, err = u.Run(t.Context())
			return err
		}()
		if !crash.Keep() {
			break
		}
		if err == nil {
			continue // what failed came behind the activation, and was only warned of
		}
		if err := m.update(2); err != nil && !errors.Is(err, device.ErrReboot) {
			t.Fatalf("step %d, again: %v", n, err)
		}
		m.checkFirst()
		if err := m.setup(); err != nil {
			t.Fatalf("step %d, setup: %v", n, err)
		}
	}
}

// TestFirstActive takes no slot to boot at first that holds nothing, and leaves nothing behind.
func TestFirstActive(t *testing.T) {
	m := newEmpty(t)
	was := len(m.tree())
	_, err := m.Setup(t.Context(), device.SetupOptions{Active: "a"})
	wantErr(t, err, device.ErrNotWhole)
	_, err = m.Setup(t.Context(), device.SetupOptions{Active: "z"})
	wantErr(t, err, device.ErrNoSlot)
	if now := len(m.tree()); now != was {
		t.Errorf("%d files, were %d", now, was)
	}
	// Somebody else fills b: it must be named, and then is what boots.
	m.install("b", 1)
	_, err = m.Setup(t.Context(), device.SetupOptions{})
	wantErr(t, err, device.ErrNoActive)
	if err := m.update(2); !errors.Is(err, loader.ErrNone) {
		t.Errorf("an installation beside a slot that nobody knows: %v", err)
	}
	if _, err := m.Setup(t.Context(), device.SetupOptions{Active: "b"}); err != nil {
		t.Fatal(err)
	}
	// Even where a slot is active already, a misspelt name is no silent success.
	_, err = m.Setup(t.Context(), device.SetupOptions{Active: "z"})
	wantErr(t, err, device.ErrNoSlot)
	if got := m.reboot(); got != "b" {
		t.Errorf("booted %s", got)
	}
}

// TestNoPlace ends an installation before anything is fetched when GRUB could not write the block.
func TestNoPlace(t *testing.T) {
	m := newEmpty(t)
	m.write("/proc/self/mountinfo", "20 1 0:30 / / rw - overlay overlay rw\n")
	wantErr(t, m.update(2), loader.ErrUnfit)
}

// TestBlockDamaged follows the doctor's advice on each damaged block.
func TestBlockDamaged(t *testing.T) {
	for name, damage := range map[string]string{
		"empty": "", "zeros": string(make([]byte, 1024)), "short": "# GRUB Environment Block\n##", "missing": "-",
		"no variables": block(""),
	} {
		t.Run(name, func(t *testing.T) {
			m := newTarget(t)
			m.mustUpdate(2)
			m.markGood()
			if damage == "-" {
				m.remove("/boot/deltaup/grubenv")
			} else {
				m.write("/boot/deltaup/grubenv", damage)
			}
			s := m.status()
			if (s.BlockError == "") != (name == "no variables") || s.Booted != "b" || len(s.Slots) != 2 || s.Slots[1].Version != "2" {
				t.Errorf("status: %+v", s)
			}
			advised := false
			for _, f := range m.Doctor() {
				advised = advised || f.Level == loader.Wrong && (f.Advice == "deltaup boot setup mends it" || f.Advice == "deltaup boot setup makes it" || f.Advice == "deltaup mark-active b")
			}
			if !advised {
				t.Errorf("doctor: %+v", m.Doctor())
			}
			if err := m.update(3); name != "no variables" && !errors.Is(err, loader.ErrDamaged) && !errors.Is(err, loader.ErrNone) {
				t.Errorf("update: %v", err)
			}
			if _, err := m.Setup(t.Context(), device.SetupOptions{}); err != nil {
				t.Fatal(err)
			}
			if got := m.reboot(); got != "b" {
				t.Errorf("booted %s", got)
			}
			if err := device.Sound(m.Doctor()); err != nil {
				t.Errorf("%v: %+v", err, m.Doctor())
			}
		})
	}
}
