package settings

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/internal/test/effort"
)

// TestFull is a disk that has no room for what a boot lays: what it could not finish does not stay,
// and what earlier boots have left behind makes room.
func TestFull(t *testing.T) {
	m := newMachine(t)
	disk := filepath.Join(m.dir, "store")
	m.do(m.store.Close(), os.RemoveAll(disk), os.Mkdir(disk, 0o700))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", disk).CombinedOutput(); err != nil {
		t.Skipf("no mount: %s", out)
	}
	t.Cleanup(func() { m.down(); m.store.Close(); exec.Command("umount", disk).Run() })
	m.open()
	m.image("a", "keep /etc/", "/etc/f 1")
	m.boot("a")
	m.edit("/etc/f mine", "/etc/much "+string(make([]byte, 1<<20)))
	m.down()
	m.do(m.store.trash.Write("waste", make([]byte, 4<<20)))
	m.boot("a") // a copy in the new upper folder, and an object
	m.want("/etc/f mine")
	m.edit("/etc/more " + fmt.Sprintf("%02500000d", 7))
	for range 3 {
		r, err := m.tryBoot("a")
		m.do(err)
		if r.Failure == nil {
			t.Fatal("there was room")
		}
		m.want("/etc/f mine")
	}
	left := 0
	m.do(filepath.WalkDir(disk, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && d.Name() == "much" {
			left++
		}
		return err
	}))
	if left != 1 {
		t.Errorf("%d copies of a file are in the upper folders", left)
	}
	m.image("b", "keep /etc/", "/etc/f 1", "/etc/new 1")
	m.store.Spare = t.TempDir()
	r, err := m.tryBoot("b")
	m.do(err)
	if r.Failure == nil {
		t.Error("there was room")
	}
	m.want("/etc/f mine", "/etc/new 1")
}

// TestReadOnlyDisk boots with a data partition that takes no changes, and with a full one.
func TestReadOnlyDisk(t *testing.T) {
	m := newMachine(t)
	rules := []string{"keep /etc/", "keep /etc/shadow newest"}
	m.image("a", append(rules, "/etc/f 1", "/etc/shadow s1")...)
	m.image("b", append(rules, "/etc/f 1", "/etc/shadow s1", "/etc/new 1")...)
	m.boot("a")
	m.edit("/etc/f mine", "/etc/shadow s2")
	m.boot("a")
	m.edit("/etc/g mine")
	m.down()
	disk := filepath.Join(m.dir, "store")
	if out, err := exec.Command("mount", "--bind", disk, disk).CombinedOutput(); err != nil {
		t.Skipf("no mount: %s", out)
	}
	t.Cleanup(func() { m.down(); m.store.Close(); exec.Command("umount", disk).Run() })
	mount := func(mode string) {
		m.down()
		m.do(m.store.Close(), exec.Command("mount", "-o", "remount,bind,"+mode, disk).Run())
		m.open()
	}
	before := generations(t, m)
	mount("ro")
	for _, image := range []string{"a", "b", "a"} {
		m.store.Spare = t.TempDir()
		r, err := m.tryBoot(image)
		m.do(err)
		if r.Failure == nil || r.Committed != 0 {
			t.Errorf("%+v", r)
		}
		m.want("/etc/f mine", "/etc/shadow s2", "/etc/g mine")
		m.edit("/etc/f in memory")
	}
	mount("rw")
	m.boot("a")
	m.want("/etc/f mine", "/etc/g mine")
	for number, text := range before {
		if generations(t, m)[number] != text {
			t.Errorf("generation %s is another one", number)
		}
	}
}

// TestFailsAtEachStep is a disk that takes nothing more from some step of a boot on, or only not that
// step. The machine has its settings all the same, and those of the disk are there later.
func TestFailsAtEachStep(t *testing.T) {
	for _, image := range []string{"a", "b"} {
		for _, on := range []bool{true, false} {
			n := 1
			for ; failAtStep(t, image, n, on); n += effort.Stride() {
			}
			t.Logf("%s: %d steps", image, n)
		}
	}
}

// failAtStep fails a step of a boot, or with on all from there on. It is false when there is no such
// step.
func failAtStep(t *testing.T, image string, n int, on bool) bool {
	m := newMachine(t)
	m.image("a", "keep /etc/", "/etc/f 1", "/etc/dir/g 1")
	m.image("b", "keep /etc/", "/etc/f 1", "/etc/dir/g 1", "/etc/b 1")
	m.boot("a")
	m.edit("/etc/f 2")
	m.boot("a")
	m.edit("/etc/f mine", "rm /etc/dir")
	m.store.Spare = t.TempDir()
	step := 0
	restore := durable.SetHook(func(a durable.Action) error {
		if !strings.HasPrefix(a.Path, filepath.Join(m.dir, "store")) {
			return nil
		}
		if step++; step == n || on && step > n {
			return unix.ENOSPC
		}
		return nil
	})
	r, err := m.tryBoot(image)
	restore()
	m.do(err)
	m.want("/etc/f mine", "no /etc/dir")
	inMemory := len(r.Places) == 1 && strings.HasPrefix(r.Places[0].Upper.Name(), m.store.Spare)
	m.edit("/etc/new later")
	failed := r.Failure != nil || step >= n
	m.boot(image)
	m.want("/etc/f mine", "no /etc/dir")
	if !inMemory {
		m.want("/etc/new later")
	} else if image == "a" {
		t.Error("the disk has its upper folders, and memory is in use")
	}
	if m.down(); t.Failed() {
		t.Fatalf("image %s, step %d, all behind it: %v; %+v", image, n, on, r)
	}
	return failed
}
