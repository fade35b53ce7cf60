package machine

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/slotboot/config"
)

// fake is a machine of files below a folder.
type fake struct {
	Machine
	t *testing.T
}

func newFake(t *testing.T) *fake { return &fake{Machine{t.TempDir()}, t} }

func (f *fake) write(path, text string) {
	f.t.Helper()
	full := f.Path(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

// device makes a block device node, which is never opened.
func (f *fake) device(path string, major, minor uint32) {
	f.t.Helper()
	full := f.Path(path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := unix.Mknod(full, unix.S_IFBLK|0o600, int(unix.Mkdev(major, minor))); err != nil {
		f.t.Skipf("cannot make device nodes: %v", err)
	}
}

// boots sets what /proc says. Each mount is "MAJOR:MINOR ROOT MOUNTPOINT TYPE SOURCE".
func (f *fake) boots(cmdline string, mounts ...string) {
	f.t.Helper()
	f.write("/proc/cmdline", cmdline+"\n")
	var b strings.Builder
	for i, m := range mounts {
		w := strings.Fields(m)
		fmt.Fprintf(&b, "%d 1 %s %s %s rw,relatime shared:1 - %s %s rw\n", 20+i, w[0], w[1], w[2], w[3], w[4])
	}
	f.write("/proc/self/mountinfo", b.String())
}

func TestArg(t *testing.T) {
	f := newFake(t)
	f.boots("quiet deltaup.slot=a deltaup.trial deltaup.slot=b  x=y=z")
	for name, want := range map[string]string{"deltaup.slot": "b", "deltaup.trial": "", "x": "y=z"} {
		if got, ok, err := f.Arg(name); got != want || !ok || err != nil {
			t.Errorf("%s: %q, %v, %v", name, got, ok, err)
		}
	}
	if _, ok, err := f.Arg("slot"); ok || err != nil {
		t.Errorf("an argument that is not there: %v, %v", ok, err)
	}
}

func TestBooted(t *testing.T) {
	slots := []config.Slot{{Name: "a", Path: "/dev/slot-a"}, {Name: "b", Path: "/data/b.squashfs"}, {Name: "c", Path: "/data/c.squashfs"}}
	const (
		root  = "0:30 / / overlay overlay"
		a     = "8:3 / /run/deltaup/image squashfs /dev/sda3"
		loop  = "7:0 / /run/deltaup/image squashfs /dev/loop0"
		plain = "8:3 / / squashfs /dev/root"
		snap  = "7:0 / /snap/core squashfs /dev/loop0"
	)
	for name, x := range map[string]struct {
		cmdline string
		mounts  []string
		backing string // of 7:0
		want    string
		is      error
	}{
		"device":            {"deltaup.slot=a", []string{root, a}, "", "a", nil},
		"no initramfs":      {"deltaup.slot=a", []string{plain}, "", "a", nil},
		"file":              {"deltaup.slot=b", []string{root, loop}, "/data/b.squashfs", "b", nil},
		"in memory":         {"deltaup.slot=b", []string{root, loop}, "/run/deltaup/ram/b.squashfs", "b", nil},
		"device in memory":  {"deltaup.slot=c", []string{root, loop}, "/run/deltaup/ram/c.squashfs", "c", nil},
		"other mount":       {"deltaup.slot=a", []string{root, snap, a}, "/data/b.squashfs", "a", nil},
		"no argument":       {"quiet", []string{root, a}, "", "", ErrNoSlot},
		"loop on a device":  {"deltaup.slot=a", []string{root, loop}, "/dev/slot-a", "a", nil},
		"other device":      {"deltaup.slot=b", []string{root, a}, "", "", ErrOtherSlot},
		"other file":        {"deltaup.slot=b", []string{root, loop}, "/data/c.squashfs", "", ErrOtherSlot},
		"foreign file":      {"deltaup.slot=b", []string{root, loop}, "/data/foreign", "", ErrOtherSlot},
		"vanished file":     {"deltaup.slot=b", []string{root, loop}, "/gone (deleted)", "", ErrOtherSlot},
		"nothing mounted":   {"deltaup.slot=a", []string{root}, "", "", ErrOtherSlot},
		"unknown slot":      {"deltaup.slot=z", []string{root, a}, "", "", ErrOtherSlot},
		"other in memory":   {"deltaup.slot=b", []string{root, loop}, "/run/deltaup/ram/c.squashfs", "", ErrOtherSlot},
		"snap is no system": {"deltaup.slot=b", []string{root, snap}, "/data/b.squashfs", "", ErrOtherSlot},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.device("/dev/slot-a", 8, 3)
			f.write("/data/b.squashfs", "b")
			f.write("/data/c.squashfs", "c")
			f.write("/data/foreign", "f")
			f.boots(x.cmdline, x.mounts...)
			if x.backing != "" {
				f.write("/sys/dev/block/7:0/loop/backing_file", x.backing+"\n")
			}
			got, err := f.Booted(slots)
			if got != x.want || !errors.Is(err, x.is) || (err == nil) != (x.is == nil) {
				t.Errorf("got %q, %v, want %q, %v", got, err, x.want, x.is)
			}
		})
	}
}

// TestBootedLinks reaches a file by another path than the kernel does.
func TestBootedLinks(t *testing.T) {
	f := newFake(t)
	f.write("/mnt/disk/slots/b", "b")
	if err := os.Symlink("mnt/disk/slots", f.Path("/slots")); err != nil {
		t.Fatal(err)
	}
	f.boots("deltaup.slot=b", "7:0 / /run/deltaup/image squashfs /dev/loop0")
	f.write("/sys/dev/block/7:0/loop/backing_file", "/mnt/disk/slots/b\n")
	if got, err := f.Booted([]config.Slot{{Name: "b", Path: "/slots/b"}}); got != "b" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFileSystem(t *testing.T) {
	for name, x := range map[string]struct {
		path   string
		mounts []string
		sys    map[string]string
		want   FileSystem
	}{
		"vfat": {"/boot/deltaup/grubenv",
			[]string{"8:2 / / ext4 /dev/sda2", "8:1 / /boot vfat /dev/sda1"}, nil,
			FileSystem{Type: "vfat", mount: "/boot", Device: "8:1", Inner: "/deltaup/grubenv", UUID: "ABCD-1234"}},
		"hidden by a later mount": {"/boot/deltaup/grubenv",
			[]string{"8:1 / /boot vfat /dev/sda1", "0:9 / /boot tmpfs tmpfs"}, nil,
			FileSystem{Type: "tmpfs", mount: "/boot", Device: "0:9", Inner: "/deltaup/grubenv"}},
		"folder of a file system": {"/boot/deltaup/grubenv",
			[]string{"8:1 /@boot /boot vfat /dev/sda1"}, nil,
			FileSystem{Type: "vfat", mount: "/boot", Device: "8:1", Inner: "/@boot/deltaup/grubenv", UUID: "ABCD-1234"}},
		"not yet there": {"/boot/deltaup/new",
			[]string{"8:1 / /boot vfat /dev/sda1"}, nil,
			FileSystem{Type: "vfat", mount: "/boot", Device: "8:1", Inner: "/deltaup/new", UUID: "ABCD-1234"}},
		"LVM": {"/boot/deltaup/grubenv",
			[]string{"253:0 / / vfat /dev/mapper/vg-boot"}, map[string]string{"253:0/dm/uuid": "LVM-abc\n"},
			FileSystem{Type: "vfat", mount: "/", Device: "253:0", Inner: "/boot/deltaup/grubenv", Layer: "LVM"}},
		"crypt": {"/boot/deltaup/grubenv",
			[]string{"253:0 / / vfat /dev/mapper/c"}, map[string]string{"253:0/dm/uuid": "CRYPT-LUKS2-abc\n"},
			FileSystem{Type: "vfat", mount: "/", Device: "253:0", Inner: "/boot/deltaup/grubenv", Layer: "an encrypted device"}},
		"RAID": {"/boot/deltaup/grubenv",
			[]string{"9:0 / / vfat /dev/md0"}, map[string]string{"9:0/md/level": "raid1\n"},
			FileSystem{Type: "vfat", mount: "/", Device: "9:0", Inner: "/boot/deltaup/grubenv", Layer: "RAID"}},
		"btrfs": {"/boot/deltaup/grubenv",
			[]string{"0:25 / / btrfs /dev/sda1"}, nil,
			FileSystem{Type: "btrfs", mount: "/", Device: "0:25", Inner: "/boot/deltaup/grubenv"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.device("/dev/sda1", 8, 1)
			f.write("/boot/deltaup/grubenv", "")
			f.write("/dev/disk/by-uuid/.keep", "")
			if err := os.Symlink("../../sda1", f.Path("/dev/disk/by-uuid/ABCD-1234")); err != nil {
				t.Fatal(err)
			}
			f.boots("", x.mounts...)
			for path, text := range x.sys {
				f.write("/sys/dev/block/"+path, text)
			}
			got, err := f.FileSystem(x.path)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(*got, x.want) {
				t.Errorf("got  %+v\nwant %+v", *got, x.want)
			}
		})
	}
}

// TestExtFeatures has real mke2fs make each feature that boot loaders stumble over, and those that
// they take.
func TestExtFeatures(t *testing.T) {
	mke2fs, err := exec.LookPath("mke2fs")
	if err != nil {
		mke2fs = "/sbin/mke2fs"
		if _, err := os.Stat(mke2fs); err != nil {
			if os.Getenv("DELTAUP_TEST_ALL") != "" {
				t.Fatal("no mke2fs")
			}
			t.Skip("no mke2fs")
		}
	}
	for features, want := range map[string]string{
		"metadata_csum,64bit,has_journal": "",
		"inline_data":                     "inline_data",
		"casefold":                        "casefold",
		"bigalloc":                        "bigalloc",
		"ea_inode":                        "ea_inode",
		"ea_inode,inline_data":            "ea_inode, inline_data",
	} {
		t.Run(features, func(t *testing.T) {
			f := newFake(t)
			f.write("/dev/sda1", "")
			out, err := exec.Command(mke2fs, "-q", "-t", "ext4", "-O", features, f.Path("/dev/sda1"), "8M").CombinedOutput()
			if err != nil {
				t.Fatalf("mke2fs: %v: %s", err, out)
			}
			f.boots("", "8:1 / / ext4 /dev/sda1")
			f.write("/sys/dev/block/8:1/uevent", "MAJOR=8\nDEVNAME=sda1\n")
			f.write("/boot/grubenv", "")
			got, err := f.FileSystem("/boot/grubenv")
			if err != nil || strings.Join(got.Features, ", ") != want || got.Unknown != "" {
				t.Errorf("got %+v, %v, want %q", got, err, want)
			}
		})
	}
}

func TestLastConsole(t *testing.T) {
	f := newFake(t)
	if got := f.LastConsole(t.Context(), "a", time.Time{}); got != nil {
		t.Errorf("nothing there: %q", got)
	}
	var text strings.Builder
	for i := range 30 {
		fmt.Fprintf(&text, "line %d\x1b[31m\n\n", i)
	}
	text.WriteString("Kernel panic - not syncing: " + strings.Repeat("x", 500))
	f.write("/sys/fs/pstore/dmesg-ramoops-0", text.String())
	f.write("/var/lib/systemd/pstore/old/dmesg.txt", "an old panic")
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(f.Path("/var/lib/systemd/pstore/old/dmesg.txt"), long, long); err != nil {
		t.Fatal(err)
	}
	got := f.LastConsole(t.Context(), "a", time.Now().Add(-time.Minute))
	if len(got) != consoleLines || got[0] != "line 11[31m" || !strings.HasPrefix(got[consoleLines-1], "Kernel panic") || len(got[consoleLines-1]) != consoleLine {
		t.Errorf("got %q", got)
	}
	if got := f.LastConsole(t.Context(), "a", time.Now().Add(time.Minute)); got != nil {
		t.Errorf("older than the installation: %q", got)
	}
}

// TestLastConsoleRoot finds the files of a machine whose root folder would be a pattern.
func TestLastConsoleRoot(t *testing.T) {
	f := &fake{Machine{filepath.Join(t.TempDir(), "root[1]*")}, t}
	f.write("/sys/fs/pstore/console-ramoops-0", "the end")
	if got := f.LastConsole(t.Context(), "a", time.Now().Add(-time.Minute)); len(got) != 1 || got[0] != "the end" {
		t.Errorf("got %q", got)
	}
}

// TestLastConsoleLong shows the end of a text that is too long to be read as a whole.
func TestLastConsoleLong(t *testing.T) {
	f := newFake(t)
	f.write("/sys/fs/pstore/console-ramoops-0", strings.Repeat("much was said before that\n", maxText/20)+"the end\n")
	if got := f.LastConsole(t.Context(), "a", time.Now().Add(-time.Minute)); len(got) != consoleLines || got[consoleLines-1] != "the end" {
		t.Errorf("got %q", got)
	}
}

// TestHere asks the machine that runs the test, whatever it is.
func TestHere(t *testing.T) {
	var m Machine
	if _, err := m.Booted(nil); err == nil {
		t.Error("runs from a slot")
	}
	fs, err := m.FileSystem("/proc/self/mountinfo")
	if err != nil || fs.Type != "proc" {
		t.Errorf("got %+v, %v", fs, err)
	}
}

// TestLastConsoleJournal asks for the boot before, on the running machine alone.
func TestLastConsoleJournal(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\ncase \" $* \" in *' --boot=-1 '*) ;; *) exit 1 ;; esac\n" +
		"case \" $* \" in *' --dmesg '*) echo Linux version 6; echo 'Command line: BOOT_IMAGE=/x deltaup.slot=a quiet'; yes; esac\necho '[    9.1] init: the disk is gone'\necho\necho '[    9.2] init: giving up'\n"
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	never := time.Now().Add(time.Hour) // no file of pstore is younger
	want := []string{"[    9.1] init: the disk is gone", "[    9.2] init: giving up"}
	if got := (Machine{}).LastConsole(t.Context(), "a", never); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, other := range []string{"b", ""} { // its boot did not get as far as a journal
		if got := (Machine{}).LastConsole(t.Context(), other, never); got != nil {
			t.Errorf("the journal of a boot of slot a is told of slot %q: %q", other, got)
		}
	}
	if got := newFake(t).LastConsole(t.Context(), "a", never); got != nil {
		t.Errorf("the journal of this machine is told of another: %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "journalctl"), []byte("#!/bin/sh\necho no such boot\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := (Machine{}).LastConsole(t.Context(), "a", never); got != nil {
		t.Errorf("no journal: %q", got)
	}
}

// TestFAT has real mkfs.fat make each kind, and GRUB's spelling of its serial number.
func TestFAT(t *testing.T) {
	mkfs, err := exec.LookPath("mkfs.fat")
	if err != nil {
		mkfs = "/sbin/mkfs.fat"
		if _, err := os.Stat(mkfs); err != nil {
			if os.Getenv("DELTAUP_TEST_ALL") != "" {
				t.Fatal("no mkfs.fat")
			}
			t.Skip("no mkfs.fat")
		}
	}
	for bits, kib := range map[string]string{"12": "1024", "16": "20000", "32": "70000"} {
		f := newFake(t)
		f.write("/dev/.keep", "")
		out, err := exec.Command(mkfs, "-C", "-F", bits, "-i", "0abc12de", f.Path("/dev/sda1"), kib).CombinedOutput()
		if err != nil {
			t.Fatalf("mkfs.fat: %v: %s", err, out)
		}
		f.boots("", "8:1 / / vfat /dev/sda1")
		f.write("/sys/dev/block/8:1/uevent", "MAJOR=8\nDEVNAME=sda1\n")
		got, err := f.FileSystem("/boot/deltaup/grubenv")
		if err != nil || got.UUID != "0ABC-12DE" || got.Layer+got.Unknown != "" || got.Features != nil {
			t.Errorf("FAT%s: got %+v, %v", bits, got, err)
		}
		f.write("/dev/sda1", strings.Repeat("no FAT ", 100))
		if got, err := f.FileSystem("/boot"); err != nil || got.UUID != "" || !strings.Contains(got.Unknown, "no FAT") {
			t.Errorf("damaged: got %+v, %v", got, err)
		}
	}
}

// TestNotRunning knows nothing of a machine that does not run but what is below its root: this
// kernel's arguments and panics are its own, also where its /proc is mounted there, and a copy of a
// /proc is none.
func TestNotRunning(t *testing.T) {
	f := newFake(t)
	f.write("/proc/4711/mountinfo", "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
	f.write("/proc/cmdline", "deltaup.slot=a\n")
	if err := os.Symlink("4711", f.Path("/proc/self")); err != nil {
		t.Fatal(err)
	}
	if f.Running() || f.described() {
		t.Errorf("running: %v, described by files: %v", f.Running(), f.described())
	}
	if _, err := f.Booted(nil); !errors.Is(err, ErrNoSlot) || !strings.Contains(err.Error(), "does not run") {
		t.Errorf("booted: %v", err)
	}
	_, err := f.FileSystem("/boot/deltaup/grubenv")
	if !errors.Is(err, ErrNotMounted) {
		t.Errorf("a folder of this machine's: %v", err)
	}
}

// TestForeign tells the mounts of a machine below /t from those of this one.
func TestForeign(t *testing.T) {
	const (
		disk   = "8:2 / /t ext4 /dev/sda2"
		boot   = "8:1 / /t/boot vfat /dev/sda1"
		sub    = "8:1 /x /t/boot vfat /dev/sda1"
		whole  = "8:1 / /t/efi vfat /dev/sda1"
		here   = "8:1 / /efi vfat /dev/sda1"
		part   = "8:1 /x/y /efi vfat /dev/sda1"
		root   = "8:9 / / ext4 /dev/sda9"
		folder = "8:9 /build /t ext4 /dev/sda9"
	)
	for name, x := range map[string]struct {
		mounts  []string // the first is the one that the path lies on
		refused bool
	}{
		"own disk":              {[]string{disk, root}, false},
		"BOOT":                  {[]string{boot, disk, root}, false},
		"whole, and here":       {[]string{boot, here, root}, false},
		"folder, seen nowhere":  {[]string{sub, disk, root}, false},
		"folder of its own":     {[]string{sub, whole, here, root}, false},
		"folder, a part here":   {[]string{sub, part, root}, false},
		"folder of this one's":  {[]string{sub, disk, here, root}, true},
		"folder of this root's": {[]string{folder, root}, true},
		"this root":             {[]string{root, disk}, true},
	} {
		f := newFake(t)
		f.boots("", x.mounts...)
		list, err := f.mounts(nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := foreign(list, list[0], "/t", "/t/boot/grubenv"); errors.Is(err, ErrNotMounted) != x.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzBootOf gives it any log: only a command line with the very slot is one of its boots.
func FuzzBootOf(f *testing.F) {
	f.Add([]byte("Linux version 6\nCommand line: BOOT_IMAGE=/x deltaup.slot=a quiet\nmore\n"))
	f.Add([]byte("Kernel command line: deltaup.slot=ab\n"))
	f.Fuzz(func(t *testing.T, log []byte) {
		if bootOf(bytes.NewReader(log), "a") && !bytes.Contains(log, []byte("deltaup.slot=a")) {
			t.Errorf("a boot of slot a: %q", log)
		}
	})
}
