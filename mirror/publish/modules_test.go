package publish_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"deltaup/internal/test/publishtest"
)

// TestAdvisesPlainModules warns once of all steps whose new modules are compressed, and only when
// they are megabytes.
func TestAdvisesPlainModules(t *testing.T) {
	image := func(seed byte, name string, size int) string {
		b := make([]byte, size)
		rand.NewChaCha8([32]byte{seed}).Read(b)
		return publishtest.Image(t, map[string][]byte{"usr/lib/modules/6.1/kernel/" + name: b})
	}
	dir := t.TempDir()
	for i, c := range []struct {
		version, image string
		advice         bool
	}{
		{"1", image(1, "a.ko.xz", 2<<20), false}, // there is no step
		{"2", image(2, "a.ko.xz", 2<<20), true},
		{"3", image(3, "a.ko", 2<<20), false},
		{"4", image(4, "a.ko.xz", 1<<19), false},
		{"5", image(4, "b.ko.xz", 1<<19), false},
	} {
		done := publishtest.Publish(t, dir, publishtest.Patched(c.version, c.image, 3))
		n := strings.Count(strings.Join(done.Warnings, "\n"), "mkimage --plain-modules")
		if got := n == 1; got != c.advice || n > 1 {
			t.Errorf("%d: %d warnings %q", i, n, done.Warnings)
		}
	}
}
