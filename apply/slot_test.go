package apply_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"deltaup/apply"
	"deltaup/slotboot"
)

// brokenSlot is a slot whose medium fails in one of several ways.
type brokenSlot struct {
	*slotboot.File
	capacity   int64 // 0: as it is
	beginError error
	writeError error // of every write beyond 100 KiB
	flip       int64 // this byte reads wrong; 0: none
	deaf       bool  // takes the superblock and does not keep it
}

func (s *brokenSlot) Capacity() (int64, error) {
	if s.capacity > 0 {
		return s.capacity, nil
	}
	return s.File.Capacity()
}

func (s *brokenSlot) Begin(size int64) error {
	if s.beginError != nil {
		return s.beginError
	}
	return s.File.Begin(size)
}

func (s *brokenSlot) WriteAt(p []byte, off int64) (int, error) {
	if s.writeError != nil && off > 100<<10 {
		return 0, s.writeError
	}
	if s.deaf && off == 0 {
		return len(p), nil
	}
	return s.File.WriteAt(p, off)
}

func (s *brokenSlot) ReadMedium(p []byte, off int64) (int, error) {
	n, err := s.File.ReadMedium(p, off)
	if s.flip >= off && s.flip < off+int64(n) && s.flip > 0 {
		p[s.flip-off] ^= 0x10
	}
	return n, err
}

func TestBrokenSlot(t *testing.T) {
	for _, tt := range []struct {
		name  string
		slot  brokenSlot
		want  error
		packs bool // something is fetched before it fails
	}{
		{"too small", brokenSlot{capacity: 100 << 10}, apply.ErrNoSpace, false},
		{"full while it is written", brokenSlot{writeError: syscall.ENOSPC}, apply.ErrNoSpace, true},
		{"write error", brokenSlot{writeError: syscall.EIO}, syscall.EIO, true},
		{"reads back wrong", brokenSlot{flip: 200 << 10}, apply.ErrVerify, true},
		{"superblock does not stay", brokenSlot{deaf: true}, apply.ErrVerify, true},
	} {
		for _, route := range []string{"rebuild", "blocks", "beside", "whole"} {
			t.Run(tt.name+"/"+route, func(t *testing.T) {
				m := newTarget(t)
				m.take(route)
				m.wrap = func(s *slotboot.File) apply.SizedStorage {
					broken := tt.slot
					broken.File = s
					return &broken
				}
				_, _, err := m.pull()
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), m.path) {
					t.Errorf("got %v, want %v and the slot's path", err, tt.want)
				}
				m.checkUnbootable()
				fetched := m.server.Requests("packs/")+m.server.Requests("images/") > 0
				if fetched != tt.packs {
					t.Errorf("fetched something: %v, want %v", fetched, tt.packs)
				}
				m.wrap = nil
				if q, _ := m.mustPull(); tt.packs && q.Bytes != 0 {
					t.Errorf("%d bytes are fetched again", q.Bytes)
				}
			})
		}
	}
}

// TestFullStateFolder pulls with a state folder on a file system that is too small.
func TestFullStateFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	m := newTarget(t)
	if err := os.Mkdir(m.state, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", m.state).CombinedOutput(); err != nil {
		t.Skipf("mounting is not permitted here: %s", out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", m.state).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	_, _, err := m.pull()
	if !errors.Is(err, apply.ErrNoSpace) || !strings.Contains(err.Error(), m.state) {
		t.Errorf("got %v, want ErrNoSpace with the state folder", err)
	}
	if n := m.server.Requests("packs/"); n != 0 {
		t.Errorf("%d requests for packs, although there was no room for them", n)
	}
	if out, err := exec.Command("mount", "-o", "remount,size=100m", m.state).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	m.mustPull()
}

// TestDevice pulls into a block device that is larger than the image.
func TestDevice(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	backing := filepath.Join(t.TempDir(), "backing")
	if err := os.WriteFile(backing, noise(9, 8<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", backing).Output()
	if err != nil {
		t.Skipf("no loop devices here: %v", err)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v: %s", err, out)
		}
	})
	m := newTarget(t)
	m.path = device
	m.mustPull()
	if q, _ := m.mustPull(); !q.Current {
		t.Error("the second pull does not see that the device holds the image")
	}
}

// countedSlot counts the bytes that are read of a slot.
type countedSlot struct {
	*slotboot.File
	read int64
}

func (s *countedSlot) ReadAt(p []byte, off int64) (int, error) {
	n, err := s.File.ReadAt(p, off)
	s.read += int64(n)
	return n, err
}

// TestSlotWithAnImage: a slot is read whole before anything is fetched only when it seems to hold
// the image.
func TestSlotWithAnImage(t *testing.T) {
	for version, whole := range map[int]bool{1: false, 2: true} {
		m := newTarget(t)
		image := readFile(t, m.w.image[version-1])
		if err := os.WriteFile(m.path, append(image, make([]byte, 1<<20)...), 0o644); err != nil {
			t.Fatal(err)
		}
		var slot *countedSlot
		m.wrap = func(s *slotboot.File) apply.SizedStorage { slot = &countedSlot{File: s}; return slot }
		u, done, err := m.start()
		if err != nil {
			t.Fatal(err)
		}
		defer done()
		if got := u.Quote().Current; got != whole {
			t.Errorf("version %d in the slot: current is %v", version, got)
		}
		if got := slot.read >= int64(len(image)); got != whole {
			t.Errorf("version %d in the slot: %d bytes of it were read, the image has %d", version, slot.read, len(image))
		}
	}
}
