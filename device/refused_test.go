package device_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"deltaup/apply"
	"deltaup/device"
	"deltaup/internal/durable"
	"deltaup/slotboot"
	"deltaup/slotboot/machine"
)

func TestRefusals(t *testing.T) {
	t.Run("busy", func(t *testing.T) {
		m := newTarget(t)
		u, err := m.prepare(2, device.InstallOptions{})
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

// TestStopped ends an update before each change of the disk in turn, as a failing disk does.
// Whatever GRUB starts then is whole, and the next update succeeds.
func TestStopped(t *testing.T) {
	newWorld(t)
	stopped := errors.New("stopped")
	for n := 0; ; n++ {
		m := newTarget(t)
		steps := 0
		var last durable.Action
		var mu sync.Mutex // several files are fetched at once
		restore := durable.SetHook(func(s durable.Action) error {
			mu.Lock()
			defer mu.Unlock()
			if steps++; steps > n {
				return stopped
			}
			last = s
			return nil
		})
		u, err := m.prepare(2, device.InstallOptions{Warning: func(string) {}})
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
