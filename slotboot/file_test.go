package slotboot

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const imageSize = 64 << 10

// image is bytes that no slot holds by chance.
func image(fill byte) []byte { return bytes.Repeat([]byte{fill, 0xa5, 0x5a, 1}, imageSize/4) }

// slots is the suite that every kind of slot passes: a path to a slot of at least imageSize
// bytes that holds old.
func slots(t *testing.T, path string, old []byte) {
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Name() != path {
		t.Errorf("Name is %q, want %q", s.Name(), path)
	}
	if n, err := s.Capacity(); err != nil || n < imageSize {
		t.Fatalf("Capacity: %d, %v", n, err)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("opened twice: %v, want ErrBusy", err)
	}
	look, err := Open(path, Options{ReadOnly: true})
	if err != nil {
		t.Fatalf("read-only beside it: %v", err)
	}
	defer look.Close()

	if err := s.Reserve(imageSize); err != nil {
		t.Fatal(err)
	}
	if got := read(t, look, len(old)); !bytes.Equal(got, old) {
		t.Error("Reserve changed what the slot holds")
	}
	if err := s.Begin(imageSize); err != nil {
		t.Fatal(err)
	}
	if got := read(t, look, headSize); !bytes.Equal(got, make([]byte, headSize)) {
		t.Error("Begin left something in the first 4 KiB")
	}
	want := image('n')
	for _, part := range [][2]int{{96, imageSize}, {0, 96}} {
		if _, err := s.WriteAt(want[part[0]:part[1]], int64(part[0])); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s, imageSize); !bytes.Equal(got, want) {
		t.Error("reads back other bytes than were written")
	}
	s.StartWriteback(0, imageSize)
	p := make([]byte, imageSize)
	if n, err := s.ReadMedium(p, 0); n < len(p) || !bytes.Equal(p, want) {
		t.Errorf("the medium gives %d other bytes than were written: %v", n, err)
	}
}

func read(t *testing.T, s *File, n int) []byte {
	t.Helper()
	p := make([]byte, n)
	if _, err := s.ReadAt(p, 0); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFile(t *testing.T) {
	old := image('o')
	for name, content := range map[string][]byte{
		"shorter":    old[:100],
		"longer":     append(bytes.Clone(old), old...),
		"as long":    old,
		"with space": nil,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, content, 0o644); err != nil {
				t.Fatal(err)
			}
			slots(t, path, content)
			if info, err := os.Stat(path); err != nil || info.Size() != imageSize {
				t.Errorf("the file is %v long (%v), want %d", info.Size(), err, imageSize)
			}
		})
	}
}

func TestNewFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new")
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Capacity(); err != nil || n <= 0 {
		t.Errorf("Capacity: %d, %v", n, err)
	}
	if _, err := s.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("read something from a file that does not exist")
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("looking at it made the file: %v", err)
	}
	if err := s.Begin(imageSize); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != imageSize {
		t.Errorf("after Begin: %v, %v", info, err)
	}
	if _, err := Open(path, Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("opened twice: %v, want ErrBusy", err)
	}
}

func TestSymbolicLink(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "real"), image('o'), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "by-label")
	if err := os.Symlink("real", link); err != nil {
		t.Fatal(err)
	}
	slots(t, link, image('o'))
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info, err)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, fifo, "/dev/null", filepath.Join(dir, "no", "such"), filepath.Join(file, "below")} {
		s, err := Open(path, Options{})
		if err == nil {
			s.Close()
			t.Errorf("opened %s", path)
		} else if !strings.Contains(err.Error(), path) {
			t.Errorf("error does not name %s: %v", path, err)
		}
	}
}

func TestFullDisk(t *testing.T) {
	dir := needRoot(t)
	run(t, "mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", dir)
	t.Cleanup(func() { run(t, "umount", dir) })
	path := filepath.Join(dir, "slot")
	old := bytes.Repeat([]byte("old "), 2<<10)
	if err := os.WriteFile(path, old, 0o644); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Capacity(); err != nil || n != 32<<10 {
		t.Errorf("Capacity: %d, %v, want 32768", n, err)
	}
	if err := s.Begin(imageSize); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("Begin: %v, want ENOSPC", err)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, old) {
		t.Errorf("a refused Begin changed the slot (%v)", err)
	}
}

func TestDevice(t *testing.T) {
	device, _ := loopDevice(t, image('o'))
	slots(t, device, image('o'))

	s, err := Open(device, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Capacity(); err != nil || n != imageSize {
		t.Errorf("Capacity: %d, %v, want %d", n, err, imageSize)
	}
	if err := s.Begin(imageSize + 1); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("Begin beyond the end: %v, want ENOSPC", err)
	}
}

// TestGiven runs the suite on the slots that DELTAUP_TEST_SLOTS names, which are overwritten.
// Package boottest does so in a virtual machine, with a partition, a logical volume and a file.
func TestGiven(t *testing.T) {
	paths := strings.Fields(os.Getenv("DELTAUP_TEST_SLOTS"))
	if len(paths) == 0 {
		t.Skip("DELTAUP_TEST_SLOTS is not set; make test-boot sets it in its machine")
	}
	for _, path := range paths {
		t.Run(path, func(t *testing.T) {
			if err := os.WriteFile(path, image('o'), 0o644); err != nil {
				t.Fatal(err)
			}
			slots(t, path, image('o'))
		})
	}
}

func TestBehindLoop(t *testing.T) {
	_, backing := loopDevice(t, image('o'))
	if _, err := Open(backing, Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("a loop device's file: %v, want ErrBusy", err)
	}
	s, err := Open(backing, Options{ReadOnly: true})
	if err != nil {
		t.Fatalf("only to look: %v", err)
	}
	s.Close()
}

func TestMounted(t *testing.T) {
	dir := needRoot(t)
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("no mkfs.ext4")
	}
	device, _ := loopDevice(t, make([]byte, 1<<20))
	run(t, "mkfs.ext4", "-q", device)
	run(t, "mount", device, dir)
	t.Cleanup(func() { run(t, "umount", dir) })
	if _, err := Open(device, Options{}); !errors.Is(err, ErrBusy) {
		t.Errorf("a mounted device: %v, want ErrBusy", err)
	}
}

// needRoot skips without root, else returns a folder to mount on.
func needRoot(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	dir := t.TempDir()
	out, err := exec.Command("mount", "-t", "tmpfs", "tmpfs", dir).CombinedOutput()
	if err != nil {
		t.Skipf("mounting is not permitted here: %s", out)
	}
	run(t, "umount", dir)
	return dir
}

// loopDevice makes a block device that holds content; it skips where that is not permitted.
func loopDevice(t *testing.T, content []byte) (device, backing string) {
	t.Helper()
	needRoot(t)
	backing = filepath.Join(t.TempDir(), "backing")
	if err := os.WriteFile(backing, content, 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", backing).Output()
	if err != nil {
		t.Skipf("no loop devices here: %v", err)
	}
	device = strings.TrimSpace(string(out))
	t.Cleanup(func() { run(t, "losetup", "--detach", device) })
	return device, backing
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}
