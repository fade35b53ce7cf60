package transform

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// moduleStep is a module of two builds, and the shifts between their kernels.
func moduleStep(t testing.TB) (old, new []byte, s *Shifts) {
	t.Helper()
	old, new = splitModule(95000, 1700000, false), splitModule(95246, 1704094, true)
	l := NewLearner()
	l.Guess(old, new)
	l.Add(old, new)
	l.Add(relocatable(nil), new) // says nothing
	if s = l.Shifts(); s == nil {
		t.Fatal("nothing is learnt")
	}
	return old, new, s
}

// TestLearnerTogether: guessing and adding may happen at once.
func TestLearnerTogether(t *testing.T) {
	old, new := splitModule(95000, 1700000, false), splitModule(95246, 1704094, true)
	l := NewLearner()
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { l.Guess(old, new) })
		all.Go(func() { l.Add(old, new) })
	}
	all.Wait()
	if s := l.Shifts(); s == nil || len(s.Types) == 0 || len(s.Names) == 0 {
		t.Errorf("learnt %+v", s)
	}
}

// types lists the words of each type of a rewritten module.
func types(t *testing.T, module []byte) (all []string) {
	last, begin := -1, 0
	b := btfOf(t, module)
	var words []byte
	b.walk(func(n int, _ byte, p []byte) {
		if n != last && last >= 0 {
			all, begin = append(all, string(words[begin:])), len(words)
		}
		last = n
		words = append(words, p...)
	})
	return append(all, string(words[begin:]))
}

func TestShifted(t *testing.T) {
	old, new, s := moduleStep(t)
	want, ok := Exact(registry[idShifted], new)
	if !ok {
		t.Fatal("Forward does not apply")
	}
	shifted, ok := Shifted(registry[idShifted], s)
	if !ok {
		t.Fatal("no shifts are taken")
	}
	got, _, ok := Base(shifted, old)
	if !ok || bytes.Equal(got, want) {
		t.Fatal("the samples are equal")
	}
	a, b := types(t, got), types(t, want)
	slices.Sort(a)
	slices.Sort(b)
	if !slices.Equal(a, b) {
		t.Errorf("other types than those of the later module:\n%x\n%x", a, b)
	}
	if !bytes.Equal(got[len(got)-16:], want[len(want)-16:]) {
		t.Error("the module's own numbers begin elsewhere")
	}
	// Forward does not shift.
	if out, ok := shifted.Forward(new); !ok || !bytes.Equal(out, want) {
		t.Error("a new content is shifted")
	}
	if _, ok := Shifted(registry[idModule], s); ok {
		t.Error("the transform module takes shifts")
	}
}

// FuzzShifts demands that a base takes any shifts, and that a content is exact with any first
// numbers or not rewritten.
func FuzzShifts(f *testing.F) {
	old, new, _ := moduleStep(f)
	f.Add(uint32(100), uint32(3), uint32(95000), uint32(246), uint32(1700000), uint32(4094))
	f.Fuzz(func(t *testing.T, at, by, firstType, typesBy, firstName, namesBy uint32) {
		s := &Shifts{
			[]Shift{{at, by}, {firstType, typesBy}},
			[]Shift{{at, by}, {firstName, namesBy}},
		}
		shifted, _ := Shifted(registry[idShifted], s)
		Base(shifted, old)
		out, ok := shifted.Forward(new)
		if !ok {
			return
		}
		if _, ok := Exact(shifted, new); !ok {
			return
		}
		if got, err := registry[idShifted].Inverse(out, int64(len(new))); err != nil || !bytes.Equal(got, new) {
			t.Errorf("other bytes come back: %v", err)
		}
	})
}

// TestModuleSamples demands that the modules with which delta/patchset tests are those of
// moduleStep.
func TestModuleSamples(t *testing.T) {
	old, new, _ := moduleStep(t)
	for name, want := range map[string][]byte{"module-1.ko": old, "module-2.ko": new} {
		path := filepath.Join("..", "patchset", "testdata", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: another module, %v", name, err)
		}
	}
}
