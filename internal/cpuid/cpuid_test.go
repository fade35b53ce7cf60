package cpuid

import (
	"bytes"
	"os"
	"runtime"
	"slices"
	"testing"
)

// TestHas compares with what the kernel lists.
func TestHas(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		for _, id := range []FeatureID{SSE4, AVX2} {
			if CPU.Has(id) {
				t.Errorf("feature %d on %s", id, runtime.GOARCH)
			}
		}
		return
	}
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	_, b, _ = bytes.Cut(b, []byte("\nflags"))
	line, _, _ := bytes.Cut(b, []byte("\n"))
	for id, name := range map[FeatureID]string{SSE4: "sse4_1", AVX2: "avx2"} {
		listed := slices.ContainsFunc(bytes.Fields(line), func(f []byte) bool { return string(f) == name })
		if CPU.Has(id) != listed {
			t.Errorf("%s: got %v, the kernel says %v", name, CPU.Has(id), listed)
		}
	}
}
