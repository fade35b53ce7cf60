package device_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/device"
	"deltaup/internal/cpiotest"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	// Everything here is synced again and again; on a busy disk nothing else would take time.
	if dir, err := os.MkdirTemp("/dev/shm", "deltaup-device"); err == nil {
		defer os.RemoveAll(dir)
		os.Setenv("TMPDIR", dir)
	}
	defer func() { os.RemoveAll(theWorld.dir) }()
	return m.Run()
}

// releases is how many there are: versions 1 to 4.
const releases = 4

// world is the releases, published on a mirror of their own each with all before it: mirror[i] has i+1 as the newest.
type world struct {
	dir    string
	mirror [releases]string
	image  [releases]string
	kernel [releases]string
	initrd [releases]string
	made   [releases]chunkstore.ID // the initrd as a target makes it anew
}

var (
	makeWorld  sync.Once
	theWorld   world
	worldError error
)

func newWorld(t testing.TB) *world {
	t.Helper()
	makeWorld.Do(func() { worldError = theWorld.make() })
	if worldError != nil {
		t.Fatal(worldError)
	}
	return &theWorld
}

func (w *world) make() (err error) {
	if w.dir, err = os.MkdirTemp("", "deltaup-device"); err != nil {
		return err
	}
	for i := range releases {
		if err := w.release(i); err != nil {
			return err
		}
		w.mirror[i] = filepath.Join(w.dir, fmt.Sprintf("mirror%d", i+1))
		for j := range i + 1 {
			p, err := mirror.Publish(context.Background(), w.mirror[i], mirror.Publication{
				Version: fmt.Sprint(j + 1), Channel: "stable", Compatible: "board-a", Image: w.image[j], PatchFrom: 1,
				Artifacts: []mirror.File{{Name: mirror.KernelName, Path: w.kernel[j]}, {Name: mirror.InitrdName, Path: w.initrd[j]}},
			})
			if err != nil {
				return err
			}
			w.made[j] = p.Release.Artifact(mirror.InitrdName).ID
		}
	}
	return nil
}

// release makes the files of version i+1.
func (w *world) release(i int) error {
	file := func(kind string) string { return filepath.Join(w.dir, fmt.Sprintf("%s%d", kind, i+1)) }
	w.image[i], w.kernel[i], w.initrd[i] = file("image"), file("kernel"), file("initrd")
	files := map[string][]byte{
		"etc/version":     fmt.Append(nil, i+1),
		"usr/lib/same.so": noise(1, 60<<10),
		"usr/lib/new.so":  noise(uint64(10+i), 40<<10),
	}
	for name, content := range files {
		path := filepath.Join(file("tree"), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	kernel := append(noise(2, 30<<10), noise(uint64(20+i%2), 10<<10)...) // the same in releases 1 and 3, and in 2 and 4
	if err := os.WriteFile(w.kernel[i], kernel, 0o644); err != nil {
		return err
	}
	initrd := cpiotest.Initrd(map[string][]byte{"init": fmt.Append(nil, "init ", i+1), "lib/new.so": files["usr/lib/new.so"]})
	if err := os.WriteFile(w.initrd[i], initrd, 0o644); err != nil {
		return err
	}
	return makeImage(file("tree"), w.image[i])
}

func noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(p) // never fails
	return p
}

func makeImage(folder, image string) error {
	ctx := context.Background()
	clamp := uint32(1_700_000_000)
	t, err := tree.FromFolder(ctx, folder, tree.Options{Owner: &tree.Owner{}, Clamp: &clamp})
	if err != nil {
		return err
	}
	defer t.Close()
	r, src, err := mkimage.NewRecipe(ctx, t, mkimage.Options{Level: "fastest"})
	if err != nil {
		return err
	}
	var b, text bytes.Buffer
	out, err := os.Create(image)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := mkimage.Build(ctx, r, src, out, mkimage.BuildOptions{}); err != nil {
		return err
	}
	if _, err := b.ReadFrom(out); err != nil {
		return err
	}
	if _, err := r.WriteTo(&text); err != nil {
		return err
	}
	return os.WriteFile(image+".recipe", text.Bytes(), 0o644)
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
	m.runs(counted.Choice{Slot: "a"})
	d, err := device.Open(m.root, "")
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
func (m *target) runs(c counted.Choice) {
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
func (m *target) choose() counted.Choice {
	m.t.Helper()
	var names counted.Slots
	for _, s := range m.Config.Slots {
		names = append(names, s.Name)
	}
	env := []byte(m.read(m.path(m.Config.Boot.Grubenv)))
	return counted.Select(counted.Machine{Slots: names, Env: env, Loads: m.loads()})
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
func (m *target) prepare(version int, o device.UpdateOptions) (*device.Update, error) {
	m.t.Helper()
	client, err := mirror.NewClient([]string{m.w.mirror[version-1]}, mirror.ClientOptions{})
	if err != nil {
		m.t.Fatal(err)
	}
	return m.Prepare(m.t.Context(), apply.Request{Client: client}, o)
}

// update updates to version.
func (m *target) update(version int) error {
	m.t.Helper()
	u, err := m.prepare(version, device.UpdateOptions{Warning: func(s string) { m.t.Errorf("warning: %s", s) }})
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
