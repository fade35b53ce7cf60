package trace

import "testing"

// FuzzKernelText parses any text as the kernel's lists of processors and devices.
func FuzzKernelText(f *testing.F) {
	for _, s := range []string{"0-3,8", "0", "16383", "8:1", "4095:1048575"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if cpus, err := parseCPUs(s); err == nil && (len(cpus) == 0 || len(cpus) > 2*maxCPUs) {
			t.Errorf("%q lists %d processors", s, len(cpus))
		}
		if n, err := parseDevice(s); err == nil && n>>32 != 0 {
			t.Errorf("%q is the device %x", s, n)
		}
	})
}
