package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	s, err := Open(t.TempDir(), "slot")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if w, d := s.WriteRate(), s.DecodeRate(); w != 0 || d != 0 {
		t.Errorf("before the first update: %v, %v", w, d)
	}
	if err := s.LearnWrite(100e6, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	if r := s.WriteRate(); r != 50e6 {
		t.Errorf("100 MB in 2 s: %v", r)
	}
	if err := errors.Join(s.LearnDecode(learnMin, 3e8), s.LearnDecode(learnMin-1, 1e8)); err != nil {
		t.Fatal(err)
	}
	if r := s.DecodeRate(); r != 3e8 {
		t.Errorf("seeds are read at %v", r)
	}
	other, err := Open(filepath.Dir(s.dir), "other")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if w, d := other.WriteRate(), other.DecodeRate(); w != 0 || d != 3e8 {
		t.Errorf("of another slot: %v, %v", w, d)
	}
	if err := s.LearnWrite(1<<40, 0); err != nil {
		t.Fatal(err)
	}
	if r := s.WriteRate(); r != rateMax {
		t.Errorf("in no time: %v", r)
	}
	for _, text := range []string{"", "{", "[]", `{"write": -1}`, `{"write": 1e300}`, `{"write": "fast"}`, `{"write": 1}`} {
		if err := os.WriteFile(s.ratesPath(), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if r := s.WriteRate(); r != 0 {
			t.Errorf("%q: %v", text, r)
		}
	}
}
