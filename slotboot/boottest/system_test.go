package boottest

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/mirror"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
	deltaupmachine "deltaup/slotboot/machine"
)

// systemBoot is for two boots of Debian and an update, which together take 3 to 4 minutes here when nothing else runs.
const systemBoot = 15 * time.Minute

// report is what runs at the end of each boot of the system: it says what is, updates release 1, and ends with release 2.
const report = `#!/bin/sh
exec >/dev/console 2>&1
say() { echo "LIFE $*"; }
say "release $(cat /usr/lib/release): $(cat /proc/cmdline)"
deltaup doctor | sed 's/^/LIFE doctor: /'
if [ "$(cat /usr/lib/release)" = 1 ]; then
	systemctl start deltaup-update.service
	say "update: $(systemctl show -p ExecMainStatus --value deltaup-update.service)"
	deltaup status | sed 's/^/LIFE status: /'
	sync
	systemctl reboot
else
	deltaup status | sed 's/^/LIFE status: /'
	systemctl --failed --no-legend | sed 's/^/LIFE failed unit: /'
	say done
fi
`

// TestSystem is one whole life of a real Debian: it boots under systemd from a slot, pulls the next release over the network by
// its unit, reboots into it through GRUB, and its unit marks it good. DELTAUP_TEST_SYSTEM names the folder of its root file
// system, which has the program, the units and an initrd as doc/initramfs.md says: bench/life.sh makes it.
func TestSystem(t *testing.T) {
	root := os.Getenv("DELTAUP_TEST_SYSTEM")
	if root == "" {
		t.Skip("DELTAUP_TEST_SYSTEM is not set; bench/life.sh sets it")
	}
	dir := tempDir(t)
	deltaup := filepath.Join(dir, "deltaup")
	writeFile(t, deltaup, program(t, "cmd/deltaup"))
	if err := os.Chmod(deltaup, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		t.Helper()
		if out, err := exec.Command(deltaup, args...).CombinedOutput(); err != nil {
			t.Fatalf("deltaup %q: %v: %s", args, err, out)
		}
	}
	server := httptest.NewServer(mirror.Handler(filepath.Join(dir, "mirror")))
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	systemFiles(t, root, "http://10.0.2.2:"+port)
	kernel, initrd := filepath.Join(root, "boot/vmlinuz"), filepath.Join(root, "boot/initrd.img")
	keys, secret := filepath.Join(dir, "keys"), filepath.Join(dir, "secret")
	writeFile(t, secret, []byte("a secret of the publisher\n"))
	run("keys", "init", "--keys", keys, "--mirror", filepath.Join(dir, "mirror"), "--passphrase-file", secret, "--work", "2")
	writeFile(t, filepath.Join(root, "usr/lib/deltaup/root.json"), readFile(t, filepath.Join(keys, "root.json")))
	publish := func(version, image string) {
		t.Helper()
		run("publish", "--mirror", filepath.Join(dir, "mirror"), "--keys", keys, "--passphrase-file", secret,
			"--version", version, "--kernel", kernel, "--initrd", initrd, image)
	}
	for version := 1; version <= 2; version++ {
		writeFile(t, filepath.Join(root, "usr/lib/release"), fmt.Appendln(nil, version))
		image := filepath.Join(dir, fmt.Sprintf("v%d.squashfs", version))
		run("mkimage", "-o", image, "--level", "fastest", "--exclude", "boot/*", "--exclude", "usr/share/doc",
			"--exclude", "usr/share/locale", "--exclude", "usr/share/man", "--exclude", "var/lib/apt", "--exclude", "var/cache", root)
		if version == 1 {
			publish("1", image)
		}
	}
	first := readFile(t, filepath.Join(dir, "v1.squashfs"))
	room := (len(first) + 16*mib) / mib * mib
	first = append(first, make([]byte, room-len(first))...)
	d := systemDisk(t, readFile(t, kernel), readFile(t, initrd), first)
	publish("2", filepath.Join(dir, "v2.squashfs"))

	start := time.Now()
	console, _ := machine{disk: d, reboots: true, until: "LIFE done", timeout: systemBoot, memory: 1024, network: true}.boot(t)
	t.Logf("%v", time.Since(start).Round(time.Second))
	var said []string
	for line := range strings.Lines(console) {
		if _, text, ok := strings.Cut(strings.TrimSpace(line), "LIFE "); ok {
			said = append(said, text)
		}
	}
	t.Log(strings.Join(said, "\n"))
	all := strings.Join(said, "\n") + "\n"
	for _, want := range []string{
		"release 1: ", "update: 0\n", "status: reboot needed: slot b boots next\n",
		"release 2: ", "deltaup.slot=b", "deltaup.trial", "doctor: good     GRUB read this environment block when the machine started\n",
		"status: running: slot b\n", "done\n",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("was not said: %q", want)
		}
	}
	if strings.Contains(all, "failed unit: deltaup") {
		t.Error("a unit failed")
	}
}

// systemFiles puts into the root file system what makes it this machine.
func systemFiles(t *testing.T, root, mirror string) {
	t.Helper()
	for name, text := range map[string]string{
		"etc/deltaup/deltaup.toml": fmt.Sprintf(`mirrors = [%q]
state = "/boot/deltaup/state"
[boot]
grubenv = %q
[[slot]]
name = "a"
path = "/dev/nvme0n1p3"
boot = "/boot/deltaup/a"
[[slot]]
name = "b"
path = "/dev/nvme0n1p4"
boot = "/boot/deltaup/b"
`, mirror, "/boot"+envPath),
		"etc/fstab":                           "/dev/nvme0n1p2 /boot ext4 defaults 0 0\n",
		"etc/systemd/network/80-dhcp.network": "[Match]\nName=e*\n[Network]\nDHCP=yes\n",
		"etc/systemd/system/life.service": "[Unit]\nAfter=deltaup-mark-good.service network-online.target systemd-networkd.service\nWants=network-online.target\n" +
			"[Service]\nType=oneshot\nExecStart=/usr/bin/life\nTimeoutStartSec=infinity\n[Install]\nWantedBy=multi-user.target\n",
		"usr/bin/life": report,
	} {
		writeFile(t, filepath.Join(root, name), []byte(text))
	}
	if err := os.Chmod(filepath.Join(root, "usr/bin/life"), 0o755); err != nil {
		t.Fatal(err)
	}
	tool(t, "systemctl", "--root="+root, "enable", "life.service", "systemd-networkd.service", "systemd-networkd-wait-online.service",
		"deltaup-mark-good.service", "deltaup-trial.timer")
}

// systemDisk is a disk with two slots, of which the first holds an image.
func systemDisk(t *testing.T, kernel, initrd, image []byte) *disk {
	t.Helper()
	names := counted.Slots{"a", "b"}
	l := layout{fs: "ext4", boot: 192 * mib, raw: [][]byte{image, make([]byte, len(image))}}
	l.files = map[string][]byte{
		"/deltaup/a/vmlinuz": kernel, "/deltaup/a/initrd.img": initrd, "/deltaup/b/empty": nil,
		envPath: envOf(t, names, counted.State{Active: "a", Bad: []string{"b"}, ID: "5eed5eed"}),
	}
	cfg := &grub.Config{
		UUID: l.uuid(), Env: envPath, Preamble: []string{"serial", "terminal_output serial"},
		Args: []string{"console=ttyS0", "no_timer_check", "edd=off", "systemd.show_status=0"},
	}
	for i, name := range names {
		cfg.Slots = append(cfg.Slots, grub.Slot{
			Name: name, Kernel: "/deltaup/" + name + "/vmlinuz", Initrd: "/deltaup/" + name + "/initrd.img",
			Args: []string{fmt.Sprintf("%s=/dev/nvme0n1p%d", deltaupmachine.ArgImage, 3+i)},
		})
	}
	whole, err := cfg.Whole()
	if err != nil {
		t.Fatal(err)
	}
	l.files["/grub/grub.cfg"] = whole
	return newDisk(t, l)
}
