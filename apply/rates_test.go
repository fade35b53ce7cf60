package apply

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	s, err := openState(t.TempDir(), "slot")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if w, d := s.writeRate(), s.decodeRate(); w != 0 || d != 0 {
		t.Errorf("before the first update: %v, %v", w, d)
	}
	if err := s.learn(100e6, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	if r := s.writeRate(); r != 50e6 {
		t.Errorf("100 MB in 2 s: %v", r)
	}
	if err := errors.Join(s.learnDecode(learnMin, 3e8), s.learnDecode(learnMin-1, 1e8)); err != nil {
		t.Fatal(err)
	}
	if r := s.decodeRate(); r != 3e8 {
		t.Errorf("seeds are read at %v", r)
	}
	other, err := openState(filepath.Dir(s.dir), "other")
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if w, d := other.writeRate(), other.decodeRate(); w != 0 || d != 3e8 {
		t.Errorf("of another slot: %v, %v", w, d)
	}
	if err := s.learn(1<<40, 0); err != nil {
		t.Fatal(err)
	}
	if r := s.writeRate(); r != rateMax {
		t.Errorf("in no time: %v", r)
	}
	for _, text := range []string{"", "{", "[]", `{"write": -1}`, `{"write": 1e300}`, `{"write": "fast"}`, `{"write": 1}`} {
		if err := os.WriteFile(s.ratesPath(), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if r := s.writeRate(); r != 0 {
			t.Errorf("%q: %v", text, r)
		}
	}
}
