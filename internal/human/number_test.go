package human

import (
	"math"
	"testing"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.0 kB", 4200: "4.2 kB", 4249: "4.2 kB", 9949: "9.9 kB", 9950: "10 kB", 132945920: "133 MB",
		999_999: "1000 kB", 1e6: "1.0 MB", 1e9: "1.0 GB", 5 << 40: "5.5 TB", -4200: "-4.2 kB",
		math.MaxInt64: "9.2 EB", math.MinInt64: "-9.2 EB",
	} {
		if got := Size(n); got != want {
			t.Errorf("%d became %q, not %q", n, got, want)
		}
	}
}

func TestParseSize(t *testing.T) {
	for s, want := range map[string]int64{
		"0": 0, "7": 7, "1500b": 1500, "1,500 B": 1500, "200k": 200e3, "200 kB": 200e3, "4.2K": 4200, "50M": 50e6, "50MiB": 50 << 20, "50mi": 50 << 20,
		"1.5 GiB": 3 << 29, "2T": 2e12, "3p": 3e15, "4EiB": 1 << 62, ".5k": 500, "1.": 1,
	} {
		if got, err := ParseSize(s); err != nil || got != want {
			t.Errorf("%q: got %d, error %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "k", "-1", "+1", "1.2.3", "1x", "1kk", "1i", "1ib", "1kx", "1e3", "0x10", "NaN", "4.1EiB", "1e400", "99999999E", "1 k B", "1k\n1"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("%q: got %d", s, got)
		}
	}
}

func TestComma(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567", -999: "-999", -1000: "-1,000", -123456: "-123,456"} {
		if got := Comma(n); got != want {
			t.Errorf("%d became %q, not %q", n, got, want)
		}
	}
}

// FuzzParseSize demands that what Size writes can be read, and means nearly the same.
func FuzzParseSize(f *testing.F) {
	for _, s := range []string{"1,500", "4.2 kB", "50 MiB", "1e3", "9E"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := ParseSize(s)
		if n < 0 || err != nil && n != 0 {
			t.Fatalf("%q: %d, error %v", s, n, err)
		}
		again, err := ParseSize(Size(n))
		if err != nil && n < 4.6e18 || err == nil && math.Abs(float64(again-n)) > 0.051*float64(n) {
			t.Errorf("%q is %d, %s of that is %d, error %v", s, n, Size(n), again, err)
		}
	})
}
