package boottest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// systemRoot is the root folder of a Debian with systemd, with deltaup, its units and what
// doc/initramfs.md asks for.
type systemRoot struct {
	dir    string
	kernel string // the kernel's version
}

// newSystemRoot unpacks the root file system that DELTAUP_TEST_ROOT names, which bench/boot-root.sh
// makes, and installs the kernel and deltaup in it.
func newSystemRoot(t *testing.T) *systemRoot {
	t.Helper()
	packed := os.Getenv("DELTAUP_TEST_ROOT")
	if packed == "" {
		t.Skip("DELTAUP_TEST_ROOT is not set; as root bench/test-boot.sh sets it")
	}
	r := &systemRoot{dir: filepath.Join(tempDir(t), "root"), kernel: filepath.Base(only(t, "lib/modules/*"))}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	tool(t, "tar", "-xf", packed, "-C", r.dir, "--numeric-owner")
	tool(t, "cp", "-a", filepath.Join(kernelFolder(), "lib/modules"), r.path("usr/lib"))
	tool(t, "cp", only(t, "boot/config-*"), only(t, "boot/vmlinuz-*"), r.path("boot"))
	r.run(t, "depmod", r.kernel)

	r.write(t, "usr/bin/deltaup", program(t, "cmd/deltaup"), 0o755)
	const dist = "../../../dist/"
	for _, pattern := range []string{"*.service", "*.timer"} {
		units, err := filepath.Glob(dist + "systemd/" + pattern)
		if err != nil || len(units) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, unit := range units {
			r.write(t, "usr/lib/systemd/system/"+filepath.Base(unit), readFile(t, unit), 0o644)
		}
	}
	tool(t, "mkdir", r.path("usr/lib/deltaup"))
	tool(t, "cp", "-r", dist+"initramfs", r.path("usr/lib/deltaup"))
	return r
}

func (r *systemRoot) path(name string) string { return filepath.Join(r.dir, name) }

func (r *systemRoot) write(t *testing.T, name string, b []byte, mode os.FileMode) {
	t.Helper()
	writeFile(t, r.path(name), b)
	if err := os.Chmod(r.path(name), mode); err != nil {
		t.Fatal(err)
	}
}

// run runs a program of the root folder in a chroot.
func (r *systemRoot) run(t *testing.T, name string, args ...string) {
	t.Helper()
	path := "/usr/sbin/" + name
	if _, err := os.Lstat(r.path(path)); err != nil {
		path = "/usr/bin/" + name
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/sbin:/usr/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.dir}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

// initramfsTools makes an initrd as doc/initramfs.md says.
func (r *systemRoot) initramfsTools(t *testing.T) []byte {
	t.Helper()
	const hook = "usr/lib/deltaup/initramfs/initramfs-tools/hooks/deltaup"
	r.write(t, "etc/initramfs-tools/hooks/deltaup", readFile(t, r.path(hook)), 0o755)
	r.run(t, "mkinitramfs", "-o", "/boot/initrd.img", r.kernel)
	return readFile(t, r.path("boot/initrd.img"))
}

// dracut makes an initrd as doc/initramfs.md says.
func (r *systemRoot) dracut(t *testing.T) []byte {
	t.Helper()
	const modules = "usr/lib/dracut/modules.d"
	tool(t, "cp", "-r", r.path("usr/lib/deltaup/initramfs/dracut/90deltaup"), r.path(modules))
	tool(t, "cp", r.path("usr/lib/deltaup/initramfs/deltaup.sh"), r.path(modules+"/90deltaup"))
	r.run(t, "dracut", "--force", "--no-hostonly", "--add", "deltaup", "/boot/initrd.img", r.kernel)
	return readFile(t, r.path("boot/initrd.img"))
}

// configure configures deltaup, and installs a shell script that reports at the end of each boot,
// in lines that begin with "LIFE".
func (r *systemRoot) configure(t *testing.T, config, report string) {
	t.Helper()
	for name, text := range map[string]string{
		"etc/deltaup/deltaup.toml": config,
		"etc/fstab":                "/dev/nvme0n1p2 /boot auto defaults 0 0\n",
		"etc/systemd/system/life.service": "[Unit]\nAfter=deltaup-mark-good.service deltaup-notice.service network-online.target\n" +
			"[Service]\nType=oneshot\nExecStart=/usr/bin/life\nTimeoutStartSec=infinity\n[Install]\nWantedBy=multi-user.target\n",
	} {
		r.write(t, name, []byte(text), 0o644)
	}
	r.write(t, "usr/bin/life", []byte(report), 0o755)
	if err := os.MkdirAll(r.path("data"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.run(t, "systemctl", "enable", "life.service", "deltaup-mark-good.service", "deltaup-trial.timer", "deltaup-notice.service", "deltaup-trace.service")
}

// network has the machine ask for an address. A machine without a network would wait for one, so it
// is not the default.
func (r *systemRoot) network(t *testing.T) {
	t.Helper()
	r.write(t, "etc/systemd/network/80-dhcp.network", []byte("[Match]\nName=e*\n[Network]\nDHCP=yes\n"), 0o644)
	r.write(t, "etc/systemd/system/life.service.d/network.conf", []byte("[Unit]\nWants=network-online.target\n"), 0o644)
	r.run(t, "systemctl", "enable", "systemd-networkd.service", "systemd-networkd-wait-online.service")
}

// image makes an image of the folder as one version.
func (r *systemRoot) image(t *testing.T, version int) (path string) {
	t.Helper()
	r.write(t, "usr/lib/release", fmt.Appendln(nil, version), 0o644)
	path = fmt.Sprintf("%s-v%d.squashfs", r.dir, version)
	tool(t, r.path("usr/bin/deltaup"), "mkimage", "-o", path, "--level", "fastest", "--exclude", "boot/*",
		"--exclude", "usr/lib/dracut", "--exclude", "usr/share/locale", "--exclude", "var/lib/apt", "--exclude", "var/cache", r.dir)
	return path
}

// reportStart is the beginning of a report's script.
const reportStart = `#!/bin/sh
exec >/dev/console 2>&1
say() { echo "LIFE $*"; }
noticed() { journalctl -u deltaup-notice.service -o cat -t deltaup | sed 's/^/LIFE notice: /'; }
release=$(cat /usr/lib/release)
say "release $release: $(cat /proc/cmdline)"
say "root: $(findmnt -n -o FSTYPE,OPTIONS /)"
say "image: $(findmnt -n -o FSTYPE,SOURCE /run/deltaup/image) $(cat /sys/block/loop*/loop/backing_file 2>/dev/null)"
say "boot-complete: $(systemctl is-active boot-complete.target)"
deltaup doctor | sed 's/^/LIFE doctor: /'
systemctl stop deltaup-trace.service # this report is part of the boot that it records
say "trace: $(sed -n 2p /run/deltaup/boot.trace):$(grep -o -e ' usr/lib/systemd/systemd -$' -e ' usr/bin/life -$' /run/deltaup/boot.trace | tr -d '\n')"
`

// recorded is what reportStart prints about a boot's trace. Only the recorder in the initramfs can
// have seen systemd start, and only the recorder that took over can have seen the report start.
const recorded = "trace: lost 0: usr/lib/systemd/systemd - usr/bin/life -\n"

// said gives what the reports on a console say. When the test fails it logs the whole console.
func said(t *testing.T, console string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(console) {
		if _, text, ok := strings.Cut(strings.TrimSpace(line), "LIFE "); ok {
			fmt.Fprintln(&b, text)
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(console)
		}
	})
	return b.String()
}

// wantSaid demands parts of a text, in their order.
func wantSaid(t *testing.T, text string, parts ...string) {
	t.Helper()
	rest := text
	for _, part := range parts {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			t.Errorf("was not said, or not behind what was to come before: %q", part)
			continue
		}
		rest = after
	}
}
