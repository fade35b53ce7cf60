package modulename_test

import (
	"testing"

	"deltaup/mkimage/modulename"
)

// TestPlain tells modules from other files.
func TestPlain(t *testing.T) {
	for name, want := range map[string]string{
		"lib/modules/6.1/kernel/a.ko.xz":      "lib/modules/6.1/kernel/a.ko",
		"usr/lib/modules/6.1/updates/a.ko.gz": "usr/lib/modules/6.1/updates/a.ko",
		"usr/lib/modules/6.1/a.ko.zst":        "usr/lib/modules/6.1/a.ko",
		"usr/lib/modules/6.1/kernel/a.ko":     "",
		"usr/lib/modules/a.ko.xz":             "",
		"lib/firmware/a.ko.xz":                "",
		"usr/lib/modules/6.1/vmlinuz.xz":      "",
		"srv/lib/modules/6.1/a.ko.xz":         "",
	} {
		if got, ok := modulename.Plain(name); got != want || ok != (want != "") {
			t.Errorf("%s becomes %q, %t", name, got, ok)
		}
	}
}
