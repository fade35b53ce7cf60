package device_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/device"
	"deltaup/internal/medium"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
	"deltaup/slotboot/loader"
)

// place is where a slot can be damaged.
type place struct {
	name   string
	what   device.Scrubbed // of the damage
	file   string          // below the root
	offset int64
	lies   string // what of the image is there
}

// places are one of each kind in the slot, which holds an image of the world.
func (m *target) places(slot string) []place {
	m.t.Helper()
	path := "/data/" + slot + ".squashfs"
	f, err := os.Open(m.path(path))
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		m.t.Fatal(err)
	}
	image, err := squashfs.Open(f, info.Size())
	if err != nil {
		m.t.Fatal(err)
	}
	in := func(name, lies string, offset int64) place { return place{name, device.ScrubImage, path, offset, lies} }
	list := []place{in("superblock", "superblock", 9), in("inode table", "tables", image.Info().Tables+9), in("last padding", "trailer or padding", info.Size()-1)}
	err = image.Walk(func(n *squashfs.Node) error {
		if n.Type != tree.Regular {
			return nil
		}
		if index, offset, ok := image.Fragment(n); ok {
			b, err := image.FragmentBlock(index)
			if n.Path == "usr/lib/new.so" {
				list = append(list, in("fragment", "/"+n.Path, b.Offset+int64(offset)+9))
			}
			return err
		}
		for b, err := range image.Blocks(n) {
			if err != nil {
				return err
			}
			list = append(list, in("data block", "/"+n.Path, b.Offset+9))
		}
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	boot := "/boot/deltaup/" + slot + "/"
	return append(list, place{"kernel", device.ScrubKernel, boot + "vmlinuz", 20_000, ""}, place{"initrd", device.ScrubInitrd, boot + "initrd.img", 20_000, ""})
}

// flip changes a bit of a file, behind the back of whoever has it open.
func (m *target) flip(path string, offset int64) {
	m.t.Helper()
	f, err := os.OpenFile(m.path(path), os.O_RDWR, 0)
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, offset); err != nil {
		m.t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b, offset); err != nil {
		m.t.Fatal(err)
	}
}

// badSector makes the sectors of a file at an offset unreadable until restore is called.
func (m *target) badSector(path string, offset int64) (restore func()) {
	path, offset = m.path(path), offset&^511
	return medium.SetHook(func(p string, off, n int64) error {
		if p == path && off < offset+512 && offset < off+n {
			return &os.PathError{Op: "read", Path: p, Err: unix.EIO}
		}
		return nil
	})
}

func (m *target) scrub(o device.ScrubOptions) {
	m.t.Helper()
	if o.Warning == nil {
		o.Warning = func(s string) { m.t.Errorf("warning: %s", s) }
	}
	if err := m.Scrub(m.t.Context(), o); err != nil {
		m.t.Fatal(err)
	}
}

// damage is what is remembered of a slot; nil when it was not scrubbed.
func (m *target) damage(slot string) []device.Damage {
	m.t.Helper()
	for _, s := range m.status().Slots {
		if s.Name == slot && s.Scrub != nil {
			return s.Scrub.Damage
		}
	}
	return nil
}

// wrongs are what the doctor says is wrong.
func (m *target) wrongs() (text string) {
	for _, f := range m.Doctor() {
		if f.Level == loader.Wrong {
			text += f.What + " -> " + f.Advice + "\n"
		}
	}
	return text
}

// onB gives a machine that runs release 2 from slot b, with release 1 in slot a.
func onB(t *testing.T) *target {
	m := newTarget(t)
	m.mustUpdate(2)
	m.markGood()
	m.reboot()
	return m
}

// TestScrub finds a flipped bit, and a sector that cannot be read, wherever it is: in the running
// slot and in the other one.
func TestScrub(t *testing.T) {
	m := onB(t)
	m.scrub(device.ScrubOptions{})
	for _, slot := range []string{"a", "b"} {
		if d := m.damage(slot); d == nil || len(d) != 0 {
			t.Errorf("slot %s is whole: %+v", slot, d)
		}
	}
	if got := m.wrongs(); got != "" {
		t.Fatalf("a sound machine: %s", got)
	}
	for _, slot := range []string{"a", "b"} {
		for _, p := range m.places(slot) {
			for _, kind := range []string{"other bytes", "unreadable"} {
				restore := func() { m.flip(p.file, p.offset) } // back
				if kind == "other bytes" {
					m.flip(p.file, p.offset)
				} else {
					restore = m.badSector(p.file, p.offset)
				}
				m.scrub(device.ScrubOptions{Slot: slot})
				told := m.wrongs()
				restore()
				d := m.damage(slot)
				if len(d) != 1 || d[0].What != p.what {
					t.Errorf("slot %s, %s, %s: %+v", slot, p.name, kind, d)
					continue
				}
				if !strings.Contains(told, "slot "+slot) || !strings.Contains(told, "deltaup repair") && p.what == device.ScrubImage {
					t.Errorf("slot %s, %s, %s: the doctor says %q", slot, p.name, kind, told)
				}
				if p.what == device.ScrubImage || kind == "unreadable" {
					r := d[0].Ranges
					if len(r) != 1 || p.offset < r[0].Offset || r[0].Offset+r[0].Length <= p.offset || r[0].Length > 64<<10 || (r[0].Error == "") != (kind == "other bytes") {
						t.Errorf("slot %s, %s, %s: at %d, told is %+v", slot, p.name, kind, p.offset, r)
					}
				}
				if damagedHead := p.offset < 4096 || p.name == "inode table"; p.lies != "" && !slices.Contains(d[0].Files, p.lies) && !damagedHead {
					t.Errorf("slot %s, %s, %s: %q, not %s", slot, p.name, kind, d[0].Files, p.lies)
				}
			}
		}
	}
	m.scrub(device.ScrubOptions{})
	if len(m.damage("a"))+len(m.damage("b")) != 0 || m.wrongs() != "" {
		t.Errorf("whole again: %+v, %+v, %s", m.damage("a"), m.damage("b"), m.wrongs())
	}
}

// TestScrubMany: what is told is bounded, and a medium that gives nothing at all is given up before
// it has taken hours.
func TestScrubMany(t *testing.T) {
	m := onB(t)
	reads := 0
	defer medium.SetHook(func(path string, off, n int64) error {
		if filepath.Base(path) == "b.squashfs" {
			reads++
			return unix.EIO
		}
		return nil
	})()
	// a partition is larger than its image
	m.write("/data/b.squashfs", m.read(m.w.image[1])+strings.Repeat("x", 64<<20))
	m.scrub(device.ScrubOptions{Slot: "b"})
	d := m.damage("b")
	if len(d) != 1 || d[0].Count != 1 || d[0].Bytes != int64(len(m.read(m.w.image[1]))) {
		t.Errorf("got %+v", d)
	}
	if m.damage("a") != nil {
		t.Error("the other slot was read")
	}
	if reads > 2000 {
		t.Errorf("%d reads", reads)
	}
}

// TestScrubStale: what was found in a slot is forgotten when another image is written to it.
func TestScrubStale(t *testing.T) {
	m := onB(t)
	m.flip("/data/a.squashfs", 9)
	m.scrub(device.ScrubOptions{})
	if len(m.damage("a")) != 1 {
		t.Fatalf("got %+v", m.damage("a"))
	}
	if got := m.mustUpdate(3); got != "a" || m.damage("a") != nil {
		t.Errorf("after an update of %s: %+v", got, m.damage("a"))
	}
	m.markGood()
	m.scrub(device.ScrubOptions{})
	sums, err := os.ReadDir(m.path("/var/lib/deltaup/sums"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range sums {
		if e.Name() != "tmp" {
			n++
		}
	}
	if n != 2 {
		t.Errorf("sums of %d images are kept", n)
	}
}

// TestScrubFactory: the first scrub of an image of which nobody has told the hash takes it as it
// is, and later ones compare.
func TestScrubFactory(t *testing.T) {
	m := newTarget(t)
	m.scrub(device.ScrubOptions{})
	if d := m.damage("a"); d == nil || len(d) != 0 {
		t.Fatalf("got %+v", d)
	}
	m.flip("/data/a.squashfs", 5000)
	m.scrub(device.ScrubOptions{})
	if d := m.damage("a"); len(d) != 1 || len(d[0].Ranges) != 1 {
		t.Errorf("got %+v", d)
	}
	m.flip("/data/a.squashfs", 5000)
	wantErr(t, m.update(1), device.ErrNothing) // it has a version now
	if m.version("a") != "1" {
		t.Errorf("version %q", m.version("a"))
	}
	wantErr(t, m.Scrub(t.Context(), device.ScrubOptions{Slot: "b"}), device.ErrNoSlot)
}

// TestScrubEnds: a scrub ends as soon as it is told to, keeps what it has found and what was known
// before; two at once are refused.
func TestScrubEnds(t *testing.T) {
	m := onB(t)
	m.scrub(device.ScrubOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	started := time.Now()
	err := m.Scrub(ctx, device.ScrubOptions{Slot: "b", Rate: 100, Progress: func(string, string, int64, int64) {
		wantErr(t, m.Scrub(t.Context(), device.ScrubOptions{}), device.ErrBusy)
		cancel()
	}})
	if !errors.Is(err, context.Canceled) || time.Since(started) > 30*time.Second {
		t.Errorf("%v after %v", err, time.Since(started))
	}
	if d := m.damage("b"); d == nil || len(d) != 0 {
		t.Errorf("what was known before: %+v", d)
	}
	defer m.badSector("/data/b.squashfs", 5000)()
	ctx, cancel = context.WithCancel(t.Context())
	err = m.Scrub(ctx, device.ScrubOptions{Slot: "b", Rate: 100, Progress: func(string, string, int64, int64) { cancel() }})
	if d := m.damage("b"); !errors.Is(err, context.Canceled) || len(d) != 1 {
		t.Errorf("%v, found until then: %+v", err, d)
	}
	for _, s := range m.status().Slots {
		if s.Name == "b" && s.Scrub.Complete {
			t.Error("it is said to be complete")
		}
	}
}

// TestScrubMeanwhile does not judge a slot that an update writes meanwhile.
func TestScrubMeanwhile(t *testing.T) {
	m := onB(t)
	updated, warned := false, ""
	m.scrub(device.ScrubOptions{Slot: "a", Progress: func(string, string, int64, int64) {
		if !updated {
			updated = true
			if err := m.update(3); err != nil {
				t.Error(err)
			}
		}
	}, Warning: func(s string) { warned = s }})
	if !updated || !strings.Contains(warned, "was written while it was read") || m.damage("a") != nil {
		t.Errorf("%v, %q, %+v", updated, warned, m.damage("a"))
	}
}

// TestScrubRecordDamaged: records of scrubs that are damaged themselves keep nothing from working.
func TestScrubRecordDamaged(t *testing.T) {
	m := onB(t)
	m.write("/var/lib/deltaup/scrub.json", "{")
	if d := m.damage("a"); d != nil {
		t.Errorf("got %+v", d)
	}
	m.scrub(device.ScrubOptions{})
	sums, err := filepath.Glob(m.path("/var/lib/deltaup/sums/*"))
	if err != nil || len(sums) == 0 {
		t.Fatalf("%q, %v", sums, err)
	}
	for _, path := range sums {
		if filepath.Base(path) != "tmp" {
			if err := os.WriteFile(path, []byte("damaged"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	warned := 0
	m.scrub(device.ScrubOptions{Warning: func(string) { warned++ }}) // and mends the sums
	if warned != 2 || m.wrongs() != "" {
		t.Errorf("%d warnings, %s", warned, m.wrongs())
	}
	m.scrub(device.ScrubOptions{})
}
