package device_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/device"
	"deltaup/internal/test/grubtest"
	"deltaup/mirror/client"
	"deltaup/slotboot/config"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/machine"
)

// loaders are those of these tests.
var loaders = device.Loaders{
	"grub": func(m machine.Machine, c *config.Config) (device.Loader, error) { return grub.New(m, c) },
}

// target is a device of files below a folder, which runs from slot a with version 1.
type target struct {
	*device.Device
	t    testing.TB
	w    *world
	root string
}

func newTarget(t testing.TB, slots ...string) *target {
	t.Helper()
	if len(slots) == 0 {
		slots = []string{"a", "b"}
	}
	m := &target{t: t, w: newWorld(t), root: t.TempDir()}
	var toml strings.Builder
	toml.WriteString("compatible = \"board-a\"\n")
	for _, s := range slots {
		fmt.Fprintf(&toml, "[[slot]]\nname = %q\npath = \"/data/%s.squashfs\"\nboot = \"/boot/deltaup/%s\"\nimage = \"LABEL=data:/%s.squashfs\"\n", s, s, s, s)
	}
	m.write(config.Places[0], toml.String())
	m.write("/data/.keep", "")
	m.install("a", 1)
	m.runs(grubtest.Choice{Slot: "a"})
	d, err := device.Open(m.root, "", loaders)
	if err != nil {
		t.Fatal(err)
	}
	m.Device = d
	if _, err := m.Setup(t.Context(), device.SetupOptions{}); err != nil {
		t.Fatal(err)
	}
	return m
}

func (m *target) path(path string) string { return filepath.Join(m.root, path) }

func (m *target) write(path, text string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(m.path(path)), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(m.path(path), []byte(text), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

func (m *target) read(path string) string {
	m.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	return string(b)
}

// install puts a release into a slot as a factory does.
func (m *target) install(slot string, version int) {
	m.t.Helper()
	m.write("/data/"+slot+".squashfs", m.read(m.w.image[version-1]))
	m.write("/boot/deltaup/"+slot+"/vmlinuz", m.read(m.w.kernel[version-1]))
	m.write("/boot/deltaup/"+slot+"/initrd.img", m.read(m.w.initrd[version-1]))
}

// runs sets what the kernel says after GRUB's choice.
func (m *target) runs(c grubtest.Choice) {
	m.t.Helper()
	m.write("/proc/cmdline", strings.Join(c.Args(), " ")+"\n")
	m.write("/proc/self/mountinfo", `20 1 0:30 / / rw - overlay overlay rw
21 20 8:1 / /boot rw - vfat /dev/sda1 rw
22 20 8:2 / /data rw - xfs /dev/sda2 rw
23 20 8:2 /state /var/lib/deltaup rw - xfs /dev/sda2 rw
24 20 7:0 / /run/deltaup/image ro - squashfs /dev/loop0 ro
`)
	m.write("/sys/dev/block/7:0/loop/backing_file", "/data/"+c.Slot+".squashfs\n")
}

// loads are the slots whose kernel and initrd are there.
func (m *target) loads() map[string]bool {
	loads := map[string]bool{}
	for _, s := range m.Config.Slots {
		_, kernelErr := os.Stat(m.path(s.Boot + "/vmlinuz"))
		_, initrdErr := os.Stat(m.path(s.Boot + "/initrd.img"))
		loads[s.Name] = kernelErr == nil && initrdErr == nil
	}
	return loads
}

// choose is what GRUB would do now; nothing changes.
func (m *target) choose() grubtest.Choice {
	m.t.Helper()
	env := []byte(m.read(m.path(m.Config.Boot.Grubenv)))
	return grubtest.Choose(grubtest.Start{Slots: m.Config.Names(), Env: env, Loads: m.loads()})
}

// reboot lets GRUB choose, and gives the slot that runs then.
func (m *target) reboot() string {
	m.t.Helper()
	c := m.choose()
	m.write(m.Config.Boot.Grubenv, string(c.Env))
	m.runs(c)
	os.RemoveAll(m.path("/run/motd.d"))
	m.checkWhole(c.Slot)
	return c.Slot
}

// checkWhole demands that a slot that boots holds one release, with its own kernel and initrd.
func (m *target) checkWhole(slot string) {
	m.t.Helper()
	image := m.read(m.path("/data/" + slot + ".squashfs"))
	for i := range releases {
		if want := m.read(m.w.image[i]); strings.HasPrefix(image, want) {
			if m.read(m.path("/boot/deltaup/"+slot+"/vmlinuz")) != m.read(m.w.kernel[i]) {
				m.t.Fatalf("slot %s boots version %d with another kernel", slot, i+1)
			}
			initrd := m.read(m.path("/boot/deltaup/" + slot + "/initrd.img"))
			if initrd != m.read(m.w.initrd[i]) && chunkstore.Sum([]byte(initrd)) != m.w.made[i] {
				m.t.Fatalf("slot %s boots version %d with another initrd", slot, i+1)
			}
			return
		}
	}
	m.t.Fatalf("slot %s would boot and holds no whole image", slot)
}

// version is what a slot holds by the records.
func (m *target) version(slot string) string {
	m.t.Helper()
	for _, s := range m.status().Slots {
		if s.Name == slot {
			return s.Version
		}
	}
	m.t.Fatalf("no slot %s", slot)
	return ""
}

func (m *target) status() *device.Status {
	m.t.Helper()
	s, err := m.Status(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	return s
}

// prepare prepares an update to the newest release of a mirror that ends with version.
func (m *target) prepare(version int, o device.InstallOptions) (*device.Installation, error) {
	m.t.Helper()
	reader, err := client.New([]string{m.w.mirror[version-1]}, client.Options{})
	if err != nil {
		m.t.Fatal(err)
	}
	return m.Prepare(m.t.Context(), apply.Request{Client: reader}, o)
}

// update updates to version.
func (m *target) update(version int) error {
	m.t.Helper()
	u, err := m.prepare(version, device.InstallOptions{Warning: func(s string) { m.t.Errorf("warning: %s", s) }})
	if err != nil {
		return err
	}
	_, err = u.Run(m.t.Context())
	if closeErr := u.Close(); closeErr != nil {
		m.t.Error(closeErr)
	}
	return err
}

// mustUpdate updates to version and reboots into it.
func (m *target) mustUpdate(version int) (slot string) {
	m.t.Helper()
	if err := m.update(version); err != nil {
		m.t.Fatal(err)
	}
	slot = m.reboot()
	if got := m.version(slot); got != fmt.Sprint(version) {
		m.t.Fatalf("rebooted into slot %s with version %s, want version %d", slot, got, version)
	}
	return slot
}

func (m *target) markGood() {
	m.t.Helper()
	if _, changed, err := m.MarkGood(m.t.Context()); err != nil || !changed {
		m.t.Fatalf("mark good: %v, %v", changed, err)
	}
}
