package device_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"deltaup/device"
)

// TestRepairMounted damages, behind the mount, the image of a running slot that is a block device:
// everywhere at once. The scrub finds it all although the page cache has better bytes, and the
// repair makes the image anew without writing to the device.
func TestRepairMounted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root for a loop device")
	}
	t.Setenv("TMPDIR", "/var/tmp") // device files do not work everywhere
	m := onB(t)
	backing := m.path("/data/b.squashfs")
	out, err := exec.Command("losetup", "--find", "--show", backing).Output()
	if err != nil {
		t.Skipf("losetup: %v", err)
	}
	loop := strings.TrimSpace(string(out))
	t.Cleanup(func() { run(t, "losetup", "--detach", loop) })
	mount := filepath.Join(m.root, "mount")
	if err := os.Mkdir(mount, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(loop, mount, "squashfs", unix.MS_RDONLY, ""); err != nil {
		t.Skipf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	})
	m.isDevice("b", loop)
	list := m.places("b") // by the file, which is the same bytes
	m.Config.Slots[1].Path = "/dev/slot-b"
	before := m.read(filepath.Join(mount, "etc/version"))
	m.scrub(device.ScrubOptions{})
	if d := m.damage("b"); d == nil || len(d) != 0 {
		t.Fatalf("whole: %+v", d)
	}
	for _, p := range list {
		m.flip(p.file, p.offset)
	}
	damaged := m.read(backing)
	m.scrub(device.ScrubOptions{})
	if d := m.damage("b"); len(d) != 3 || d[0].Bytes == 0 { // image, kernel, initrd
		t.Fatalf("damaged everywhere: %+v", d)
	}
	if _, err := m.repair(4, device.InstallOptions{}); err != nil {
		t.Fatal(err)
	}
	m.checkHolds("a", 2)
	if m.read(backing) != damaged {
		t.Error("the running slot was written to")
	}
	if got := m.read(filepath.Join(mount, "etc/version")); got != before {
		t.Errorf("the mount gives %q", got)
	}
}

// isDevice has the machine run from a slot that is a block device.
func (m *target) isDevice(slot, path string) {
	m.t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		m.t.Fatal(err)
	}
	if err := os.MkdirAll(m.path("/dev"), 0o755); err != nil {
		m.t.Fatal(err)
	}
	node := m.path("/dev/slot-" + slot)
	if err := unix.Mknod(node, unix.S_IFBLK|0o600, int(st.Rdev)); err != nil {
		m.t.Skipf("mknod: %v", err)
	}
	if f, err := os.Open(node); err != nil {
		m.t.Skipf("device files do not work here: %v", err)
	} else {
		f.Close()
	}
	old := m.read(m.path("/proc/self/mountinfo"))
	line := fmt.Sprintf("24 20 %d:%d / /run/deltaup/image ro - squashfs /dev/slot-%s ro\n", unix.Major(st.Rdev), unix.Minor(st.Rdev), slot)
	m.write("/proc/self/mountinfo", old[:strings.LastIndex(strings.TrimSpace(old), "\n")+1]+line)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v: %s", name, err, out)
	}
}
