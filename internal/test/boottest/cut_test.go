package boottest

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/disktest"
	"deltaup/internal/test/grubtest"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/grubenv"
)

// bootEvery says that real GRUB starts on one of so many cuts.
const bootEvery = 10

// recordings is how often the test records an update and cuts it at its activation, since the
// kernel's order of writes differs from run to run.
const recordings = 5

// slotSize is the size of a slot's partition, in bytes.
const slotSize = 4 * mib

var cuts = flag.Int("cuts", 300, "how often the power is cut in each record")

var twoSlots = counted.Slots{"a", "b"}

// TestPowerCut records all writes of an update, from before it begins until the machine is off, and
// cuts the power between any two. GRUB, which replays no journal, and Linux, which does, must then
// choose the same slot, and that slot must be whole.
func TestPowerCut(t *testing.T) {
	w := newWorld(t)
	for _, fs := range []string{"ext4", "vfat"} {
		t.Run(fs, func(t *testing.T) {
			t.Parallel()
			var r *recording
			var faults []string
			worst := 0
			for range recordings {
				r = record(t, w, fs, "install", w.old)
				worst += r.activations(t)
				faults = append(faults, r.faults...)
			}
			r.faults = faults
			last := r.replay(t, *cuts)
			if len(r.faults) > 0 {
				t.Errorf("%d of %d cuts go wrong:\n%s", len(r.faults), worst+*cuts, strings.Join(r.faults[:min(5, len(r.faults))], "\n"))
			}
			if last.state.Trial != "b" || last.choice.Slot != "b" {
				t.Errorf("the update has not put slot b on trial: %+v", last.state)
			}
			t.Logf("%d recordings, the last of %d writes and flushes, %d cuts at their activations, %d anywhere: GRUB chose %v, and did so in all %d boots", recordings, len(r.writes), worst, *cuts, r.chosen, r.boots)
			if len(r.chosen) < 2 {
				t.Errorf("no cut was on the one side of the activation, or none on the other")
			}
		})
	}
}

// TestPowerCutNegative demands that the same cuts detect an activation by rename, which is wrong.
func TestPowerCutNegative(t *testing.T) {
	w := newWorld(t)
	for _, fs := range []string{"ext4", "vfat"} {
		t.Run(fs, func(t *testing.T) {
			t.Parallel()
			r := record(t, w, fs, "rename", w.new)
			r.replay(t, *cuts)
			t.Logf("%d writes and flushes, %d cuts, %d of them go wrong", len(r.writes), *cuts, len(r.faults))
			if len(r.faults) == 0 {
				t.Error("not one cut goes wrong")
			}
		})
	}
}

// recording has the writes of one run of a machine.
type recording struct {
	w      *world
	disk   *disk
	before []byte
	writes []disktest.Write
	faults []string
	chosen map[string]int // how often GRUB chose a slot
	boots  int            // how often real GRUB was started
}

// updateConfig is the guest's configuration.
const updateConfig = `
[[slot]]
name = "a"
path = "/dev/vda3"
boot = "/boot/deltaup/a"
[[slot]]
name = "b"
path = "/dev/vda4"
boot = "/boot/deltaup/b"
`

// updateDisk makes the disk of a machine with active in slot a, the active slot, and spare in slot
// b.
func updateDisk(t *testing.T, fs string, active, spare release) *disk {
	t.Helper()
	l := layout{fs: fs, boot: 24 * mib, files: map[string][]byte{envPath: envOf(t, twoSlots, counted.State{Active: "a"})}}
	cfg := &grub.Script{UUID: l.uuid(), Env: envPath, Preamble: []string{"serial", "terminal_output serial"}}
	for i, r := range []release{active, spare} {
		folder := "/deltaup/" + twoSlots[i]
		slot := grub.Entry{Slot: twoSlots[i], Kernel: folder + "/vmlinuz", Initrd: folder + "/initrd.img"}
		cfg.Entries = append(cfg.Entries, slot)
		l.files[slot.Kernel], l.files[slot.Initrd] = r.kernel, r.initrd
		l.raw = append(l.raw, append(bytes.Clone(r.image), make([]byte, slotSize-len(r.image))...))
	}
	whole, err := cfg.Whole()
	if err != nil {
		t.Fatal(err)
	}
	l.files["/grub/grub.cfg"] = whole
	return newDisk(t, l)
}

// record runs a machine with version 1 in slot a and spare in slot b, which does a deed of command
// guest, and records its writes.
func record(t *testing.T, w *world, fs, deed string, spare release) *recording {
	t.Helper()
	d := updateDisk(t, fs, w.old, spare)
	r := &recording{w: w, disk: d, before: readFile(t, d.path), chosen: map[string]int{}}
	dir := tempDir(t)
	log, initrd := filepath.Join(dir, "log"), filepath.Join(dir, "initrd")
	writeFile(t, log, nil)
	files := guestFiles(t)
	files["deltaup"] = program(t, "cmd/deltaup")
	files["deltaup.toml"] = []byte(updateConfig)
	files["run/.keep"] = nil
	addFolder(t, files, w.mirror, "mirror")
	writeFile(t, initrd, cpiotest.Root(files))
	modules := "virtio_ring,virtio,virtio_pci_modern_dev,virtio_pci_legacy_dev,virtio_pci,virtio_blk,squashfs"
	if fs == "vfat" {
		modules += ",fat,vfat,nls_cp437,nls_ascii"
	}
	console, _ := qemu{disk: d, record: log, timeout: linuxBoot, direct: &direct{
		kernel: only(t, "boot/vmlinuz-*"), initrd: initrd,
		args: "console=ttyS0 quiet no_timer_check panic=1 deltaup.slot=a image=/dev/vda3 boot=/dev/vda2 bootfs=" + fs + " modules=" + modules + " do=" + deed,
	}}.boot(t)
	if !strings.Contains(console, "guest: done") {
		t.Fatalf("the machine did not do it:\n%s", console)
	}
	var err error
	if r.writes, err = disktest.ParseLog(readFile(t, log)); err != nil {
		t.Fatal(err)
	}
	after := bytes.Clone(r.before)
	for _, w := range r.writes {
		copy(after[w.Off:], w.Data)
	}
	if !bytes.Equal(after, readFile(t, d.path)) {
		t.Fatal("the log does not tell all writes")
	}
	return r
}

// replay cuts the power n times, evenly over the record and after its end. It returns what GRUB
// sees at the end.
func (r *recording) replay(t *testing.T, n int) view {
	t.Helper()
	chance := rand.New(rand.NewPCG(1, uint64(n)))
	c := disktest.Cutter{Writes: r.writes, Disk: bytes.Clone(r.before)}
	if r.disk.fs == "ext4" {
		c.Super = r.disk.boot + 2*sector
	}
	dir := tempDir(t)
	var last view
	for i := range n {
		at := (i*len(r.writes) + n - 2) / (n - 1)
		image := c.Cut(min(at, len(r.writes)), chance)
		seen, fault := r.check(t, dir, image)
		if fault != "" {
			r.faults = append(r.faults, fmt.Sprintf("cut before write %d of %d: %s", at, len(r.writes), fault))
		}
		if fault == "" && (i%bootEvery == 0 || i == n-1) {
			if fault := r.boot(t, dir, image, seen); fault != "" {
				r.faults = append(r.faults, fmt.Sprintf("boot after a cut before write %d of %d: %s", at, len(r.writes), fault))
			}
			r.boots++
		}
		r.chosen[seen.choice.Slot]++
		last = seen
	}
	return last
}

// activations cuts the power directly after each write of an environment block that puts slot b on
// trial. The block has reached the disk, and each time another one of the writes that the disk
// could have done before or after it has not. It returns the number of cuts.
func (r *recording) activations(t *testing.T) int {
	t.Helper()
	dir, n, flushed := tempDir(t), 0, 0
	disk := bytes.Clone(r.before)
	for i, w := range r.writes {
		if w.Flush {
			for _, done := range r.writes[flushed : i+1] {
				copy(disk[done.Off:], done.Data)
			}
			flushed = i + 1
		}
		if !bytes.HasPrefix(w.Data, []byte("# GRUB Environment Block\n")) || !bytes.Contains(w.Data, []byte("\ndeltaup_trial=b\n")) {
			continue
		}
		for lost := flushed; lost < i; lost++ {
			image := bytes.Clone(disk)
			for j := flushed; j <= i; j++ {
				if j != lost {
					copy(image[r.writes[j].Off:], r.writes[j].Data)
				}
			}
			if _, fault := r.check(t, dir, image); fault != "" {
				r.faults = append(r.faults, fmt.Sprintf("cut behind activation %d of %d, write %d lost: %s", i, len(r.writes), lost, fault))
			}
			n++
		}
		image := append(bytes.Clone(disk[:w.Off]), append(bytes.Clone(w.Data), disk[w.Off+int64(len(w.Data)):]...)...)
		if _, fault := r.check(t, dir, image); fault != "" {
			r.faults = append(r.faults, fmt.Sprintf("cut behind activation %d of %d, all from write %d on lost: %s", i, len(r.writes), flushed, fault))
		}
		n++
	}
	return n
}

// check compares what GRUB and Linux see on a disk after a power cut.
func (r *recording) check(t *testing.T, dir string, image []byte) (seen view, fault string) {
	t.Helper()
	boot := filepath.Join(dir, "boot")
	writeFile(t, boot, image[r.disk.boot:r.disk.raw[0]])
	seen = newView(func(name string) []byte { return grubRead(boot, name) })
	if r.disk.fs == "ext4" {
		tool(t, "e2fsck", "-E", "journal_only", "-p", boot)
		if out, err := exec.Command("/usr/sbin/e2fsck", "-fn", boot).CombinedOutput(); err != nil {
			return seen, fmt.Sprintf("e2fsck after the journal: %v\n%s", err, out)
		}
	}
	linux := newView(func(name string) []byte { return readFrom(t, r.disk.fs, boot, 0, name) })
	if !seen.sees(linux) {
		return seen, fmt.Sprintf("GRUB sees %v and boots %s; Linux sees %v and would boot %s", seen, seen.choice.Slot, linux, linux.choice.Slot)
	}
	slot := seen.choice.Slot
	at := slices.Index(twoSlots, slot)
	if at < 0 {
		return seen, "GRUB boots nothing"
	}
	content := image[r.disk.raw[at]:][:slotSize]
	if r.w.old.whole(content, seen.files[slot]) || r.w.new.whole(content, seen.files[slot]) {
		return seen, ""
	}
	return seen, fmt.Sprintf("GRUB boots slot %s, which is not whole: %+v", slot, seen.state)
}

// boot starts real GRUB on a disk after a power cut. GRUB must do what the model finds from seen.
func (r *recording) boot(t *testing.T, dir string, image []byte, seen view) (fault string) {
	t.Helper()
	d := &disk{path: filepath.Join(dir, "disk")}
	writeFile(t, d.path, image)
	console, stub := qemu{disk: d, timeout: stubBoot}.boot(t)
	said, initrd, _ := strings.Cut(stub, "\n")
	slot := seen.choice.Slot
	if !strings.Contains(said, strings.Join(seen.choice.Args(), " ")+" ") || initrd != string(seen.files[slot].initrd)+"\n" {
		return fmt.Sprintf("GRUB started %q with an initrd of %d bytes; its view was %+v\n%s", said, len(initrd)-1, seen.choice.Args(), console)
	}
	boot := filepath.Join(dir, "boot")
	writeFile(t, boot, readFile(t, d.path)[r.disk.boot:r.disk.raw[0]])
	if env := grubRead(boot, envPath); !bytes.Equal(env, seen.choice.Env) {
		return fmt.Sprintf("GRUB left %q", env)
	}
	return ""
}

// grubRead reads a file with GRUB's own file system drivers, which replay no journal. It gives nil
// when there is no such file.
func grubRead(boot, name string) []byte {
	out, err := exec.Command("grub-fstest", boot, "cat", name).Output()
	if err != nil {
		return nil
	}
	return out
}

// view is what one reader finds in BOOT.
type view struct {
	state  counted.State
	choice grubtest.Choice
	files  map[string]bootFiles // by slot
}

// newView reads BOOT. GRUB tries to load every file that is there and not empty.
func newView(read func(name string) []byte) view {
	v := view{files: map[string]bootFiles{}}
	loads := map[string]bool{}
	for _, slot := range twoSlots {
		files := bootFiles{kernel: read("/deltaup/" + slot + "/vmlinuz"), initrd: read("/deltaup/" + slot + "/initrd.img")}
		v.files[slot] = files
		loads[slot] = len(files.kernel) > 0 && len(files.initrd) > 0
	}
	env := read(envPath)
	v.choice = grubtest.Choose(grubtest.Start{Slots: twoSlots, Env: env, Loads: loads})
	if block, ok := grubenv.LoadEnv(env); ok {
		v.state = grub.StateOf(block, twoSlots)
	}
	return v
}

// String is the state and the sizes of the slots' files.
func (v view) String() string {
	text := fmt.Sprintf("%+v", v.state)
	for _, slot := range twoSlots {
		text += fmt.Sprintf(", %s: kernel of %d bytes, initrd of %d", slot, len(v.files[slot].kernel), len(v.files[slot].initrd))
	}
	return text
}

// sees tells whether two readers will do the same, at this boot and later ones.
func (v view) sees(o view) bool {
	return v.choice.Slot == o.choice.Slot && bytes.Equal(v.choice.Env, o.choice.Env)
}
