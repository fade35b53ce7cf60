package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/internal/test/cpiotest"
	"deltaup/internal/test/effort"
	"deltaup/internal/test/faultserver"
	"deltaup/internal/test/grubtest"
	"deltaup/mirror/serve"
	"deltaup/slotboot/counted"
)

// kills is how often TestUpdateKilled kills in a long run.
const kills = 120

// smallMachine is a machine below a folder: slot a runs release 1, and a mirror has release 2.
type smallMachine struct {
	t      *testing.T
	root   string
	mirror string
	file   map[string][]byte // image1, kernel1, initrd1, image2, ...
}

func newSmallMachine(t *testing.T) *smallMachine {
	t.Helper()
	dir := t.TempDir()
	m := &smallMachine{t: t, root: filepath.Join(dir, "root"), mirror: filepath.Join(dir, "mirror"), file: map[string][]byte{}}
	for version := 1; version <= 2; version++ {
		path := func(kind string) string { return filepath.Join(dir, fmt.Sprint(kind, version)) }
		m.writeFile(path("kernel"), randomBytes(uint64(10+version), 60<<10))
		m.writeFile(path("initrd"), cpiotest.Initrd(map[string][]byte{"init": randomBytes(uint64(20+version), 30<<10)}))
		m.writeFile(filepath.Join(path("tree"), "new"), randomBytes(uint64(30+version), 90<<10))
		m.writeFile(filepath.Join(path("tree"), "same"), randomBytes(1, 50<<10))
		mustDeltaup(t, "mkimage", "-o", path("image"), "--level", "fastest", "--mtime", "1700000000", "--owner", "0:0", path("tree"))
		mustDeltaup(t, "publish", "--mirror", m.mirror, "--version", fmt.Sprint(version), "--kernel", path("kernel"), "--initrd", path("initrd"), path("image"))
		for _, kind := range []string{"image", "kernel", "initrd"} {
			m.file[fmt.Sprint(kind, version)] = m.readFile(path(kind))
		}
	}
	var config strings.Builder
	for _, slot := range []string{"a", "b"} {
		fmt.Fprintf(&config, "[[slot]]\nname = %q\npath = \"/data/%s\"\nboot = \"/boot/%s\"\nimage = \"LABEL=data:/%s\"\n", slot, slot, slot, slot)
	}
	m.write("/etc/deltaup/deltaup.toml", []byte(config.String()))
	m.plant("a", m.file["image1"])
	m.write("/boot/a/vmlinuz", m.file["kernel1"])
	m.write("/boot/a/initrd.img", m.file["initrd1"])
	return m
}

// plant makes the machine one that runs a slot; a nil image leaves what the slot has.
func (m *smallMachine) plant(slot string, image []byte) {
	m.t.Helper()
	m.write("/proc/cmdline", []byte("deltaup.slot="+slot+"\n"))
	m.write("/proc/self/mountinfo", []byte("20 1 8:1 / / rw - ext2 /dev/sda1 rw\n24 20 7:0 / /run/deltaup/image ro - squashfs /dev/loop0 ro\n"))
	m.write("/sys/dev/block/8:1/uevent", []byte("DEVNAME=sda1\n"))
	super := make([]byte, 4096)
	super[1024+0x38], super[1024+0x39] = 0x53, 0xef // ext2 without features
	m.write("/dev/sda1", super)
	m.write("/sys/dev/block/7:0/loop/backing_file", []byte("/data/"+slot+"\n"))
	if image != nil {
		m.write("/data/"+slot, image)
	}
}

func randomBytes(seed uint64, n int) []byte {
	p := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(seed)}).Read(p) // never fails
	return p
}

func (m *smallMachine) writeFile(path string, b []byte) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *smallMachine) readFile(path string) []byte {
	m.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	return b
}

func (m *smallMachine) path(path string) string     { return filepath.Join(m.root, path) }
func (m *smallMachine) write(path string, b []byte) { m.t.Helper(); m.writeFile(m.path(path), b) }
func (m *smallMachine) holds(path, what string) bool {
	b, err := os.ReadFile(m.path(path))
	return err == nil && bytes.HasPrefix(b, m.file[what])
}

// reset takes slot b and all state away.
func (m *smallMachine) reset() {
	m.t.Helper()
	for _, path := range []string{"/data/b", "/boot/b", "/boot/deltaup", "/var", "/run"} {
		if err := os.RemoveAll(m.path(path)); err != nil {
			m.t.Fatal(err)
		}
	}
	mustDeltaup(m.t, "boot", "setup", "--sysroot", m.root)
}

// checkNext demands that what GRUB would start now is whole; it gives the slot. made is the initrd
// of release 2 as it is made on the machine.
func (m *smallMachine) checkNext(made []byte) string {
	m.t.Helper()
	loads := map[string]bool{}
	for _, slot := range []string{"a", "b"} {
		_, kernelErr := os.Stat(m.path("/boot/" + slot + "/vmlinuz"))
		_, initrdErr := os.Stat(m.path("/boot/" + slot + "/initrd.img"))
		loads[slot] = kernelErr == nil && initrdErr == nil
	}
	env := m.readFile(m.path("/boot/deltaup/grubenv"))
	next := grubtest.Choose(grubtest.Start{Slots: counted.Slots{"a", "b"}, Env: env, Loads: loads}).Slot
	whole := m.holds("/data/a", "image1") && m.holds("/boot/a/vmlinuz", "kernel1")
	if next == "b" {
		initrd, err := os.ReadFile(m.path("/boot/b/initrd.img"))
		whole = m.holds("/data/b", "image2") && m.holds("/boot/b/vmlinuz", "kernel2") && err == nil && bytes.Equal(initrd, made)
	}
	if !whole {
		m.t.Fatalf("GRUB would start slot %q, which is not whole", next)
	}
	// Half a slot must not boot even when it is chosen by hand.
	if loads["b"] && !m.holds("/data/b", "image2") {
		m.t.Fatal("slot b has a kernel and no image")
	}
	return next
}

// TestUpdateKilled kills the real command, which updates a machine by its configuration, at random
// instants of its whole run, again and again until it gets through, and then from the start. After
// each, what GRUB would start is whole; no run asks for a byte that was on disk when it began.
func TestUpdateKilled(t *testing.T) {
	memory(t)
	m := newSmallMachine(t)
	server := faultserver.New(t, serve.Handler(m.mirror))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	start := func() (*exec.Cmd, *bytes.Buffer) {
		cmd := exec.Command(self)
		cmd.Args = []string{"deltaup", "install", server.URL, "--insecure", "--sysroot", m.root, "--quiet"}
		stderr := new(bytes.Buffer)
		cmd.Stderr = stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, stderr
	}

	// One run that nobody kills: it tells how long one takes, and how the initrd looks.
	m.reset()
	begun := time.Now()
	if cmd, stderr := start(); cmd.Wait() != nil {
		t.Fatalf("install: %s", stderr)
	}
	whole := time.Since(begun)
	made := m.readFile(m.path("/boot/b/initrd.img"))
	if m.checkNext(made) != "b" {
		t.Fatal("the new release does not boot next")
	}

	m.reset()
	wanted := effort.Times(kills)
	finished, killed := 0, 0
	for killed < wanted {
		onDisk := cached(t, m.path("/var/lib/deltaup"))
		server.Reset()
		cmd, stderr := start()
		timer := time.AfterFunc(time.Duration(rand.Int64N(int64(whole))), func() { cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		for _, r := range server.Log() {
			checkRange(t, r, onDisk)
		}
		next := m.checkNext(made)
		code := cmd.ProcessState.ExitCode()
		switch {
		case code == -1:
			killed++
		case err == nil || code == exitReboot: // killed behind the activation, it finds its own work
			if next != "b" {
				t.Fatalf("exit code %d, and slot %s boots next", code, next)
			}
			finished++
			m.reset()
		default:
			t.Fatalf("%v: %s", err, stderr)
		}
	}
	t.Logf("%d kills, %d updates got through; one takes %v", killed, finished, whole.Round(time.Millisecond))
}
