package grubtest_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/grubtest"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/grubenv"
)

var abc = counted.Slots{"a", "b", "c"}

// TestChooseLife boots a trial that nobody marks good until it has fallen back.
func TestChooseLife(t *testing.T) {
	m := grubtest.Start{Slots: abc, Loads: map[string]bool{"a": true, "b": true, "c": true}}
	m.Env = grubtest.Block(t, counted.State{Slots: abc, Active: "a", Trial: "b", Tries: 3})
	for i, want := range []grubtest.Choice{{Slot: "b"}, {Slot: "b"}, {Slot: "b"}, {Slot: "a", FellBack: "b"}, {Slot: "a"}} {
		before := m.Env
		got := grubtest.Choose(m)
		if got.Slot != want.Slot || got.FellBack != want.FellBack {
			t.Errorf("boot %d: %s, fell back from %q", i+1, got.Slot, got.FellBack)
		}
		if n := differences(before, got.Env); n > 1 || i == 4 && n != 0 {
			t.Errorf("boot %d: GRUB changed %d bytes", i+1, n)
		}
		m.Env = got.Env
	}
	end, _ := grubenv.LoadEnv(m.Env)
	if s := grub.StateOf(end, abc); s.FellBack() != "b" || s.Ended != counted.Unconfirmed || s.Pending() {
		t.Errorf("at the end %+v", s)
	}
}

func differences(x, y []byte) (n int) {
	for i := range x {
		if x[i] != y[i] {
			n++
		}
	}
	return n
}

// TestNoteFailed holds the model of the shell to what ChangeState writes, and to change no block
// that ChangeState would write anew.
func TestNoteFailed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "grubenv")
	if err := os.WriteFile(path, grubtest.Block(t, counted.State{Slots: abc}), 0o644); err != nil {
		t.Fatal(err)
	}
	set := func(change func(counted.State) counted.State) []byte {
		t.Helper()
		if _, err := grub.ChangeState(t.Context(), path, abc, func(s counted.State) (counted.State, error) { return change(s), nil }); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const id = "5ac07e11"
	boot := counted.FailedBoot{Slot: "a", Why: counted.FaultImage}
	before := set(func(counted.State) counted.State { return counted.State{Slots: abc, Active: "a", ID: id} })
	got := grubtest.NoteFailed(before, id, boot)
	if want := set(func(s counted.State) counted.State { return s.Failed(boot) }); !bytes.Equal(got, want) || bytes.Equal(got, before) {
		t.Errorf("the model writes %q, want %q", got, want)
	}
	if c := grubtest.Choose(grubtest.Start{Slots: abc, Env: got, Loads: map[string]bool{"a": true, "b": true, "c": true}}); c.Slot != "b" || c.FellBack != "a" {
		t.Errorf("GRUB boots %+v", c)
	}
	if block, _ := grubenv.LoadEnv(got); grub.StateOf(block, abc).FellBack() != "a" {
		t.Error("the state does not tell of the fallback")
	}
	swap := func(x, y string) []byte {
		b := bytes.Replace(before, []byte(x), []byte(y), 1)
		return append(b, bytes.Repeat([]byte("#"), grubenv.Size)...)[:grubenv.Size]
	}
	for name, env := range map[string][]byte{
		"cut":                before[:grubenv.Sector],
		"another block":      swap("5ac07e11", "5ac07e12"),
		"an older deltaup's": swap("deltaup_fault=\n", ""),
		"unsorted":           swap("deltaup_active=a\ndeltaup_bad_a=0\n", "deltaup_bad_a=0\ndeltaup_active=a\n"),
		"another mark":       swap("deltaup_bad_b=0", "deltaup_bad_b=x"),
		"a trial of nothing": swap("deltaup_tries=0", "deltaup_tries=3"),
		"ours in the second": append(bytes.Clone(before[:900]), []byte("\ndeltaup_active=b\n"+strings.Repeat("#", 106))...),
	} {
		if got := grubtest.NoteFailed(env, id, boot); !bytes.Equal(got, env) {
			t.Errorf("%s: changed to %q", name, got)
		}
	}
}
