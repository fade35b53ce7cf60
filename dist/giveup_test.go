package dist

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/grubtest"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
	"deltaup/slotboot/grubenv"
)

// bootPartition makes a BOOT with an environment block that holds the state.
func (l *lab) bootPartition(fs, name string, s counted.State) (device string) {
	l.t.Helper()
	block := filepath.Join(l.dir, name+".files/deltaup/grubenv")
	if err := os.MkdirAll(filepath.Dir(block), 0o755); err != nil {
		l.t.Fatal(err)
	}
	if err := os.WriteFile(block, grubtest.Block(l.t, s), 0o644); err != nil {
		l.t.Fatal(err)
	}
	image := filepath.Join(l.dir, name+".image")
	if fs == "vfat" {
		run(l.t, "mkfs.fat", "-C", image, "1024")
		run(l.t, "mmd", "-i", image, "::deltaup")
		run(l.t, "mcopy", "-i", image, block, "::deltaup/grubenv")
	} else {
		run(l.t, "mke2fs", "-q", "-t", "ext4", "-d", filepath.Join(l.dir, name+".files"), image, "1M")
	}
	content, err := os.ReadFile(image)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.loop(name, content)
}

// block is the environment block on a BOOT as it lies on its medium.
func (l *lab) block(name string) []byte {
	l.t.Helper()
	b, err := os.ReadFile(filepath.Join(l.dir, name))
	if err != nil {
		l.t.Fatal(err)
	}
	i := bytes.Index(b, []byte("# GRUB Environment Block\n"))
	if i < 0 {
		l.t.Fatal("no environment block")
	}
	return b[i:][:grubenv.Size]
}

// TestGiveUp boots slots that fail, each as often as it says, and looks at what the initramfs
// leaves for GRUB.
func TestGiveUp(t *testing.T) {
	if testing.Short() {
		t.Skip("a shell's: no goroutine of ours")
	}
	l := newLab(t)
	zeros := l.loop("zeros", make([]byte, 1<<20))
	cut, err := os.ReadFile(filepath.Join(l.dir, "image"))
	if err != nil {
		t.Fatal(err)
	}
	cut[len(cut)-1], cut[40] = 0, 255 // longer than it is
	short := l.loop("short", cut[:4096])
	slots := counted.Slots{"a", "b"}
	steady := counted.State{Slots: slots, Active: "b", ID: "5ac07e11"}
	trial := counted.State{Slots: slots, Active: "a", Trial: "b", Tries: 2, ID: "5ac07e11"}
	const none = " deltaup.image=/dev/none-such"
	missing := " deltaup.image=" + l.data + ":/slots/none"
	noData := " deltaup.data=LABEL=none-such deltaup.image=" + l.slot
	noFS := " deltaup.image=" + zeros + ":/x"
	for i, x := range []struct {
		name, fs string
		start    counted.State
		args     string
		boots    int
		fault    string // what is noted at the end, "" nothing
		bad      bool   // the slot is given up
		says     string
	}{
		{"file missing", "ext4", steady, missing, 1, "b:missing:1", true, "slot b is given up: the next boot is of another slot"},
		// where this kernel knows it
		{"file missing, FAT", "vfat", steady, missing, 1, "b:missing:1", true, "slot b is given up"},
		{"half an image", "ext4", steady, " deltaup.image=" + l.data + ":/slots/cut.squashfs", 1, "b:image:1", true, "slot b is given up"},
		{"no image", "ext4", steady, " deltaup.image=" + zeros, 1, "b:image:1", true, "slot b is given up"},
		{"no image, to memory", "ext4", steady, " deltaup.toram deltaup.image=" + zeros, 1, "b:image:1", true, "slot b is given up"},
		{"cut off, to memory", "ext4", steady, " deltaup.toram deltaup.image=" + short, 1, "b:image:1", true, "slot b is given up"},
		{"no device", "ext4", steady, none, 1, "b:device:1", false, "slot b is given up after 3 such boots in a row; this is number 1"},
		{"no device, twice", "ext4", steady, none, 2, "b:device:2", false, "this is number 2"},
		{"no device, three times", "ext4", steady, none, 3, "b:device:3", true, "slot b is given up: the next"},
		{"no file system", "ext4", steady, noFS, 3, "b:mount:3", true, "slot b is given up: the next"},
		{"fallen back to", "ext4", steady, none + " deltaup.fellback=a", 4, "", false, "did not appear"},
		{"last good", "ext4", counted.State{Slots: slots, Active: "b", Bad: []string{"a"}, ID: "5ac07e11"}, missing, 1, "", false, "there is no other slot that is good"},
		{"trial", "ext4", trial, missing + " deltaup.trial", 1, "b:missing:1", true, "slot b is given up"},
		{"trial's device", "ext4", trial, none + " deltaup.trial", 3, "", false, "did not appear"},
		{"data missing", "ext4", steady, noData, 1, "b:data:1", false, "memory takes its place after 3 such boots in a row; this is number 1"},
		{"data missing, twice", "ext4", steady, noData, 2, "b:data:2", false, "the data partition LABEL=none-such did not appear"},
		{"data that cannot be mounted", "ext4", steady, " deltaup.data=" + zeros + " deltaup.image=" + l.slot, 2, "b:data:2", false, "cannot be mounted"},
		{"data missing, last good", "ext4", counted.State{Slots: slots, Active: "b", Bad: []string{"a"}, ID: "5ac07e11"}, noData + " deltaup.fellback=a", 2, "b:data:2", false, "this is number 2"},
		{"data missing, trial", "ext4", trial, noData + " deltaup.trial", 4, "", false, "slot b cannot boot: the data partition LABEL=none-such did not appear"},
		{"data required", "ext4", steady, noData + " deltaup.nodata=never", 4, "", false, "slot b cannot boot: the data partition LABEL=none-such did not appear"},
		{"data and slot missing", "ext4", steady, " deltaup.data=LABEL=none-such" + none, 3, "b:device:3", true, "slot b is given up: the next"},
		{"data for the overlay", "ext4", steady, " deltaup.overlay=data deltaup.image=" + l.slot, 3, "", false, "needs deltaup.data="},
		{"another block", "ext4", counted.State{Slots: slots, Active: "b", ID: "5ac07e12"}, missing, 1, "", false, "or not what GRUB has read"},
	} {
		t.Run(x.name, func(t *testing.T) {
			if known, err := os.ReadFile("/proc/filesystems"); err != nil || !strings.Contains(string(known), "\t"+x.fs+"\n") {
				t.Skipf("this kernel has no %s, %v", x.fs, err)
			}
			name := "boot" + string(rune('a'+i))
			device := l.bootPartition(x.fs, name, x.start)
			before := l.block(name)
			var out string
			for range x.boots {
				out, err = l.boot("deltaup.slot=b deltaup.env=5ac07e11 deltaup.grubenv="+device+":/deltaup/grubenv"+x.args, "true")
				if err == nil || !strings.HasSuffix(out, "restarting in 10 seconds\nrestarted\n") {
					t.Fatalf("%v: %s", err, out)
				}
			}
			if !strings.Contains(out, x.says) {
				t.Errorf("got\n%swant %s", out, x.says)
			}
			after := l.block(name)
			parsed, err := grubenv.Parse(after)
			if err != nil {
				t.Fatal(err)
			}
			s := grub.StateOf(parsed, slots)
			if s.Fault.String() != x.fault || s.IsBad("b") != x.bad || (x.fault == "") != bytes.Equal(before, after) {
				t.Errorf("noted %+v\n%s", s, out)
			}
			loads := map[string]bool{"a": true, "b": true}
			if c := grubtest.Choose(grubtest.Start{Slots: slots, Env: after, Loads: loads}); x.bad && (c.Slot != "a" || c.FellBack != "b") {
				t.Errorf("GRUB boots %q", c.Args())
			}
			if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(mounts, []byte(device+" ")) {
				t.Errorf("%s is still mounted, %v", device, err)
			}
		})
	}
	l.detach("cut.squashfs")
}

// TestDataFallback: the third boot in a row without the data partition has memory in its place, and
// so have those that follow, which write nothing. A boot that has its data uses them.
func TestDataFallback(t *testing.T) {
	l := newLab(t)
	slots := counted.Slots{"a", "b"}
	device := l.bootPartition("ext4", "boot", counted.State{Slots: slots, Active: "b", ID: "5ac07e11"})
	noted := func() (counted.Fault, []byte) {
		t.Helper()
		env := l.block("boot")
		block, err := grubenv.Parse(env)
		if err != nil {
			t.Fatal(err)
		}
		return grub.StateOf(block, slots).Fault, env
	}
	start := "deltaup.slot=b deltaup.env=5ac07e11 deltaup.grubenv=" + device + ":/deltaup/grubenv deltaup.image=" + l.slot
	for n := 1; n < 3; n++ {
		if out, err := l.boot(start+" deltaup.data=LABEL=none-such", "true"); err == nil || !strings.HasSuffix(out, "restarting in 10 seconds\nrestarted\n") {
			t.Fatalf("%v: %s", err, out)
		}
	}
	const told = `grep -qx "the data partition LABEL=none-such did not appear, in 3 boots in a row: memory takes its place" "$DELTAUP_RUN/nodata" && echo x >"$root/data/x"`
	var third []byte
	for n := range 3 {
		out, err := l.boot(start+" deltaup.data=LABEL=none-such", told)
		if err != nil || !strings.Contains(out, "memory takes its place") {
			t.Fatalf("%v: %s", err, out)
		}
		fault, env := noted()
		if want := (counted.Fault{Slot: "b", Why: counted.FaultData, Boots: 3}); fault != want {
			t.Errorf("noted %+v", fault)
		}
		if n > 0 && !bytes.Equal(env, third) {
			t.Error("the block has changed again")
		}
		third = env
	}
	out, err := l.boot(start+" deltaup.data="+l.data, `[ -f "$root/data/slots/b.squashfs" ] && ! [ -e "$DELTAUP_RUN/nodata" ]`)
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestDataUncounted: where boots cannot be counted, the machine waits in one boot and then goes on.
func TestDataUncounted(t *testing.T) {
	l := newLab(t)
	const told = `grep -qx "the data partition LABEL=none-such did not appear: memory takes its place" "$DELTAUP_RUN/nodata"`
	for name, args := range map[string]string{
		"an older boot entry": "",
		"no BOOT":             " deltaup.env=5ac07e11 deltaup.grubenv=UUID=none-such:/deltaup/grubenv",
		"no block":            " deltaup.env=5ac07e11 deltaup.grubenv=" + l.data + ":/none",
	} {
		out, err := l.boot("deltaup.slot=a deltaup.data=LABEL=none-such deltaup.image="+l.slot+args, told)
		if err != nil || !strings.Contains(out, "such boots cannot be counted: waiting on") {
			t.Errorf("%s: %v: %s", name, err, out)
		}
	}
}

// TestDataFull: an overlay that cannot be kept on the data partition counts as if that were
// missing.
func TestDataFull(t *testing.T) {
	l := newLab(t)
	l.write("full/deltaup/overlay", "a file in the folder's place\n")
	disk := filepath.Join(l.dir, "full.image")
	run(t, "mke2fs", "-q", "-t", "ext4", "-d", filepath.Join(l.dir, "full"), disk, "1M")
	content, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	args := "deltaup.slot=a deltaup.overlay=data deltaup.data=" + l.loop("full.disk", content) + " deltaup.image=" + l.slot
	const told = `grep -q "cannot be made: memory takes its place" "$DELTAUP_RUN/nodata" && echo 8 >"$root/etc/version"`
	if out, err := l.boot(args, told); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := l.boot(args+" deltaup.nodata=never", "true"); err == nil || !strings.HasSuffix(out, "restarting in 10 seconds\nrestarted\n") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestDataReadOnly: a medium that has worn out takes no more writes. The folders of the overlay are
// there, and the overlay cannot be mounted on them.
func TestDataReadOnly(t *testing.T) {
	l := newLab(t)
	for _, dir := range []string{"upper", "work"} {
		l.write("worn/deltaup/overlay/a/"+dir+"/.keep", "")
	}
	disk := filepath.Join(l.dir, "worn.image")
	run(t, "mke2fs", "-q", "-t", "ext4", "-d", filepath.Join(l.dir, "worn"), disk, "1M")
	device := l.loopOf(disk, "--read-only")
	args := "deltaup.slot=a deltaup.overlay=data deltaup.data=" + device + " deltaup.image=" + l.slot
	const told = `grep -q ": memory takes its place" "$DELTAUP_RUN/nodata" && echo 8 >"$root/etc/version"`
	if out, err := l.boot(args, told); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := l.boot(args+" deltaup.nodata=never", "true"); err == nil || !strings.HasSuffix(out, "restarting in 10 seconds\nrestarted\n") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestNotNoted boots where nothing can be noted: it restarts as ever, and says why.
func TestNotNoted(t *testing.T) {
	l := newLab(t)
	device := l.bootPartition("ext4", "boot", counted.State{Slots: counted.Slots{"a", "b"}, Active: "b", ID: "5ac07e11"})
	before := l.block("boot")
	const start = "deltaup.slot=b deltaup.env=5ac07e11 deltaup.image="
	missing := l.data + ":/slots/none"
	for _, x := range []struct{ name, cmdline, want string }{
		{"an older boot entry", start + missing, "there is no file"},
		{"no BOOT", start + missing + " deltaup.grubenv=UUID=none-such:/deltaup/grubenv", "not noted: the device UUID=none-such did not appear"},
		{"BOOT is none", start + missing + " deltaup.grubenv=" + l.slot + "x:/deltaup/grubenv", "did not appear"},
		{"BOOT is read-only", start + missing + " deltaup.grubenv=" + l.slot + ":/etc/version", "not noted: "},
		{"no block", start + missing + " deltaup.grubenv=" + device + ":/deltaup/none", "not noted: "},
		{"no id", "deltaup.slot=b deltaup.image=" + missing + " deltaup.grubenv=" + device + ":/deltaup/grubenv", "there is no file"},
	} {
		t.Run(x.name, func(t *testing.T) {
			out, err := l.boot(x.cmdline, "true")
			if err == nil || !strings.Contains(out, x.want) || !strings.HasSuffix(out, "restarting in 10 seconds\nrestarted\n") {
				t.Errorf("%v: got\n%swant %s", err, out, x.want)
			}
			if !bytes.Equal(l.block("boot"), before) {
				t.Error("the block has changed")
			}
		})
	}
}

// TestImageFault tells what is damaged from what cannot be read.
func TestImageFault(t *testing.T) {
	image := make([]byte, 3<<12)
	copy(image, "hsqs")
	binary.LittleEndian.PutUint64(image[40:], 9000) // bytes used
	binary.LittleEndian.PutUint64(image[64:], 5000) // the first table
	with := func(off int, b ...byte) []byte {
		c := bytes.Clone(image)
		copy(c[off:], b)
		return c
	}
	huge := bytes.Repeat([]byte{0xff}, 8)
	for name, x := range map[string]struct {
		image []byte
		want  string
	}{
		"whole":               {image, ""},
		"no padding":          {image[:9000], ""},
		"zeros":               {make([]byte, 8192), "image\n"},
		"empty":               {nil, "image\n"},
		"four bytes":          {image[:4], "image\n"},
		"half a superblock":   {image[:66], "image\n"},
		"cut off":             {image[:8999], "image\n"},
		"cut off at its head": {image[:96], "image\n"},
		"tables behind it":    {with(64, 0, 0, 1), "image\n"},
		"of any size":         {with(40, huge...), "image\n"},
		"tables anywhere":     {with(64, huge...), "image\n"},
		"other bytes":         {with(0, 'H'), "image\n"},
	} {
		file := filepath.Join(t.TempDir(), "image")
		if err := os.WriteFile(file, x.image, 0o644); err != nil {
			t.Fatal(err)
		}
		if got := imageFault(t, file); got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
	if got := imageFault(t, t.TempDir()); got != "read\n" { // which cannot be read either
		t.Errorf("a folder: %q", got)
	}
}

func imageFault(t *testing.T, file string) string {
	t.Helper()
	out, err := exec.Command(tool(t, "dash"), "-c", `. initramfs/deltaup.sh; deltaup_image_fault "$1"`, "sh", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
