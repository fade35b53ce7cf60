// Package loadertest has the tests that every device.Loader passes: [Run] sets a boot loader up,
// lets trials begin, be marked good or bad, and fall back, damages its state, and cuts the power at
// each durable step. [Toy] is a second boot loader beside GRUB, which proves that the interface
// does not ask for GRUB.
package loadertest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"deltaup/device"
	"deltaup/internal/undo"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/loader"
	"deltaup/slotboot/machine"
)

// Bench is a boot loader on a machine of files.
type Bench struct {
	Loader device.Loader
	// Boot is what the boot loader does on a boot; it changes the state as the boot loader does.
	Boot func(loads map[string]bool) Started
	// Path is the file that holds the state.
	Path string
	// Damages are contents of that file that the boot loader cannot use.
	Damages map[string]string
	// InPlace tells that the file is overwritten where it lies, by a write that the disk does not
	// tear. Such a write is not lost when it is not synced, as the harshest disk of durabletest has
	// it.
	InPlace bool
}

// NewMachine is a machine of files with three slots, a, b and c, and a BOOT that is a FAT.
func NewMachine(t testing.TB) (machine.Machine, *config.Config) {
	t.Helper()
	m := machine.Machine{Root: t.TempDir()}
	for path, text := range map[string]string{
		"/proc/cmdline": "quiet\n",
		"/proc/self/mountinfo": "20 1 0:30 / / rw - overlay overlay rw\n" +
			"21 20 8:1 / /boot rw - vfat /dev/sda1 rw\n" +
			"22 20 8:2 / /var rw - ext4 /dev/sda2 rw\n",
		"/boot/.keep": "",
		"/var/.keep":  "",
	} {
		file := filepath.Join(m.Root, path)
		must(t, os.MkdirAll(filepath.Dir(file), 0o755))
		must(t, os.WriteFile(file, []byte(text), 0o644))
	}
	c := &config.Config{
		State: "/var/lib/deltaup",
		Boot:  config.Boot{Loader: "grub", Grubenv: "/boot/deltaup/grubenv", Attempts: 3},
	}
	for _, name := range slots {
		c.Slots = append(c.Slots, config.Slot{
			Name: name, Path: "/data/" + name, Boot: "/boot/deltaup/" + name, Image: "LABEL=data:/" + name,
		})
	}
	return m, c
}

var (
	slots    = counted.Slots{"a", "b", "c"}
	allLoad  = map[string]bool{"a": true, "b": true, "c": true}
	errNotMe = errors.New("not this time")
)

// Run runs all tests; open makes a new bench for each.
func Run(t *testing.T, open func(t *testing.T) *Bench) {
	for _, x := range []struct {
		name string
		test func(*testing.T, *Bench)
	}{
		{"before a setup", testNone},
		{"setup", testSetup},
		{"setup, taken back", testUndo},
		{"setup, unknown output", testOutput},
		{"creation", testCreate},
		{"changes", testChange},
		{"changes at once", testConcurrent},
		{"trial, marked good", testGood},
		{"trial, marked bad", testBad},
		{"trial, falls back", testFallBack},
		{"trial, does not load", testUnloadable},
		{"active slot given up", testGivenUp},
		{"every state", testRules},
		{"something else in its place", testForeign},
	} {
		t.Run(x.name, func(t *testing.T) { x.test(t, open(t)) })
	}
	for name := range open(t).Damages {
		t.Run("damaged, "+name, func(t *testing.T) { testDamaged(t, open(t), name) })
	}
	t.Run("power cuts", func(t *testing.T) { testPowerCuts(t, open) })
}

// first makes slot a active.
func first(s counted.State) (counted.State, error) {
	if s.ID == "" {
		s.ID = "5ac07e11"
	}
	if s.Active != "" {
		return s, nil
	}
	return s.MarkActive("a")
}

func (b *Bench) create(t *testing.T) {
	t.Helper()
	must(t, b.Loader.Create(t.Context(), first))
}

func (b *Bench) setup(ctx context.Context) (files []string, u *undo.List, err error) {
	u = new(undo.List)
	files, err = b.Loader.Setup(ctx, loader.Setup{First: first, Undo: u})
	return files, u, err
}

// change applies a transition that must succeed.
func (b *Bench) change(t *testing.T, tr counted.Transition) counted.State {
	t.Helper()
	s, err := b.Loader.Change(t.Context(), tr)
	must(t, err)
	return s
}

// set has the boot loader hold a certain state.
func (b *Bench) set(t *testing.T, want counted.State) {
	t.Helper()
	b.change(t, func(counted.State) (counted.State, error) { return want, nil })
}

func (b *Bench) read(t *testing.T) counted.State {
	t.Helper()
	s, err := b.Loader.Read()
	must(t, err)
	return s
}

// boots demands that the next boot is this one.
func (b *Bench) boots(t *testing.T, want Started) {
	t.Helper()
	if got := b.Boot(allLoad); got != want {
		t.Errorf("booted %+v, want %+v", got, want)
	}
}

// testChange demands that each state reads back, and that nothing is written when nothing changes
// or the transition fails.
func testChange(t *testing.T, b *Bench) {
	b.create(t)
	for _, want := range states() {
		b.set(t, want)
		if got := b.read(t); !same(got, want) {
			t.Errorf("read %+v, want %+v", got, want)
		}
	}
	was := tree(t, b.root())
	got, err := b.Loader.Change(t.Context(), func(s counted.State) (counted.State, error) {
		s.Active = "c"
		return s, errNotMe
	})
	if !errors.Is(err, errNotMe) {
		t.Errorf("change: %+v, %v", got, err)
	}
	b.change(t, func(s counted.State) (counted.State, error) { return s, nil })
	if now := tree(t, b.root()); !maps.Equal(was, now) {
		t.Errorf("something is written: %v, was %v", now, was)
	}
}

// testConcurrent loses none of several changes.
func testConcurrent(t *testing.T, b *Bench) {
	b.create(t)
	b.set(t, counted.State{Slots: slots, Active: "a", Fault: counted.Fault{Slot: "a", Why: counted.FaultDevice, Boots: 1}})
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, err := b.Loader.Change(t.Context(), func(s counted.State) (counted.State, error) {
				s.Fault.Boots++
				return s, nil
			})
			if err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if s := b.read(t); s.Fault.Boots != 9 {
		t.Errorf("%d of 8 changes are there", s.Fault.Boots-1)
	}
}

// testRules boots every state, with every slot broken in turn, as the rules say.
func testRules(t *testing.T, b *Bench) {
	b.create(t)
	for _, s := range states() {
		for _, broken := range []string{"", "a", "b", "c"} {
			loads := maps.Clone(allLoad)
			delete(loads, broken)
			b.set(t, s)
			want, after := Boot(s, loads)
			if got := b.Boot(loads); got != want {
				t.Errorf("%+v without %q: booted %+v, want %+v", s, broken, got, want)
			}
			if got := b.read(t); !same(got, after) {
				t.Errorf("%+v without %q: left %+v, want %+v", s, broken, got, after)
			}
			if next := s.Next(); broken == "" && next != "" && want.Slot != next {
				t.Errorf("%+v: boots %q, Next says %q", s, want.Slot, next)
			}
		}
	}
}

func same(x, y counted.State) bool {
	return fmt.Sprintf("%+v", x) == fmt.Sprintf("%+v", y)
}

// root is the folder of the machine: the parent of the folder that all machines have.
func (b *Bench) root() string {
	for dir := filepath.Dir(b.Path); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "proc/cmdline")); err == nil {
			return dir
		}
	}
}

// tree is all that lies below a folder.
func tree(t testing.TB, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			all[path] = ""
			return err
		}
		b, err := os.ReadFile(path)
		all[path] = string(b)
		return err
	}))
	return all
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
