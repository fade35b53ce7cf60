package sysroot

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestJoin(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"efi/grub", "boot"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{
		"boot/grub": "/efi/grub",                   // an absolute link, as the machine has it
		"boot/up":   "../../../../../../../../efi", // the parent of the root is the root
		"boot/cfg":  "grub/grub.cfg",               // leads through another link to a missing file
		"boot/gone": "/nowhere/file",
		"loop1":     "loop2",
		"loop2":     "/loop1",
	} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		"/":                      "",
		"/boot/grub/grubenv":     "/efi/grub/grubenv",
		"/boot/up/x":             "/efi/x",
		"/boot/cfg":              "/efi/grub/grub.cfg",
		"/boot/gone":             "/nowhere/file",
		"/../../etc/passwd":      "/etc/passwd",
		"boot/new/file":          "/boot/new/file",
		"/boot/grub/../../x":     "/x", // follow links before "..", as a kernel does
		"/efi/grub/../grub/a..b": "/efi/grub/a..b",
	} {
		got, err := Join(root, path)
		if err != nil || got != root+want {
			t.Errorf("%s: %s, %v, want %s", path, got, err, want)
		}
	}
	if _, err := Join(root, "/loop1/x"); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a loop of links: %v", err)
	}
}
