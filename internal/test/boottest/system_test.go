package boottest

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/mirror/serve"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/grubenv"
	"deltaup/slotboot/machine"
)

// systemBoot is enough for three boots of Debian and an update, which together take 2 to 4 minutes
// when nothing else runs.
const systemBoot = 30 * time.Minute

// systemArgs are the kernel arguments of a Debian.
const systemArgs = "console=ttyS0 no_timer_check edd=off systemd.show_status=0 deltaup.trace"

// lifeReport has release 1 run the suite of slots, make the logical volume that is slot b, update
// itself by the unit, and write GRUB's configuration anew, by which release 2 runs from memory.
const lifeReport = reportStart + `
if [ "$release" = 1 ]; then
	DELTAUP_TEST_SLOTS="/dev/nvme0n1p4 /boot/slot" slotboot.test -test.run TestGiven -test.v | sed 's/^/LIFE suite: /'
	pvcreate -q -y /dev/nvme0n1p4 && vgcreate -q vg /dev/nvme0n1p4 && lvcreate -q -y -n b -l 100%FREE vg >/dev/null || say "no logical volume"
	DELTAUP_TEST_SLOTS=/dev/vg/b slotboot.test -test.run TestGiven -test.v | sed 's/^/LIFE suite: /'
	rm /boot/slot
	systemctl start deltaup-update.service
	say "update: $(systemctl show -p ExecMainStatus --value deltaup-update.service)"
	say "notice: $(cat /run/reboot-required)"
	deltaup boot setup --whole /boot/grub/grub.cfg >/dev/null || say "no setup"
	deltaup status | sed 's/^/LIFE status: /'
	systemctl reboot
else
	deltaup status | sed 's/^/LIFE status: /'
	systemctl --failed --no-legend | sed 's/^/LIFE failed unit: /'
	say done
fi
`

// TestSystem follows a real Debian with initramfs-tools through its whole life. It boots under
// systemd from a partition. Its unit pulls the next release over the network from a signed mirror
// into a logical volume. It reboots into that through GRUB, and its unit marks it good.
func TestSystem(t *testing.T) {
	t.Parallel()
	root := newSystemRoot(t)
	dir := tempDir(t)
	folder := filepath.Join(dir, "mirror")
	server := httptest.NewServer(serve.Handler(folder))
	defer server.Close()
	_, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "http://"), ":")
	kernel, initrd := only(t, "boot/vmlinuz-*"), root.path("boot/initrd.img")
	first := root.initramfsTools(t)

	deltaup := func(args ...string) {
		t.Helper()
		tool(t, root.path("usr/bin/deltaup"), args...)
	}
	keys, secret := filepath.Join(dir, "keys"), filepath.Join(dir, "secret")
	writeFile(t, secret, []byte("a secret of the publisher\n"))
	deltaup("keys", "init", "--keys", keys, "--mirror", folder, "--passphrase-file", secret, "--work", "2")
	root.write(t, "usr/lib/deltaup/root.json", readFile(t, filepath.Join(keys, "root.json")), 0o644)
	publish := func(version int) (image string) {
		t.Helper()
		image = root.image(t, version)
		deltaup("publish", "--mirror", folder, "--keys", keys, "--passphrase-file", secret,
			"--version", fmt.Sprint(version), "--kernel", kernel, "--initrd", initrd, image)
		return image
	}
	l := systemLayout([]string{"/dev/nvme0n1p3", "/dev/vg/b"}, nil)
	root.write(t, "usr/bin/slotboot.test", suite(t, "slotboot"), 0o755)
	root.configure(t, fmt.Sprintf("mirrors = [\"http://10.0.2.2:%s\"]\n%s", port, l.config("/boot/deltaup/state", systemArgs+" deltaup.toram")), lifeReport)
	root.network(t)
	a := readFile(t, publish(1))
	a = append(a, make([]byte, mib-len(a)%mib)...)
	d := l.disk(t, counted.State{Active: "a", Bad: []string{"b"}, ID: "5eed5eed"}, bootFiles{readFile(t, kernel), first}, a, make([]byte, len(a)+32*mib))
	publish(2)

	start := time.Now()
	console, _ := qemu{disk: d, reboots: true, until: "LIFE done", timeout: systemBoot, memory: 1024, network: true}.boot(t)
	t.Logf("two boots and an update in %v", time.Since(start).Round(time.Second))
	all := said(t, console)
	wantSaid(t, all,
		"release 1: ", "deltaup.slot=a", "root: overlay", "image: squashfs /dev/nvme0n1p3", "boot-complete: active\n",
		"doctor: good     GRUB read this environment block when the machine started\n", recorded,
		"suite:     --- PASS: TestGiven//dev/nvme0n1p4 ", "suite:     --- PASS: TestGiven//boot/slot ", "suite:     --- PASS: TestGiven//dev/vg/b ",
		"update: 0\n", "notice: deltaup: release 2 is installed in slot b and boots at the next restart\n",
		"status: reboot needed: slot b boots next\n",
		"release 2: ", "deltaup.slot=b", "deltaup.trial", "image: squashfs /dev/loop0 /run/deltaup/ram/b.squashfs\n", "boot-complete: active\n",
		"doctor: good     GRUB read this environment block when the machine started\n", recorded,
		"status: running: slot b\n", "done\n")
	for _, never := range []string{"failed unit: deltaup", "doctor: wrong", "no setup", "no logical volume"} {
		if strings.Contains(all, never) {
			t.Errorf("was said: %q", never)
		}
	}
}

// dracutReport leaves a file in the overlay, installs an image into slot b and puts b on trial.
// When the file is gone, the report ends.
const dracutReport = reportStart + `
if ! [ -e /data/slots/b.squashfs ]; then
	echo kept >/etc/kept
	say "data: $(findmnt -n -o SOURCE /data): $(cat /data/deltaup/overlay/a/upper/etc/kept)"
	noticed
	mv /data/slots/spare /data/slots/b.squashfs
	deltaup mark-active b && deltaup mark-active a # it is whole now, and bad no more
	deltaup rollback --reboot | sed 's/^/LIFE rollback: /'
else
	say "overlay: $(cat /etc/kept)"
	noticed
	deltaup status | sed 's/^/LIFE status: /'
	systemctl --failed --no-legend | sed 's/^/LIFE failed unit: /'
	say done
fi
`

// hangingCheck is a health check that does not end. It lets the time of the trial run out itself,
// since nobody knows how long a boot takes here.
const hangingCheck = `#!/bin/sh
echo LIFE a check hangs >/dev/console
mkdir -p /run/systemd/system/deltaup-trial.timer.d
printf '[Timer]\nOnBootSec=\nOnBootSec=1s\n' >/run/systemd/system/deltaup-trial.timer.d/soon.conf
systemctl daemon-reload
systemctl restart deltaup-trial.timer
sleep 1000
`

// TestDracut boots a Debian with an initrd of dracut and a FAT BOOT. First the slot on trial holds
// no image: the initramfs says so, ends the trial at its first boot, and restarts. GRUB falls back
// to a slot in a file of the data partition, which also keeps its overlay. Then the slot on trial
// has an image whose health check never ends: the time of the trial runs out, and GRUB falls back
// again.
func TestDracut(t *testing.T) {
	t.Parallel()
	root := newSystemRoot(t)
	initrd := root.dracut(t)
	l := systemLayout([]string{"/data/slots/a.squashfs", "/data/slots/b.squashfs"},
		map[string]string{"a": "/dev/nvme0n1p3:/slots/a.squashfs", "b": "/dev/nvme0n1p3:/slots/b.squashfs"})
	l.args += " quiet deltaup.data=/dev/nvme0n1p3 deltaup.overlay=data"
	l.fs = "vfat"
	root.configure(t, l.config("/data/state", l.args), dracutReport)
	root.write(t, "etc/deltaup/check.d/required.d/10-hang", []byte(hangingCheck), 0o755)

	tree, data := filepath.Join(tempDir(t), "tree"), filepath.Join(tempDir(t), "data")
	size := 64
	for version, name := range []string{"a.squashfs", "spare"} {
		image := readFile(t, root.image(t, version+1))
		size += len(image)/mib + 1
		writeFile(t, filepath.Join(tree, "slots", name), image)
	}
	tool(t, "mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, data, fmt.Sprintf("%dM", size))
	d := l.disk(t, counted.State{Active: "a", Trial: "b", Tries: 3, ID: "5eed5eed"},
		bootFiles{readFile(t, only(t, "boot/vmlinuz-*")), initrd}, readFile(t, data))

	start := time.Now()
	console, _ := qemu{disk: d, reboots: true, until: "LIFE done", timeout: systemBoot, memory: 1024}.boot(t)
	t.Logf("a restart by the initramfs and three boots in %v", time.Since(start).Round(time.Second))
	wantSaid(t, console,
		"deltaup: slot b cannot boot: there is no file /slots/b.squashfs on /dev/nvme0n1p3",
		"deltaup: slot b is given up: the next boot is of another slot",
		"deltaup: restarting in 10 seconds", "LIFE release 1")
	all := said(t, console)
	wantSaid(t, all,
		"release 1: ", "deltaup.slot=a", "deltaup.fellback=b", "root: overlay", "upperdir=/run/deltaup/data/deltaup/overlay/a/upper",
		"image: squashfs /dev/loop0 /run/deltaup/data/slots/a.squashfs\n", "boot-complete: active\n",
		"doctor: good     GRUB read this environment block when the machine started\n", recorded, "data: /dev/nvme0n1p3: kept\n",
		"notice: slot b was given up: its file was not there\n", "rollback: slot b boots next\n", "a check hangs\n",
		"release 1: ", "deltaup.slot=a", "deltaup.fellback=b", "overlay: kept\n",
		"notice: slot b was given up: not marked good within 15 minutes\n",
		"status: running: slot a\n", "status: fell back: slot b was given up: not marked good within 15 minutes\n", ", slot b): not marked good within 15 minutes\n", "done\n")
	if strings.Contains(all, "failed unit: deltaup") {
		t.Error("a unit failed")
	}
}

// giveUpReport ends with what the machine says about its fallback.
const giveUpReport = reportStart + `
noticed
say "motd: $(cat /run/motd.d/50-deltaup)"
say "hooks: $(cat /boot/deltaup/hooks)"
deltaup status | sed 's/^/LIFE status: /'
systemctl --failed --no-legend | sed 's/^/LIFE failed unit: /'
say done
`

// TestGiveUp boots a machine with initrds of initramfs-tools, whose active slot c has lost its
// disk, and whose slot a has a damaged image. The initramfs gives up c at its third boot and a at
// its first. Slot b boots, and everything that reports a fallback reports it.
func TestGiveUp(t *testing.T) {
	t.Parallel()
	root := newSystemRoot(t)
	initrd := root.initramfsTools(t)
	l := systemLayout([]string{"/dev/nvme0n1p4", "/dev/nvme0n1p3", "/dev/disk/by-partlabel/lost"}, nil)
	root.configure(t, l.config("/boot/deltaup/state", l.args), giveUpReport)
	root.write(t, "etc/deltaup/hook.d/10-log", []byte("#!/bin/sh\necho \"$DELTAUP_EVENT $DELTAUP_SLOT $DELTAUP_BOOTED\" >>/boot/deltaup/hooks\n"), 0o755)
	image := readFile(t, root.image(t, 1))
	damaged := append(make([]byte, sector), image[sector:mib]...)
	d := l.disk(t, counted.State{Active: "c", ID: "5eed5eed"}, bootFiles{readFile(t, only(t, "boot/vmlinuz-*")), initrd},
		append(image, make([]byte, mib-len(image)%mib)...), damaged)

	start := time.Now()
	console, _ := qemu{disk: d, reboots: true, until: "LIFE done", timeout: systemBoot, memory: 1024}.boot(t)
	t.Logf("four restarts by the initramfs and a boot in %v", time.Since(start).Round(time.Second))
	wantSaid(t, console,
		"slot c cannot boot: the device /dev/disk/by-partlabel/lost did not appear", "after 3 such boots in a row; this is number 1",
		"slot c cannot boot: the device", "this is number 2", "slot c cannot boot: the device", "slot c is given up: the next boot is of another slot",
		"slot a cannot boot: /dev/nvme0n1p4 is no squashfs image", "slot a is given up: the next boot is of another slot", "LIFE release 1")
	all := said(t, console)
	wantSaid(t, all,
		"release 1: ", "deltaup.slot=b", "deltaup.fellback=c", "image: squashfs /dev/nvme0n1p3", "boot-complete: active\n",
		"doctor: wrong    slot c is active, and the initramfs has given it up\n",
		"notice: slot c was given up: the initramfs could not boot it\n", "motd: deltaup: slot c was given up: ", "hooks: fallback c b\n",
		"status: running: slot b\n", "status: fell back: slot c was given up: ", "status: failed before this boot: slot a: its image is no squashfs", "done\n")
	if strings.Contains(all, "failed unit: deltaup") {
		t.Error("a unit failed")
	}
	env, ok := grubenv.LoadEnv(d.read(t, envPath))
	if !ok {
		t.Fatal("no environment block")
	}
	if s := grub.StateOf(env, slots); s.Active != "c" || !s.IsBad("c") || !s.IsBad("a") || s.IsBad("b") || s.Fault.String() != "a:image:1" {
		t.Errorf("at the end: %+v", s)
	}
}

// systemSlots are the slots, a and b or more, of a Debian whose disk has BOOT in its second
// partition.
type systemSlots struct {
	slots []systemSlot
	args  string // kernel arguments of all slots
	fs    string // file system of BOOT
}

type systemSlot struct{ name, path, image string }

// systemLayout makes slots with these paths. images are the images of slots that are files, by
// path.
func systemLayout(paths []string, images map[string]string) *systemSlots {
	l := &systemSlots{args: systemArgs, fs: "ext4"}
	for i, path := range paths {
		s := systemSlot{slots[i], path, path}
		if image := images[s.name]; image != "" {
			s.image = image
		}
		l.slots = append(l.slots, s)
	}
	return l
}

// config is the slots' part of deltaup.toml. args are the kernel arguments that deltaup boot setup
// writes.
func (l *systemSlots) config(state, args string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "state = %q\n[boot]\ngrubenv = %q\nargs = %q\n", state, "/boot"+envPath, args)
	for _, s := range l.slots {
		fmt.Fprintf(&b, "[[slot]]\nname = %q\npath = %q\nboot = \"/boot/deltaup/%s\"\nimage = %q\n", s.name, s.path, s.name, s.image)
	}
	return b.String()
}

// disk makes a disk with partitions of these contents behind BOOT, in which both slots have the
// same files.
func (l *systemSlots) disk(t *testing.T, state counted.State, files bootFiles, parts ...[]byte) *disk {
	t.Helper()
	on := layout{fs: l.fs, boot: 256 * mib, raw: parts, files: map[string][]byte{envPath: envOf(t, slots[:len(l.slots)], state)}}
	cfg := &grub.Script{UUID: on.uuid(), Env: envPath, Args: strings.Fields(l.args), Preamble: []string{"serial", "terminal_output serial"}}
	for _, s := range l.slots {
		slot := grub.Entry{
			Slot: s.name, Kernel: "/deltaup/" + s.name + "/vmlinuz", Initrd: "/deltaup/" + s.name + "/initrd.img",
			Args: []string{machine.ArgImage + "=" + s.image, grub.ArgGrubenv + "=UUID=" + on.uuid() + ":" + envPath},
		}
		cfg.Entries = append(cfg.Entries, slot)
		if !state.IsBad(s.name) {
			on.files[slot.Kernel], on.files[slot.Initrd] = files.kernel, files.initrd
		}
	}
	whole, err := cfg.Whole()
	if err != nil {
		t.Fatal(err)
	}
	on.files["/grub/grub.cfg"] = whole
	return newDisk(t, on)
}
