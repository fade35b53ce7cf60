package loadertest

import (
	"errors"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"

	"deltaup/internal/undo"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/loader"
)

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
