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
	"reflect"
	"strings"
	"sync"
	"testing"

	"deltaup/device"
	"deltaup/internal/test/durabletest"
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

func testNone(t *testing.T, b *Bench) {
	if _, err := b.Loader.Read(); !errors.Is(err, loader.ErrNone) {
		t.Errorf("read: %v", err)
	}
	if _, err := b.Loader.Change(t.Context(), first); !errors.Is(err, loader.ErrNone) {
		t.Errorf("change: %v", err)
	}
	must(t, b.Loader.Check())
	i := b.Loader.Inspect("the command")
	advised := false
	for _, f := range i.State {
		advised = advised || f.Level == loader.Wrong && strings.Contains(f.Advice, "the command")
	}
	if i.Sound || !advised || i.Where == "" || b.Loader.Name() == "" {
		t.Errorf("inspection: %+v", i)
	}
	b.boots(t, Started{Slot: "a"}) // it knows nothing, and something boots
}

func testSetup(t *testing.T, b *Bench) {
	for range 2 { // it can be repeated
		files, _, err := b.setup(t.Context())
		must(t, err)
		if len(files) == 0 {
			t.Error("no file is told")
		}
		for _, file := range files {
			if _, err := os.Stat(file); err != nil {
				t.Error(err)
			}
		}
		if s := b.read(t); s.Active != "a" || s.ID != "5ac07e11" || !reflect.DeepEqual(s.Slots, slots) {
			t.Errorf("state: %+v", s)
		}
		if i := b.Loader.Inspect(""); !i.Sound {
			t.Errorf("inspection: %+v", i)
		}
		b.boots(t, Started{Slot: "a"})
	}
	b.change(t, func(s counted.State) (counted.State, error) { return s.MarkActive("b") })
	_, _, err := b.setup(t.Context())
	must(t, err)
	if s := b.read(t); s.Active != "b" {
		t.Errorf("a setup has changed the state: %+v", s)
	}
}

func testUndo(t *testing.T, b *Bench) {
	root := b.root()
	was := tree(t, root)
	_, u, err := b.setup(t.Context())
	must(t, err)
	if maps.Equal(was, tree(t, root)) {
		t.Fatal("a setup does nothing")
	}
	must(t, u.Run())
	if now := tree(t, root); !maps.Equal(was, now) {
		t.Errorf("taken back: %v, want %v", now, was)
	}
	u = new(undo.List)
	fails := func(counted.State) (counted.State, error) { return counted.State{}, errNotMe }
	if _, err := b.Loader.Setup(t.Context(), loader.Setup{First: fails, Undo: u}); !errors.Is(err, errNotMe) {
		t.Errorf("setup: %v", err)
	}
	must(t, u.Run())
	if now := tree(t, root); !maps.Equal(was, now) {
		t.Errorf("a setup that failed: %v, want %v", now, was)
	}
}

func testOutput(t *testing.T, b *Bench) {
	o := loader.Setup{First: first, Undo: new(undo.List), Outputs: map[string]string{"no such output": "/boot/x"}}
	if _, err := b.Loader.Setup(t.Context(), o); !errors.Is(err, loader.ErrOutput) {
		t.Errorf("setup: %v", err)
	}
	if _, err := b.Loader.Read(); !errors.Is(err, loader.ErrNone) {
		t.Errorf("read: %v", err)
	}
}

func testCreate(t *testing.T, b *Bench) {
	b.create(t)
	if s := b.read(t); s.Active != "a" {
		t.Errorf("state: %+v", s)
	}
	b.boots(t, Started{Slot: "a"})
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

// onTrial puts slot b on trial.
func (b *Bench) onTrial(t *testing.T, tries int) {
	t.Helper()
	b.create(t)
	b.change(t, func(s counted.State) (counted.State, error) { return s.Activate("b", tries) })
}

func testGood(t *testing.T, b *Bench) {
	b.onTrial(t, 3)
	b.boots(t, Started{Slot: "b", Trial: true})
	b.change(t, func(s counted.State) (counted.State, error) { return s.MarkGood("b") })
	for range 2 {
		b.boots(t, Started{Slot: "b"})
	}
}

func testBad(t *testing.T, b *Bench) {
	b.onTrial(t, 3)
	b.boots(t, Started{Slot: "b", Trial: true})
	b.change(t, func(s counted.State) (counted.State, error) { return s.MarkBad("b") })
	b.boots(t, Started{Slot: "a", FellBack: "b"})
	b.boots(t, Started{Slot: "a"})
	if s := b.read(t); !s.IsBad("b") || s.FellBack() != "b" {
		t.Errorf("state: %+v", s)
	}
}

func testFallBack(t *testing.T, b *Bench) {
	b.onTrial(t, 2)
	for left := 1; left >= 0; left-- {
		b.boots(t, Started{Slot: "b", Trial: true})
		if s := b.read(t); s.Tries != left || !s.OnTrial("b") {
			t.Errorf("%d tries left: %+v", left, s)
		}
	}
	b.boots(t, Started{Slot: "a", FellBack: "b"})
	if s := b.read(t); s.Ended != counted.Unconfirmed || s.FellBack() != "b" {
		t.Errorf("state: %+v", s)
	}
	b.boots(t, Started{Slot: "a"})
}

func testUnloadable(t *testing.T, b *Bench) {
	b.onTrial(t, 3)
	if got := b.Boot(map[string]bool{"a": true, "c": true}); got != (Started{Slot: "a", FellBack: "b"}) {
		t.Errorf("booted %+v", got)
	}
	if s := b.read(t); s.Ended != counted.Unloadable || s.FellBack() != "b" {
		t.Errorf("state: %+v", s)
	}
}

func testGivenUp(t *testing.T, b *Bench) {
	b.create(t)
	b.change(t, func(s counted.State) (counted.State, error) {
		return s.Failed(counted.FailedBoot{Slot: "a", Why: counted.FaultImage}), nil
	})
	for range 2 { // at each boot until the state changes
		b.boots(t, Started{Slot: "b", FellBack: "a"})
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

func testForeign(t *testing.T, b *Bench) {
	must(t, os.MkdirAll(b.Path, 0o755))
	if err := b.Loader.Check(); !errors.Is(err, loader.ErrForeign) {
		t.Errorf("check: %v", err)
	}
	if _, u, err := b.setup(t.Context()); !errors.Is(err, loader.ErrForeign) {
		t.Errorf("setup: %v", err)
	} else {
		must(t, u.Run())
	}
	if info, err := os.Stat(b.Path); err != nil || !info.IsDir() {
		t.Errorf("it is gone: %v", err)
	}
}

func testDamaged(t *testing.T, b *Bench, name string) {
	b.create(t)
	b.change(t, func(s counted.State) (counted.State, error) { return s.Activate("b", 2) })
	must(t, os.WriteFile(b.Path, []byte(b.Damages[name]), 0o644))
	if _, err := b.Loader.Read(); !errors.Is(err, loader.ErrDamaged) {
		t.Errorf("read: %v", err)
	}
	if _, err := b.Loader.Change(t.Context(), first); !errors.Is(err, loader.ErrDamaged) {
		t.Errorf("change: %v", err)
	}
	if i := b.Loader.Inspect("the command"); i.Sound {
		t.Errorf("inspection: %+v", i)
	}
	if got := b.Boot(allLoad); got.Slot == "" {
		t.Error("nothing boots")
	}
	if got, err := os.ReadFile(b.Path); err != nil || string(got) != b.Damages[name] {
		t.Errorf("looking at it has changed it: %v", err)
	}
	_, u, err := b.setup(t.Context())
	must(t, err)
	if s := b.read(t); s.Active != "a" {
		t.Errorf("mended: %+v", s)
	}
	must(t, u.Run())
	if got, err := os.ReadFile(b.Path); err != nil || string(got) != b.Damages[name] {
		t.Errorf("taken back: %q, %v", got, err)
	}
}

// testPowerCuts cuts the power at each step of a setup, and of each kind of change: what boots
// then, and all of the state, is the old or the new. The same command goes on.
func testPowerCuts(t *testing.T, open func(t *testing.T) *Bench) {
	none := counted.State{Slots: slots}
	steady := counted.State{Slots: slots, Active: "a", ID: "5ac07e11"}
	trial := counted.State{Slots: slots, Active: "a", Trial: "b", Tries: 2, ID: "5ac07e11"}
	for name, x := range map[string]struct {
		from counted.State
		t    counted.Transition
	}{
		"begin a trial": {steady, func(s counted.State) (counted.State, error) { return s.Activate("b", 2) }},
		"mark good":     {trial, func(s counted.State) (counted.State, error) { return s.MarkGood("b") }},
		"mark bad":      {trial, func(s counted.State) (counted.State, error) { return s.MarkBad("b") }},
		"mark active":   {trial, func(s counted.State) (counted.State, error) { return s.MarkActive("c") }},
	} {
		t.Run(name, func(t *testing.T) {
			to, err := x.t(x.from)
			must(t, err)
			cutEverywhere(t, open, x.from, to, func(b *Bench) error {
				_, err := b.Loader.Change(context.Background(), x.t)
				return err
			})
		})
	}
	t.Run("setup", func(t *testing.T) {
		to, err := first(none)
		must(t, err)
		cutEverywhere(t, open, none, to, func(b *Bench) error {
			_, _, err := b.setup(context.Background())
			return err
		})
	})
}

// cutEverywhere cuts the power at each step of a deed that leads from one state to another.
func cutEverywhere(t *testing.T, open func(*testing.T) *Bench, from, to counted.State,
	deed func(*Bench) error) {
	t.Helper()
	for _, harsh := range []bool{false, true} {
		for n := 1; ; n++ {
			b := open(t)
			if from.Active != "" {
				b.create(t)
				b.set(t, from)
			}
			if harsh && b.InPlace {
				break
			}
			crash := durabletest.CrashAt(t, n)
			err := deed(b)
			if harsh && !crash.Restart() || !harsh && !crash.Keep() {
				if n == 1 {
					t.Error("no durable step")
				}
				break
			}
			if err == nil {
				t.Fatalf("step %d: no error", n)
			}
			s, err := b.Loader.Read()
			if from.Active == "" && errors.Is(err, loader.ErrNone) {
				s, err = from, nil
			}
			if err != nil || !same(s, from) && !same(s, to) {
				t.Errorf("step %d: %+v, %v, want %+v or %+v", n, s, err, from, to)
			}
			old, _ := Boot(from, allLoad)
			next, _ := Boot(to, allLoad)
			if got := b.Boot(allLoad); got != old && got != next {
				t.Errorf("step %d: booted %+v, want %+v or %+v", n, got, old, next)
			}
			if from.Active != "" {
				b.set(t, from)
			}
			if err := deed(b); err != nil {
				t.Fatalf("step %d, again: %v", n, err)
			}
			if s := b.read(t); !same(s, to) {
				t.Errorf("step %d, again: %+v, want %+v", n, s, to)
			}
		}
	}
}

// states are states that a machine can come to have.
func states() []counted.State {
	var all []counted.State
	for _, active := range []string{"", "a", "b"} {
		for _, trial := range []string{"", "a", "b", "c"} {
			for _, bad := range [][]string{nil, {"a"}, {"b"}, {"a", "b"}, {"a", "b", "c"}} {
				s := counted.State{Slots: slots, Active: active, Bad: bad, ID: "5ac07e11"}
				if trial == "" || trial == active {
					all = append(all, s)
					continue
				}
				s.Trial = trial
				for tries := range 3 {
					s.Tries = tries
					all = append(all, s)
				}
				for _, ended := range []counted.Outcome{counted.Unconfirmed, counted.Unloadable} {
					s.Tries, s.Ended = 0, ended
					all = append(all, s)
				}
			}
		}
	}
	fault := counted.Fault{Slot: "a", Why: counted.FaultDevice, Boots: 2}
	return append(all,
		counted.State{Slots: slots, Active: "a", Fault: fault},
		counted.State{Slots: slots, Active: "a", Trial: "b", Tries: counted.MaxTries, ID: "x1"})
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
