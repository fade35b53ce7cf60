package ldcache

import (
	"bytes"
	"os"
	"testing"
)

// FuzzDynamic reads files that somebody else made. What it gives is bounded.
func FuzzDynamic(f *testing.F) {
	for _, name := range []string{"/bin/sh", "/bin/mount", "/proc/self/exe"} {
		if b, err := os.ReadFile(name); err == nil {
			f.Add(b[:min(len(b), 4096)])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := parseDynamic(bytes.NewReader(b), int64(len(b)))
		if err != nil || d == nil {
			return
		}
		if len(d.Needs) > needsMax || d.RPath != nil && d.RunPath != nil {
			t.Errorf("%+v", d)
		}
		for _, name := range append(d.Needs, d.Interpreter) {
			if len(name) >= stringMax || bytes.IndexByte([]byte(name), 0) >= 0 {
				t.Errorf("a name %q", name)
			}
		}
	})
}
