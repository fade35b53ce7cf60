package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSignal ends a command that waits in a system call that no context reaches: for a lock that
// another process holds.
func TestSignal(t *testing.T) {
	m := newSmallMachine(t)
	m.reset()
	lock, err := os.Open(m.path("/var/lib/deltaup/slots.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Args = []string{"deltaup", "pin", "b", "--sysroot", m.root}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The kernel lists who waits.
	waits := regexp.MustCompile(fmt.Sprintf(`-> FLOCK +ADVISORY +WRITE %d `, cmd.Process.Pid))
	for {
		b, err := os.ReadFile("/proc/locks")
		if err != nil {
			cmd.Process.Kill()
			t.Skip(err)
		}
		if waits.Match(b) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitInterrupted {
		t.Errorf("it ended with %v", err)
	}
}

// TestFewFiles publishes and pulls with few open files: what fails says why in one line, and the
// same command with the usual number of them finds everything as it has to be.
func TestFewFiles(t *testing.T) {
	m := newSmallMachine(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, limit := range []int{7, 8, 9, 10, 11, 12, 14, 16, 24} {
		m.reset()
		cmd := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d; exec "$@"`, limit), "sh")
		link := t.TempDir() + "/deltaup"
		if err := os.Symlink(self, link); err != nil {
			t.Fatal(err)
		}
		cmd.Args = append(cmd.Args[:4], link, "install", m.mirror, "--insecure", "--sysroot", m.root)
		stderr := new(bytes.Buffer)
		cmd.Stderr = stderr
		if err := cmd.Run(); err != nil {
			failed++
			told := stderr.String()
			if strings.Count(told, "\n") != 1 || !strings.Contains(told, "too many open files") ||
				!strings.Contains(told, fmt.Sprintf("%d suffice", enoughFiles)) {
				t.Errorf("%d files: %v: %s", limit, err, told)
			}
			m.checkNext(nil)
			mustDeltaup(t, "install", m.mirror, "--insecure", "--sysroot", m.root)
		}
		if m.checkNext(m.readFile(m.path("/boot/b/initrd.img"))) != "b" {
			t.Errorf("%d files: the release does not boot next", limit)
		}
	}
	if failed == 0 {
		t.Error("no limit was felt")
	}
}
