package boottest

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/slotboot/counted"
	"deltaup/slotboot/grubenv"
)

var cuts = flag.Int("cuts", 300, "how often the power is cut in each record")

var twoSlots = counted.Slots{"a", "b"}

// TestPowerCut records all writes of an update, from before it begins until the machine is off, and cuts the power anywhere
// in it. GRUB, which replays no journal, and Linux, which does, must then choose the same slot, and that must be whole.
func TestPowerCut(t *testing.T) {
	w := newWorld(t)
	for _, fs := range []string{"ext4", "vfat"} {
		t.Run(fs, func(t *testing.T) {
			t.Parallel()
			r := record(t, w, fs, "install", counted.State{Active: "a"}, w.old)
			last := r.replay(t, *cuts)
			if len(r.faults) > 0 {
				t.Errorf("%d of %d cuts go wrong:\n%s", len(r.faults), *cuts, strings.Join(r.faults[:min(5, len(r.faults))], "\n"))
			}
			if last.state.Trial != "b" || last.choice.Slot != "b" {
				t.Errorf("the update has not put slot b on trial: %+v", last.state)
			}
			t.Logf("%d writes and flushes, %d cuts: GRUB chose %v", len(r.writes), *cuts, r.chosen)
			if len(r.chosen) < 2 {
				t.Errorf("no cut was on the one side of the activation, or none on the other")
			}
		})
	}
}

// TestPowerCutNegative: the same cuts find out an activation by rename.
func TestPowerCutNegative(t *testing.T) {
	w := newWorld(t)
	for _, fs := range []string{"ext4", "vfat"} {
		t.Run(fs, func(t *testing.T) {
			t.Parallel()
			r := record(t, w, fs, "rename", counted.State{Active: "a"}, w.new)
			r.replay(t, *cuts)
			t.Logf("%d writes and flushes, %d cuts, %d of them go wrong", len(r.writes), *cuts, len(r.faults))
			if len(r.faults) == 0 {
				t.Error("not one cut goes wrong")
			}
		})
	}
}

// recording is the writes of one machine's run.
type recording struct {
	w      *world
	disk   *disk
	before []byte
	writes []diskWrite
	faults []string
	chosen map[string]int // how often GRUB chose a slot
}

// record boots a machine with version 1 in slot a and spare in slot b, which does a deed of command guest.
func record(t *testing.T, w *world, fs, deed string, s counted.State, spare release) *recording {
	t.Helper()
	l := layout{fs: fs, boot: 24 * mib, raw: [][]byte{inSlot(w.old.image), inSlot(spare.image)}}
	env := envOf(t, twoSlots, s)
	l.files = map[string][]byte{
		envPath:                 env,
		"/deltaup/a/vmlinuz":    w.old.kernel,
		"/deltaup/a/initrd.img": w.old.initrd,
		"/deltaup/b/vmlinuz":    spare.kernel,
		"/deltaup/b/initrd.img": spare.initrd,
	}
	d := newDisk(t, l)
	r := &recording{w: w, disk: d, before: readFile(t, d.path), chosen: map[string]int{}}

	files := guestFiles(t)
	files["deltaup"] = program(t, "cmd/deltaup")
	files["run/.keep"] = nil
	files["deltaup.toml"] = []byte(`
[[slot]]
name = "a"
path = "/dev/vda3"
boot = "/boot/deltaup/a"
[[slot]]
name = "b"
path = "/dev/vda4"
boot = "/boot/deltaup/b"
`)
	addFolder(t, files, w.mirror, "mirror")
	dir := tempDir(t)
	log := filepath.Join(dir, "log")
	writeFile(t, log, nil)
	initrd := filepath.Join(dir, "initrd")
	writeFile(t, initrd, cpio(files))
	modules := "virtio_ring,virtio,virtio_pci_modern_dev,virtio_pci_legacy_dev,virtio_pci,virtio_blk,squashfs"
	if fs == "vfat" {
		modules += ",fat,vfat,nls_cp437,nls_ascii"
	}
	console, _ := machine{disk: d, record: log, timeout: linuxBoot, direct: &direct{
		kernel: only(t, "boot/vmlinuz-*"), initrd: initrd,
		args: "console=ttyS0 quiet no_timer_check panic=1 deltaup.slot=a image=/dev/vda3 boot=/dev/vda2 bootfs=" + fs + " modules=" + modules + " do=" + deed,
	}}.boot(t)
	if !strings.Contains(console, "guest: done") {
		t.Fatalf("the machine did not do it:\n%s", console)
	}
	var err error
	if r.writes, err = parseLog(readFile(t, log)); err != nil {
		t.Fatal(err)
	}
	whole := cutter{writes: r.writes, disk: bytes.Clone(r.before)}
	for i := range whole.writes {
		copy(whole.disk[whole.writes[i].off:], whole.writes[i].data)
	}
	if !bytes.Equal(whole.disk, readFile(t, d.path)) {
		t.Fatal("the log does not tell all writes")
	}
	return r
}

// inSlot is an image in a partition with room for another.
func inSlot(image []byte) []byte {
	return append(bytes.Clone(image), make([]byte, 4*mib-len(image))...)
}

// replay cuts the power n times, evenly over the record and after its end, and returns what GRUB sees at the end.
func (r *recording) replay(t *testing.T, n int) view {
	t.Helper()
	chance := rand.New(rand.NewPCG(1, uint64(n)))
	c := cutter{writes: r.writes, disk: bytes.Clone(r.before)}
	if r.disk.fs == "ext4" {
		c.super = r.disk.boot + 2*sector
	}
	dir := tempDir(t)
	var last view
	for i := range n {
		at := (i*len(r.writes) + n - 2) / (n - 1)
		image := c.cut(min(at, len(r.writes)), chance)
		grub, fault := r.check(t, dir, image)
		if fault != "" {
			r.faults = append(r.faults, fmt.Sprintf("cut before write %d of %d: %s", at, len(r.writes), fault))
		}
		r.chosen[grub.choice.Slot]++
		last = grub
	}
	return last
}

// check compares what GRUB and Linux see on a disk after a power cut.
func (r *recording) check(t *testing.T, dir string, image []byte) (grub view, fault string) {
	t.Helper()
	boot := filepath.Join(dir, "boot")
	writeFile(t, boot, image[r.disk.boot:r.disk.raw[0]])
	grub = newView(func(name string) []byte {
		out, err := exec.Command("grub-fstest", boot, "cat", name).Output()
		if err != nil {
			return nil
		}
		return out
	})
	if r.disk.fs == "ext4" {
		tool(t, "e2fsck", "-E", "journal_only", "-p", boot)
		if out, err := exec.Command("/usr/sbin/e2fsck", "-fn", boot).CombinedOutput(); err != nil {
			return grub, fmt.Sprintf("e2fsck after the journal: %v\n%s", err, out)
		}
	}
	linux := newView(func(name string) []byte { return linuxRead(t, r.disk.fs, boot, name) })
	if !grub.sees(linux) {
		return grub, fmt.Sprintf("GRUB sees %+v and boots %s; Linux sees %+v and would boot %s", grub.state, grub.choice.Slot, linux.state, linux.choice.Slot)
	}
	slot := grub.choice.Slot
	at := slices.Index(twoSlots, slot)
	if at < 0 {
		return grub, "GRUB boots nothing"
	}
	content := image[r.disk.raw[at]:][:4*mib]
	if r.w.old.whole(content, grub.files[slot]) || r.w.new.whole(content, grub.files[slot]) {
		return grub, ""
	}
	return grub, fmt.Sprintf("GRUB boots slot %s, which is not whole: %+v", slot, grub.state)
}

// view is what one reader of BOOT makes of it.
type view struct {
	state  counted.State
	choice counted.Choice
	files  map[string]bootFiles // of each slot
}

// newView reads BOOT. What is there and not empty is something that GRUB tries to load.
func newView(read func(name string) []byte) view {
	v := view{files: map[string]bootFiles{}}
	loads := map[string]bool{}
	for _, slot := range twoSlots {
		files := bootFiles{kernel: read("/deltaup/" + slot + "/vmlinuz"), initrd: read("/deltaup/" + slot + "/initrd.img")}
		v.files[slot] = files
		loads[slot] = len(files.kernel) > 0 && len(files.initrd) > 0
	}
	env := read(envPath)
	v.choice = counted.Select(counted.Machine{Slots: twoSlots, Env: env, Loads: loads})
	if block, ok := grubenv.LoadEnv(env); ok {
		v.state = counted.Of(block, twoSlots)
	}
	return v
}

// sees tells whether two readers would do the same, now and on the boots to come.
func (v view) sees(o view) bool {
	return v.choice.Slot == o.choice.Slot && bytes.Equal(v.choice.Env, o.choice.Env)
}

// linuxRead reads a file of a file system whose journal has been replayed; nil when it is not there.
func linuxRead(t *testing.T, fs, boot, name string) []byte {
	t.Helper()
	out := boot + ".file"
	os.Remove(out)
	if fs == "vfat" {
		cmd := exec.Command("mcopy", "-n", "-i", boot, "::"+name, out)
		if err := cmd.Run(); err != nil {
			return nil
		}
	} else {
		tool(t, "debugfs", "-R", fmt.Sprintf("dump %s %s", name, out), boot)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return nil
	}
	return b
}
