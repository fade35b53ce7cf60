package main

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTargetBuild builds the command for targets: it has all that a machine needs, and nothing of a
// publisher.
func TestTargetBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command")
	}
	binary := filepath.Join(t.TempDir(), "deltaup")
	if out, err := exec.Command("go", "build", "-tags", "target", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(binary, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	var commands []string
	for line := range strings.Lines(string(out)) {
		if name, ok := strings.CutPrefix(line, "  "); ok {
			commands = append(commands, strings.Fields(name + " .")[0])
		}
	}
	for _, name := range []string{"pull", "install", "plan", "status", "list", "boot", "trace", "health", "doctor", "repair", "rollback", "mark-good", "notice"} {
		if !slices.Contains(commands, name) {
			t.Errorf("the build for targets has no command %s:\n%s", name, out)
		}
	}
	for _, name := range []string{"mkimage", "keys", "publish", "refresh", "serve", "check", "diff", "inspect"} {
		if slices.Contains(commands, name) {
			t.Errorf("the build for targets has the command %s", name)
		}
	}
}
