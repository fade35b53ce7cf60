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
