package boottest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/slotboot/counted"
)

// TestLayers boots examples/appliance, of which deltaup has composed image, kernel and initrd
// without a script of any package: on trial, through GRUB, with its data partition found by label.
// Its services answer, and it has made its own host keys.
func TestLayers(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("DELTAUP_TEST_LAYERS")
	if dir == "" {
		t.Skip("DELTAUP_TEST_LAYERS is not set; bench/test-boot.sh sets it")
	}
	file := func(name string) []byte { return readFile(t, filepath.Join(dir, name)) }
	l := systemLayout([]string{"/dev/nvme0n1p3", "/data/b.squashfs"},
		map[string]string{"b": "LABEL=kept:/b.squashfs"})
	l.args = "console=ttyS0 no_timer_check edd=off systemd.show_status=0 deltaup.data=LABEL=kept"
	data := filepath.Join(tempDir(t), "data")
	tool(t, "mke2fs", "-q", "-F", "-t", "ext4", "-L", "kept", data, "16M")
	image := file("image.squashfs")
	image = append(image, make([]byte, mib-len(image)%mib)...)
	d := l.disk(t, counted.State{Active: "b", Trial: "a", Tries: 3, ID: "5eed5eed"},
		bootFiles{file("vmlinuz"), file("initrd.img")}, image, readFile(t, data))

	start := time.Now()
	console, _ := qemu{disk: d, until: "LIFE done", timeout: systemBoot, memory: 1024}.boot(t)
	t.Logf("a boot in %v, initrd %d bytes", time.Since(start).Round(time.Second), len(file("initrd.img")))
	all := said(t, console)
	t.Log(all)
	wantSaid(t, all,
		"arguments: ", "deltaup.slot=a", "deltaup.trial", "root: overlay", "image: squashfs /dev/nvme0n1p3\n",
		"data: /dev/nvme0n1p4\n", "multi-user: active\n", "boot-complete: active\n", "failed units: 0\n", "ssh: ssh-ed25519\n",
		"ssh_host_ed25519_key", "nginx: <title>Welcome to nginx!</title>\n", "status: running: slot a\n", "done\n")
	if strings.Contains(console, "cannot boot") {
		t.Error("it did not boot at once")
	}
}

// initrdBoot is enough for a boot that ends when the root file system is there, which takes half a
// minute when nothing else runs.
const initrdBoot = 10 * time.Minute

// TestInitrds boots composed initrds of each way to find the disks up to the init of the image: the
// slot is a partition or a logical volume, and its data partition is found by label.
func TestInitrds(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("DELTAUP_TEST_LAYERS")
	if dir == "" {
		t.Skip("DELTAUP_TEST_LAYERS is not set; bench/test-boot.sh sets it")
	}
	const volume = "/dev/vg-of-slots/slot-a"
	for _, c := range []struct{ initrd, slot, mounted string }{
		{"initrd.img", "/dev/nvme0n1p3", "/dev/nvme0n1p3"},
		{"udev.img", "/dev/nvme0n1p3", "/dev/nvme0n1p3"},
		{"lvm.img", volume, "/dev/mapper/vg--of--slots-slot--a"},
		{"udev-lvm.img", volume, "/dev/mapper/vg--of--slots-slot--a"},
	} {
		t.Run(c.initrd+c.slot, func(t *testing.T) {
			image := readFile(t, filepath.Join(dir, "image.squashfs"))
			image = append(image, make([]byte, mib-len(image)%mib)...)
			if c.slot == volume {
				image = physicalVolume("vg-of-slots", "slot-a", image)
			}
			data := filepath.Join(tempDir(t), "data")
			tool(t, "mke2fs", "-q", "-F", "-t", "ext4", "-L", "kept", data, "16M")
			l := systemLayout([]string{c.slot, "/data/b.squashfs"}, nil)
			d := l.disk(t, counted.State{Active: "a", ID: "5eed5eed"}, bootFiles{}, image, readFile(t, data))
			// the kernel says its arguments, too, which must not have the word
			report := `say() { echo LI''FE "$@"; }; say image: $(findmnt -n -o FSTYPE,SOURCE /run/deltaup/image); ` +
				`say data: $(findmnt -n -o SOURCE /data); say root: $(findmnt -n -o FSTYPE /); ` +
				`say links: $(readlink -f /dev/disk/by-label/kept); say done; sleep 1000`
			start := time.Now()
			console, _ := qemu{
				disk: d, until: "LIFE done", timeout: initrdBoot, memory: 512,
				direct: &direct{filepath.Join(dir, "vmlinuz"), filepath.Join(dir, c.initrd),
					"console=ttyS0 no_timer_check edd=off deltaup.slot=a deltaup.image=" + c.slot +
						` deltaup.data=LABEL=kept init=/bin/sh -- -c "` + report + `"`},
			}.boot(t)
			t.Logf("a boot in %v, initrd %d bytes", time.Since(start).Round(time.Second),
				len(readFile(t, filepath.Join(dir, c.initrd))))
			wantSaid(t, said(t, console), "image: squashfs "+c.mounted+"\n", "data: /dev/nvme0n1p4\n",
				"root: overlay\n", "links: /dev/nvme0n1p4\n", "done\n")
			if strings.Contains(console, "cannot boot") {
				t.Error("it did not boot at once")
			}
		})
	}
}
