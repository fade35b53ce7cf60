package device_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"deltaup/device"
)

// TestVet: an image that somebody refuses stays in its slot, which does not boot. The same update
// fetches and writes nothing again when it is not refused any more.
func TestVet(t *testing.T) {
	m := newTarget(t)
	refused := errors.New("refused")
	seen := ""
	run := func(err error) error {
		t.Helper()
		u, prepareErr := m.prepare(2, device.InstallOptions{Vet: func(_ context.Context, image string) error {
			seen = m.read(image)
			return err
		}})
		if prepareErr != nil {
			t.Fatal(prepareErr)
		}
		_, err = u.Run(t.Context())
		if closeErr := u.Close(); closeErr != nil {
			t.Error(closeErr)
		}
		return err
	}
	for range 2 {
		seen = ""
		wantErr(t, run(refused), refused)
		if !strings.HasPrefix(seen, m.read(m.w.image[1])) {
			t.Error("it saw another image")
		}
		if s := m.status(); s.Next != "a" || s.Slots[1].State != device.SlotUnfinished {
			t.Errorf("%s boots next, slot b is %s", s.Next, s.Slots[1].State)
		}
		if slot := m.choose().Slot; slot != "a" {
			t.Errorf("slot %s would boot", slot)
		}
	}
	u, err := m.prepare(2, device.InstallOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !u.Quote().Current {
		t.Error("the image is to be made again")
	}
	if _, err := u.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	if slot := m.reboot(); slot != "b" {
		t.Errorf("slot %s boots", slot)
	}
}

// TestOthers: what others know of a boot is in the notice, with what deltaup knows itself.
func TestOthers(t *testing.T) {
	m := newTarget(t)
	lines := []string{"one setting\x1b[2J is in conflict"}
	m.Others = func(context.Context) []string { return lines }
	motd := m.path("/run/motd.d/50-deltaup")
	told, err := m.Notice(t.Context())
	if err != nil || len(told) != 1 {
		t.Fatalf("%q, %v", told, err)
	}
	if got := m.read(motd); got != "deltaup: one setting [2J is in conflict\n" {
		t.Errorf("the notice is %q", got)
	}
	lines = nil
	if err := m.RefreshNotice(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(motd); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the notice is still there: %v", err)
	}
	lines = []string{"again"}
	if err := m.update(2); err != nil {
		t.Fatal(err)
	}
	if got := m.read(motd); !strings.Contains(got, "release 2 is installed") || !strings.HasSuffix(got, "\ndeltaup: again\n") {
		t.Errorf("the notice is %q", got)
	}
	lines = nil
	if err := m.RefreshNotice(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := m.read(motd); !strings.Contains(got, "release 2 is installed") {
		t.Errorf("the notice is %q", got)
	}
}

// TestTellSettings runs the hooks once for each generation, also when one fails.
func TestTellSettings(t *testing.T) {
	m := newTarget(t)
	m.write("/etc/deltaup/hook.d/10-log", "#!/bin/sh\necho \"$DELTAUP_EVENT $DELTAUP_SLOT $DELTAUP_REASON\" >>\"$DELTAUP_ROOT/log\"\n")
	for _, n := range []int{3, 3, 4, 3} {
		if err := m.TellSettings(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	if got := m.read(m.path("/log")); got != "settings a generation 3\nsettings a generation 4\nsettings a generation 3\n" {
		t.Errorf("the hooks saw %q", got)
	}
	m.write("/etc/deltaup/hook.d/20-fails", "#!/bin/sh\nexit 1\n")
	var failed *device.HookError
	if err := m.TellSettings(t.Context(), 5); !errors.As(err, &failed) {
		t.Errorf("got %v", err)
	}
	if err := m.TellSettings(t.Context(), 5); err != nil {
		t.Errorf("told twice: %v", err)
	}
}
