package device_test

import (
	"errors"
	"strings"
	"testing"

	"deltaup/device"
	"deltaup/internal/test/grubtest"
	"deltaup/internal/test/loadertest"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/loader"
	"deltaup/slotboot/machine"
)

// TestUnknownLoader names the loaders that there are.
func TestUnknownLoader(t *testing.T) {
	m := newTarget(t)
	m.write(config.Places[0], "[boot]\nloader = \"lilo\"\n"+m.read(m.path(config.Places[0]))[len("compatible = \"board-a\"\n"):])
	for want, known := range map[string]device.Loaders{
		"only grub is":        loaders,
		"known are grub, x":   {"grub": loaders["grub"], "x": loaders["grub"]},
		`"lilo" is not known`: {"lil": loaders["grub"]},
	} {
		_, err := device.Open(m.root, "", known)
		var wrong *config.Error
		if !errors.As(err, &wrong) || wrong.Key != "boot.loader" || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestOtherLoader goes through an update, a mark and a fallback with a boot loader that is not
// GRUB.
func TestOtherLoader(t *testing.T) {
	m := newTarget(t)
	m.remove("/boot/deltaup/grubenv", "/boot/deltaup/deltaup.cfg", "/var")
	m.write(config.Places[0], "[boot]\nloader = \"toy\"\n"+m.read(m.path(config.Places[0]))[len("compatible = \"board-a\"\n"):])
	var toy *loadertest.Toy
	d, err := device.Open(m.root, "", device.Loaders{"toy": func(m machine.Machine, c *config.Config) (device.Loader, error) {
		toy = loadertest.NewToy(m, c)
		return toy, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	m.Device = d
	reboot := func(want loadertest.Started) {
		t.Helper()
		got := toy.Boot(m.loads())
		if got != want {
			t.Fatalf("booted %+v, want %+v", got, want)
		}
		m.runs(grubtest.Choice{Slot: got.Slot, Trial: got.Trial, FellBack: got.FellBack})
		m.checkWhole(got.Slot)
	}
	if s := m.status(); !strings.Contains(s.BlockError, "no such file") {
		t.Errorf("before the setup: %+v", s)
	}
	if files, err := m.Setup(t.Context(), device.SetupOptions{}); err != nil || len(files) != 1 || files[0] != toy.Path() {
		t.Fatalf("setup: %q, %v", files, err)
	}
	if err := m.update(2); err != nil {
		t.Fatal(err)
	}
	reboot(loadertest.Started{Slot: "b", Trial: true})
	m.markGood()
	if err := m.update(3); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		reboot(loadertest.Started{Slot: "a", Trial: true})
	}
	reboot(loadertest.Started{Slot: "b", FellBack: "a"})
	if s := m.status(); s.FellBack != "a" || s.Booted != "b" || len(s.Failed) != 1 {
		t.Errorf("fell back: %+v", s)
	}
	wantErr(t, m.update(3), device.ErrRolledBack)
	if err := device.Sound(m.Doctor()); err != nil {
		t.Errorf("%v: %+v", err, m.Doctor())
	}
	// No word of GRUB.
	if _, err := toy.Change(t.Context(), func(s counted.State) (counted.State, error) {
		s.Ended = counted.Unloadable
		return s, nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, f := range m.Doctor() {
		if strings.Contains(f.What+f.Advice, "GRUB") {
			t.Errorf("the doctor says %+v", f)
		}
	}
	m.write("/var/lib/deltaup/toy.json", "{")
	wantErr(t, m.update(3), loader.ErrDamaged)
}
