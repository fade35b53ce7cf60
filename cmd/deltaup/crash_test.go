//go:build !race

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestCrash has the runtime end a process in several ways: none may look like a wrong command line.
func TestCrash(t *testing.T) {
	crashes := map[string]func(){
		"panic":     func() { panic("a bug") },
		"goroutine": func() { go func() { panic("a bug") }(); select {} },
		"nil":       func() { var p *int; *p = 1 },
	}
	if name := os.Getenv("DELTAUP_TEST_CRASH"); name != "" {
		crashes[name]()
	}
	for name := range crashes {
		cmd := exec.Command("sh", "-c", `ulimit -c 0; "$0" -test.run '^TestCrash$'; exit $?`, os.Args[0])
		cmd.Env = append(os.Environ(), "DELTAUP_TEST_CRASH="+name, "TMPDIR="+t.TempDir()) // it removes nothing
		out, _ := cmd.CombinedOutput()                                                    // the exit code tells
		if code := cmd.ProcessState.ExitCode(); code != exitCrash {
			t.Errorf("%s: exit code %d, not %d: %s", name, code, exitCrash, out)
		}
		if !strings.Contains(string(out), crashText) {
			t.Errorf("%s: no word of a bug: %s", name, out)
		}
	}
}

// TestCrashNoMemory starts a process without the address space that the runtime itself needs.
func TestCrashNoMemory(t *testing.T) {
	cmd := exec.Command("sh", "-c", `ulimit -v 100000; ulimit -c 0; "$0" --help; exit $?`, os.Args[0])
	out, _ := cmd.CombinedOutput() // the exit code tells
	if code := cmd.ProcessState.ExitCode(); code != exitCrash {
		t.Errorf("exit code %d, not %d: %s", code, exitCrash, out)
	}
	if !strings.HasPrefix(string(out), "deltaup: crash: out of memory") || !strings.Contains(string(out), "\nfatal error: ") {
		t.Errorf("no word of memory: %s", out)
	}
}
