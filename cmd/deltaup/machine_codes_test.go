package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"deltaup/apply"
)

// TestMachineCodes ends installations in the ways that a fleet's scripts tell apart.
func TestMachineCodes(t *testing.T) {
	m := newSmallMachine(t)
	install := func(t *testing.T, want int) {
		t.Helper()
		code, _, stderr := deltaup(t, "install", m.mirror, "--insecure", "--sysroot", m.root)
		if code != want || code != 0 && strings.Count(stderr, "\n") != 1 {
			t.Errorf("exit code %d, not %d: %s", code, want, stderr)
		}
	}
	m.reset()
	t.Run("busy", func(t *testing.T) {
		m.write("/var/lib/deltaup/update.lock", nil)
		lock, err := os.Open(m.path("/var/lib/deltaup/update.lock"))
		if err != nil {
			t.Fatal(err)
		}
		defer lock.Close()
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		install(t, exitBusy)
	})
	t.Run("not compatible", func(t *testing.T) {
		config := m.readFile(m.path("/etc/deltaup/deltaup.toml"))
		defer m.write("/etc/deltaup/deltaup.toml", config)
		m.write("/etc/deltaup/deltaup.toml", append([]byte("compatible = \"board-b\"\n"), config...))
		compatible := filepath.Join(t.TempDir(), "mirror")
		image := filepath.Join(filepath.Dir(m.mirror), "image2")
		mustDeltaup(t, "publish", "--mirror", compatible, "--version", "2", "--compatible", "board-a",
			"--kernel", strings.Replace(image, "image", "kernel", 1), "--initrd", strings.Replace(image, "image", "initrd", 1), image)
		mirror := m.mirror
		defer func() { m.mirror = mirror }()
		m.mirror = compatible
		install(t, exitCompatible)
	})
	t.Run("no space", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("needs root")
		}
		data := m.path("/data")
		size := len(m.file["image1"]) + len(m.file["image2"])/2
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", size), "tmpfs", data).CombinedOutput(); err != nil {
			t.Skipf("mounting is not permitted here: %s", out)
		}
		defer func() {
			if out, err := exec.Command("umount", data).CombinedOutput(); err != nil {
				t.Errorf("umount: %s", out)
			}
		}()
		m.write("/data/a", m.file["image1"])
		install(t, exitNoSpace)
	})
	t.Run("reads back wrong", func(t *testing.T) {
		if code := explain(fmt.Errorf("slot b: %w", apply.ErrVerify)).Code; code != exitVerify {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("done", func(t *testing.T) { install(t, exitOK) })
	t.Run("reboot needed", func(t *testing.T) { install(t, exitReboot) })
	m.write("/proc/cmdline", []byte("deltaup.slot=b\n"))
	m.write("/sys/dev/block/7:0/loop/backing_file", []byte("/data/b\n"))
	t.Run("on trial", func(t *testing.T) { install(t, exitOnTrial) })
	mustDeltaup(t, "mark-good", "--sysroot", m.root)
	t.Run("nothing to do", func(t *testing.T) { install(t, exitNothing) })
}
