package device_test

import (
	"os"
	"strings"
	"testing"

	"deltaup/device"
	"deltaup/slotboot/config"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/loader"
)

// TestSetup is repeated without harm, and refuses what GRUB could not write.
func TestSetup(t *testing.T) {
	m := newTarget(t)
	m.mustUpdate(2)
	before := m.read(m.path("/boot/deltaup/grubenv"))
	files, err := m.Setup(t.Context(), device.SetupOptions{Outputs: map[string]string{
		grub.OutputWhole: m.path("/boot/grub/grub.cfg"), grub.OutputGenerator: m.path("/etc/grub.d/42_deltaup"),
	}})
	if err != nil || len(files) != 3 {
		t.Fatalf("got %v, %v", files, err)
	}
	if m.read(m.path("/boot/deltaup/grubenv")) != before {
		t.Error("a second setup changed the state")
	}
	for _, path := range []string{"/boot/deltaup/deltaup.cfg", "/boot/grub/grub.cfg", "/etc/grub.d/42_deltaup"} {
		text := m.read(m.path(path))
		for _, want := range []string{"/deltaup/b/vmlinuz", "/deltaup/b/initrd.img", "deltaup.image=LABEL=data:/b.squashfs", "/deltaup/grubenv"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s does not say %s", path, want)
			}
		}
	}
	if info, err := os.Stat(m.path("/etc/grub.d/42_deltaup")); err != nil || info.Mode()&0o111 == 0 {
		t.Errorf("the generator cannot be run: %v", err)
	}
	mounts := m.read(m.path("/proc/self/mountinfo"))
	m.write("/proc/self/mountinfo", strings.Replace(mounts, "vfat", "btrfs", 1))
	_, err = m.Setup(t.Context(), device.SetupOptions{})
	wantErr(t, err, loader.ErrUnfit)
}

// TestSetupGrubenv tells the initramfs where the environment block lies, by the UUID of its file
// system.
func TestSetupGrubenv(t *testing.T) {
	m := newTarget(t)
	script := func() string {
		t.Helper()
		if _, err := m.Setup(t.Context(), device.SetupOptions{}); err != nil {
			t.Fatal(err)
		}
		return m.read(m.path("/boot/deltaup/deltaup.cfg"))
	}
	if strings.Contains(script(), "deltaup.grubenv") {
		t.Error("an argument without a UUID")
	}
	sector := make([]byte, 512)
	copy(sector[0x27:], "\xaf\x3d\xc6\x0f")
	copy(sector[0x36:], "FAT16   ")
	m.write("/dev/sda1", string(sector))
	m.write("/sys/dev/block/8:1/uevent", "DEVNAME=sda1\n")
	if got := script(); strings.Count(got, " deltaup.grubenv=UUID=0FC6-3DAF:/deltaup/grubenv") != 2 {
		t.Errorf("not an argument of both kernels:\n%s", got)
	}
}

// TestSetupData turns boot.data into what the initramfs goes by.
func TestSetupData(t *testing.T) {
	m := newTarget(t)
	for data, want := range map[config.NoData]string{
		config.DataFallback: "", config.DataOptional: " deltaup.nodata ", config.DataRequired: " deltaup.nodata=never ",
	} {
		m.Config.Boot.Data = data
		if _, err := m.Setup(t.Context(), device.SetupOptions{}); err != nil {
			t.Fatal(err)
		}
		script := m.read(m.path("/boot/deltaup/deltaup.cfg"))
		if want == "" && strings.Contains(script, "nodata") || strings.Count(script, want) < 2 {
			t.Errorf("%s:\n%s", data, script)
		}
	}
}

// TestSetupElsewhere sets a machine up that is not running.
func TestSetupElsewhere(t *testing.T) {
	m := newTarget(t)
	m.write("/proc/cmdline", "quiet\n")
	if err := os.Remove(m.path("/boot/deltaup/grubenv")); err != nil {
		t.Fatal(err)
	}
	_, err := m.Setup(t.Context(), device.SetupOptions{})
	wantErr(t, err, device.ErrNoActive)
	if _, err := m.Setup(t.Context(), device.SetupOptions{Active: "a"}); err != nil {
		t.Fatal(err)
	}
	if got := m.reboot(); got != "a" {
		t.Errorf("booted %s", got)
	}
	_, err = m.Select("both")
	wantErr(t, err, device.ErrNoSlot)
}
