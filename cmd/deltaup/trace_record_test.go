package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestWaitForBoot has a systemctl that cannot tell yet, and one of a boot that ended with a failed unit.
func TestWaitForBoot(t *testing.T) {
	dir := t.TempDir()
	const script = `#!/bin/sh
cd "$(dirname "$0")"
[ -e asked ] || { touch asked; echo starting; exit 1; }
touch twice
echo degraded
exit 1
`
	if err := os.WriteFile(filepath.Join(dir, "systemctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	if err := waitForBoot(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "twice")); err != nil {
		t.Error("it did not ask until the boot was over")
	}
	t.Setenv("PATH", t.TempDir())
	if err := waitForBoot(t.Context()); err == nil {
		t.Error("without systemctl there is no error")
	}
}
