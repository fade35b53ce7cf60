package device_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/device"
	"deltaup/internal/durable"
	"deltaup/internal/test/durabletest"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
)

// before are the states of a machine that setup may find; each is made from one that was just set
// up.
var before = map[string]func(m *target){
	"nothing there": func(m *target) {
		m.remove("/boot/deltaup/grubenv", "/boot/deltaup/deltaup.cfg", "/boot/deltaup/b", "/var")
	},
	"no boot folder at all": func(m *target) {
		m.remove("/boot", "/var")
		m.write("/proc/cmdline", "quiet\n")
	},
	"old scripts": func(m *target) {
		m.write("/boot/grub/grub.cfg", "# by somebody else\n")
		m.write("/boot/deltaup/deltaup.cfg", "# old\n")
	},
	"a block without us": func(m *target) {
		m.remove("/var")
		m.write("/boot/deltaup/grubenv", block("saved_entry=2\n"))
	},
	"a damaged block": func(m *target) { m.write("/boot/deltaup/grubenv", strings.Repeat("\x00", 1024)) },
	"a short block": func(m *target) {
		m.write("/boot/deltaup/grubenv", "# GRUB Environment Block\nsaved_entry=2\n###")
		m.remove("/etc/grub.d")
	},
}

// block is an environment block with text behind its first line.
func block(text string) string {
	text = "# GRUB Environment Block\n" + text
	return text + strings.Repeat("#", 1024-len(text))
}

func (m *target) remove(paths ...string) {
	m.t.Helper()
	for _, path := range paths {
		if err := os.RemoveAll(m.path(path)); err != nil {
			m.t.Fatal(err)
		}
	}
}

// tree is all that is below the root: kinds, modes and contents.
func (m *target) tree() map[string]string {
	m.t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(m.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		all[path] = info.Mode().String()
		if info.Mode().IsRegular() {
			all[path] += " " + m.read(path)
		}
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

func (m *target) setup() error {
	_, err := m.Setup(m.t.Context(), device.SetupOptions{Outputs: map[string]string{
		grub.OutputPart: "/boot/deltaup/deltaup.cfg", grub.OutputWhole: "/boot/grub/grub.cfg", grub.OutputGenerator: "/etc/grub.d/42_deltaup",
	}})
	return err
}

// TestSetupFails has each step of a setup fail, one after the other: everything is as it was
// before.
func TestSetupFails(t *testing.T) {
	for name, prepare := range before {
		t.Run(name, func(t *testing.T) {
			m := newTarget(t)
			prepare(m)
			was := m.tree()
			failed := errors.New("no more")
			for n := 1; ; n++ {
				step := 0
				var where durable.Action
				restore := durable.SetHook(func(s durable.Action) error {
					if step++; step == n {
						where = s
						return failed
					}
					return nil
				})
				err := m.setup()
				restore()
				if step < n {
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("%d steps", step)
					break
				}
				if !errors.Is(err, failed) {
					t.Fatalf("step %d (%v): %v", n, where, err)
				}
				if now := m.tree(); !maps.Equal(now, was) {
					t.Errorf("step %d (%v) failed: %s", n, where, difference(was, now))
				}
			}
			if maps.Equal(m.tree(), was) {
				t.Error("setup did nothing")
			}
		})
	}
}

// TestSetupKilled cuts the power at each step of a setup: the same command then does what it would
// have done at once, and nothing is left of the first.
func TestSetupKilled(t *testing.T) {
	for name, prepare := range before {
		for _, keeps := range []bool{true, false} { // what was not synced
			t.Run(fmt.Sprintf("%s, disk keeps all %v", name, keeps), func(t *testing.T) {
				m := newTarget(t)
				prepare(m)
				was := m.tree()
				if err := m.setup(); err != nil {
					t.Fatal(err)
				}
				want := m.names()
				for n := 1; ; n++ {
					m.restore(was)
					crash := durabletest.CrashAt(t, n)
					err := m.setup()
					if keeps && !crash.Keep() || !keeps && !crash.Restart() {
						if n == 1 {
							t.Error("there was no step")
						}
						break
					}
					if err == nil {
						t.Fatalf("step %d: no error", n)
					}
					if err := m.setup(); err != nil {
						t.Fatalf("step %d, again: %v", n, err)
					}
					if now := m.names(); now != want {
						t.Errorf("step %d: there is\n%s\nnot\n%s", n, now, want)
					}
					if _, err := grub.ReadState(m.path("/boot/deltaup/grubenv"), counted.Slots{"a", "b"}); err != nil {
						t.Errorf("step %d: %v", n, err)
					}
				}
			})
		}
	}
}

// names are the paths of the tree.
func (m *target) names() string {
	var b strings.Builder
	// tree has told of errors
	filepath.WalkDir(m.root, func(path string, _ fs.DirEntry, _ error) error {
		fmt.Fprintln(&b, path)
		return nil
	})
	return b.String()
}

// restore makes the tree what it was.
func (m *target) restore(was map[string]string) {
	m.t.Helper()
	for path := range m.tree() {
		if _, ok := was[path]; !ok {
			if err := os.RemoveAll(path); err != nil {
				m.t.Fatal(err)
			}
		}
	}
	for path, what := range was {
		if mode, text, ok := strings.Cut(what, " "); ok && strings.HasPrefix(mode, "-") {
			m.write(strings.TrimPrefix(path, m.root), text)
		}
	}
}

func difference(was, now map[string]string) string {
	var b strings.Builder
	for path, what := range now {
		if was[path] != what {
			fmt.Fprintf(&b, "\n%s is %.300q, was %.300q", path, what, was[path])
		}
	}
	for path := range was {
		if _, ok := now[path]; !ok {
			fmt.Fprintf(&b, "\n%s is gone", path)
		}
	}
	return b.String()
}
