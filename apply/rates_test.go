package apply

import (
	"os"
	"testing"
	"time"
)

func TestRates(t *testing.T) {
	s, err := openState(t.TempDir(), "slot")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if r := s.rates(); r != (rates{}) {
		t.Errorf("before the first update: %+v", r)
	}
	if err := s.learn(100e6, 2*time.Second); err != nil {
		t.Fatal(err)
	}
	if r := s.rates(); r.Write != 50e6 {
		t.Errorf("100 MB in 2 s: %+v", r)
	}
	if err := s.learn(1<<40, 0); err != nil {
		t.Fatal(err)
	}
	if r := s.rates(); r.Write != rateMax {
		t.Errorf("in no time: %+v", r)
	}
	for _, text := range []string{"", "{", "[]", `{"write": -1}`, `{"write": 1e300}`, `{"write": "fast"}`, `{"write": 1}`} {
		if err := os.WriteFile(s.ratesPath(), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if r := s.rates(); r != (rates{}) {
			t.Errorf("%q: %+v", text, r)
		}
	}
}
