package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// maxTarget is how many bytes the command for targets may have, stripped.
const maxTarget = 12_000_000

// absent are packages that the command for targets does without.
var absent = []string{
	"deltaup/mkimage/rootfs", "deltaup/delta/diff", "deltaup/mirror/publish", "deltaup/mirror/check", "deltaup/mirror/serve",
	"github.com/vbauerster/mpb/v8", "archive/tar",
	"regexp",                    // internal/chars does
	"filippo.io/age",            // private keys are a publisher's
	"github.com/godbus/dbus/v5", // internal/dbus asks the one question
	// net/http has copies of these
	"golang.org/x/net/http/httpguts", "golang.org/x/net/http/httpproxy", "golang.org/x/net/idna", "golang.org/x/text/unicode/norm",
}

// TestTargetBuild builds the command for targets: it has all that a machine needs, and nothing of a
// publisher.
func TestTargetBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command")
	}
	binary := filepath.Join(t.TempDir(), "deltaup")
	build := exec.Command("make", "-s", "-C", "../..", "target", "TARGET="+binary)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if info, err := os.Stat(binary); err != nil || info.Size() > maxTarget {
		t.Errorf("%v; the command for targets has %d bytes, and may have %d", err, info.Size(), maxTarget)
	}
	deps, err := exec.Command("go", "list", "-deps", "-tags", "target", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(deps)) {
		if slices.Contains(absent, strings.TrimSpace(dep)) {
			t.Errorf("the command for targets imports %s", dep)
		}
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
	for _, name := range []string{"pull", "install", "plan", "status", "list", "boot", "trace", "health", "doctor", "repair", "rollback", "mark-good", "notice", "settings"} {
		if !slices.Contains(commands, name) {
			t.Errorf("the build for targets has no command %s:\n%s", name, out)
		}
	}
	for _, name := range []string{"mkimage", "recompress", "keys", "publish", "refresh", "serve", "check", "diff", "inspect"} {
		if slices.Contains(commands, name) {
			t.Errorf("the build for targets has the command %s", name)
		}
	}
}
