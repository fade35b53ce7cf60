package boottest

import (
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/grubtest"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/grub"
)

// linuxBoot is enough for five boots of Linux, each of which takes 4 to 10 s when nothing else
// runs.
const linuxBoot = 5 * time.Minute

// life is what happens to a machine from one boot to the next, until one that switches it off.
type life struct {
	name   string
	start  counted.State
	deeds  map[string]string // by slot, see command guest
	damage map[string]string // what is wrong with a slot's kernel or initrd, by slot
	boots  []string          // what each boot reports
}

var lives = []life{
	{
		name: "commit", start: counted.State{Active: "a", Trial: "b", Tries: 3}, deeds: map[string]string{"b": "good"},
		boots: []string{
			"slot=b trial=true fellback=; active=a trial=b tries=2 ended= bad=",
			"slot=b trial=false fellback=; active=b trial= tries=0 ended= bad=",
		},
	}, {
		name: "three panics", start: counted.State{Active: "a", Trial: "b", Tries: 3}, deeds: map[string]string{"b": "panic"},
		boots: []string{
			"slot=b trial=true fellback=; active=a trial=b tries=2 ended= bad=",
			"slot=b trial=true fellback=; active=a trial=b tries=1 ended= bad=",
			"slot=b trial=true fellback=; active=a trial=b tries=0 ended= bad=",
			"slot=a trial=false fellback=b; active=a trial=b tries=0 ended=unconfirmed bad=",
		},
	}, {
		name: "missing kernel", start: counted.State{Active: "a", Trial: "b", Tries: 3}, damage: map[string]string{"b": "missing"},
		boots: []string{"slot=a trial=false fellback=b; active=a trial=b tries=0 ended=unloadable bad="},
	}, {
		name: "truncated kernel", start: counted.State{Active: "a", Trial: "b", Tries: 3}, damage: map[string]string{"b": "truncated"},
		// GRUB loads what is left of the kernel, which resets the machine at once, every time.
		boots: []string{"slot=a trial=false fellback=b; active=a trial=b tries=0 ended=unconfirmed bad="},
	}, {
		name: "truncated initrd", start: counted.State{Active: "a", Trial: "b", Tries: 1}, damage: map[string]string{"b": "truncated initrd"},
		// The kernel finds no init and panics.
		boots: []string{"slot=a trial=false fellback=b; active=a trial=b tries=0 ended=unconfirmed bad="},
	}, {
		name: "active kernel missing", start: counted.State{Active: "a", Bad: []string{"b"}}, damage: map[string]string{"a": "missing"},
		boots: []string{"slot=c trial=false fellback=a; active=a trial= tries=0 ended= bad=b"},
	}, {
		name: "hang", start: counted.State{Active: "a", Trial: "b", Tries: 1}, deeds: map[string]string{"b": "hang"},
		boots: []string{
			"slot=b trial=true fellback=; active=a trial=b tries=0 ended= bad=",
			"hangs",
			"slot=a trial=false fellback=b; active=a trial=b tries=0 ended=unconfirmed bad=",
		},
	}, {
		name: "mark bad", start: counted.State{Active: "a", Trial: "b", Tries: 3}, deeds: map[string]string{"b": "bad"},
		boots: []string{
			"slot=b trial=true fellback=; active=a trial=b tries=2 ended= bad=",
			"slot=a trial=false fellback=b; active=a trial=b tries=0 ended=unconfirmed bad=b",
		},
	}, {
		name: "rollback", start: counted.State{Active: "b"}, deeds: map[string]string{"b": "activate:c", "c": "good"},
		boots: []string{
			"slot=b trial=false fellback=; active=b trial= tries=0 ended= bad=",
			"slot=c trial=true fellback=; active=b trial=c tries=2 ended= bad=",
			"slot=c trial=false fellback=; active=c trial= tries=0 ended= bad=",
		},
	},
}

// TestLife boots Linux through every life, from both firmwares, with BOOT on both file systems.
func TestLife(t *testing.T) {
	for _, firmware := range []string{"bios", "uefi"} {
		for _, fs := range []string{"ext4", "vfat"} {
			for _, life := range lives {
				t.Run(firmware+","+fs+","+life.name, func(t *testing.T) {
					t.Parallel()
					start := time.Now()
					d := linuxDisk(t, life, firmware == "uefi", fs)
					console, _ := qemu{disk: d, uefi: firmware == "uefi", reboots: true, timeout: linuxBoot}.boot(t)
					var said []string
					for line := range strings.Lines(console) {
						if _, text, ok := strings.Cut(line, "guest: "); ok {
							said = append(said, strings.TrimSpace(text))
						}
					}
					if !slices.Equal(said, life.boots) {
						t.Errorf("the machine said\n%s\nwanted is\n%s\n%s", strings.Join(said, "\n"), strings.Join(life.boots, "\n"), console)
					}
					t.Logf("%d boots in %.1f s", len(life.boots), time.Since(start).Seconds())
				})
			}
		}
	}
}

// linuxDisk is the disk at the start of a life. Its three slots have the same kernel and initrd.
func linuxDisk(t *testing.T, x life, uefi bool, fs string) *disk {
	t.Helper()
	l := layout{fs: fs, boot: 64 * mib, uefi: uefi}
	kernel, initrd := linuxKernel(t), guestInitrd(t)
	l.files = map[string][]byte{"/deltaup/vmlinuz": kernel, "/deltaup/initrd.img": initrd, envPath: envOf(t, slots, x.start)}
	cfg := &grub.Script{
		UUID: l.uuid(), Env: envPath, Panic: time.Second, Preamble: []string{"serial", "terminal_output serial"},
		Args: []string{"console=ttyS0", "quiet", "no_timer_check", "edd=off", "boot=/dev/nvme0n1p2", "bootfs=" + fs},
	}
	if fs == "vfat" {
		cfg.Args = append(cfg.Args, "modules=fat,vfat,nls_cp437,nls_ascii")
	}
	for _, name := range slots {
		slot := grub.Entry{Slot: name, Kernel: "/deltaup/vmlinuz", Initrd: "/deltaup/initrd.img", Args: []string{"do=" + x.deeds[name]}}
		switch x.damage[name] {
		case "missing":
			slot.Kernel = "/deltaup/missing"
		case "truncated":
			slot.Kernel = "/deltaup/truncated"
			l.files[slot.Kernel] = kernel[:len(kernel)/2]
		case "truncated initrd":
			slot.Initrd = "/deltaup/truncated"
			l.files[slot.Initrd] = initrd[:64<<10] // ends within init
		}
		cfg.Entries = append(cfg.Entries, slot)
	}
	whole, err := cfg.Whole()
	if err != nil {
		t.Fatal(err)
	}
	l.files["/grub/grub.cfg"] = whole
	return newDisk(t, l)
}

// envOf encodes a state of slots as an environment block.
func envOf(t *testing.T, slots counted.Slots, s counted.State) []byte {
	t.Helper()
	s.Slots = slots
	return grubtest.Block(t, s)
}

// kernelFolder is the folder of an unpacked package of a Debian kernel.
func kernelFolder() string { return os.Getenv("DELTAUP_TEST_BOOT") }

func linuxKernel(t testing.TB) []byte {
	t.Helper()
	return readFile(t, only(t, "boot/vmlinuz-*"))
}

// only gives the one file of the kernel's package that pattern matches.
func only(t testing.TB, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(kernelFolder(), pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("DELTAUP_TEST_BOOT names no folder with one %s: %q, %v", pattern, found, err)
	}
	return found[0]
}

// guestInitrd makes an initrd with command guest as init.
func guestInitrd(t testing.TB) []byte {
	t.Helper()
	return cpiotest.Root(guestFiles(t))
}

// guestFiles are command guest and the modules that it loads.
func guestFiles(t testing.TB) map[string][]byte {
	t.Helper()
	files := map[string][]byte{"init": program(t, "internal/test/boottest/guest")}
	for name, module := range map[string]string{
		"watchdog": "drivers/watchdog/watchdog", "softdog": "drivers/watchdog/softdog", "fat": "fs/fat/fat", "vfat": "fs/fat/vfat",
		"nls_cp437": "fs/nls/nls_cp437", "nls_ascii": "fs/nls/nls_ascii", "squashfs": "fs/squashfs/squashfs",
		"virtio": "drivers/virtio/virtio", "virtio_ring": "drivers/virtio/virtio_ring", "virtio_pci": "drivers/virtio/virtio_pci",
		"virtio_pci_legacy_dev": "drivers/virtio/virtio_pci_legacy_dev", "virtio_pci_modern_dev": "drivers/virtio/virtio_pci_modern_dev",
		"virtio_blk": "drivers/block/virtio_blk",
	} {
		files["modules/"+name+".ko"] = readFile(t, only(t, "lib/modules/*/kernel/"+module+".ko"))
	}
	return files
}

// program gives a static command of this module, which it builds once.
func program(t testing.TB, folder string) []byte {
	t.Helper()
	return built(t, path.Base(folder), "build", folder)
}

// suite gives the static test binary of a package of this module, which it builds once.
func suite(t testing.TB, folder string) []byte {
	t.Helper()
	return built(t, path.Base(folder)+".test", "test -c", folder)
}

// built gives what a go command makes of a package.
func built(t testing.TB, name, command, folder string) []byte {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	out := filepath.Join(work, name)
	if _, err := os.Stat(out); err != nil {
		args := append(strings.Fields(command), "-trimpath", "-ldflags", "-s -w", "-o", out, "deltaup/"+folder)
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARCH=amd64")
		if text, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", folder, err, text)
		}
	}
	return readFile(t, out)
}

var programs sync.Mutex
