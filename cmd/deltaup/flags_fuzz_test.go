//go:build !target

package main

import (
	"testing"
	"time"
)

// FuzzFlags gives the flags that have a syntax of their own any value: what is taken makes sense.
// A short run is slow: for each input that does something new the fuzzer's processes tell each
// other 130 kB of counters, of all code that the command is linked with.
func FuzzFlags(f *testing.F) {
	for _, s := range []string{"128K", "1M", "1mbit", "500kB", "200k", "50MiB", "90d", "12h", "-1h", "1e400", "4x0.25", "\x1b[2J"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := parseBlockSize(s); err == nil && (n < 4<<10 || n > 1<<20) {
			t.Errorf("%q is a block size of %d", s, n)
		}
		if n, err := parseRate("--rate", s); err == nil && !(n >= 0) {
			t.Errorf("%q is a rate of %v", s, n)
		}
		if n, err := parseBytes("--bytes", s); err == nil && n < 0 {
			t.Errorf("%q is %d bytes", s, n)
		}
		if c, err := parseTargetCPU(s, time.Second); err == nil && (c.processors < 1 || !(c.speed > 0)) {
			t.Errorf("%q is %d processors of speed %v", s, c.processors, c.speed)
		}
		if d, err := parseDays("--days", s); err == nil && d < 0 {
			t.Errorf("%q is a time of %v", s, d)
		}
	})
}
