package trace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// overlay mounts image, and over it an overlay with an empty upper folder on tmpfs, as on a running
// system. It skips the test where mounting is not permitted.
func overlay(t *testing.T, image string) (root string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting takes root")
	}
	dir := t.TempDir()
	lower, tmp, root := filepath.Join(dir, "lower"), filepath.Join(dir, "tmp"), filepath.Join(dir, "root")
	for _, d := range []string{lower, tmp, root} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount := func(target string, args ...string) {
		if out, err := exec.Command("mount", append(args, target)...).CombinedOutput(); err != nil {
			t.Skipf("mount %s: %v: %s", target, err, out)
		}
		t.Cleanup(func() {
			if out, err := exec.Command("umount", target).CombinedOutput(); err != nil {
				t.Errorf("umount %s: %v: %s", target, err, out)
			}
		})
	}
	mount(lower, "-o", "loop,ro", "-t", "squashfs", image)
	mount(tmp, "-t", "tmpfs", "tmpfs")
	for _, d := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(tmp, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount(root, "-t", "overlay", "-o", "lowerdir="+lower+",upperdir="+tmp+"/upper,workdir="+tmp+"/work", "overlay")
	return root
}

// use reads files in another process, because a recorder leaves out its own accesses.
func use(t *testing.T, root string, commands string) {
	t.Helper()
	cmd := exec.Command("sh", "-ec", commands)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", commands, err, out)
	}
}

// recordWhile records while do runs.
func recordWhile(t *testing.T, o RecordOptions, do func()) *Trace {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	o.Started = func() {
		go func() {
			defer stop()
			do()
		}()
	}
	got, err := recordReads(ctx, o)
	if errors.Is(err, errPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestRecord(t *testing.T) {
	root := overlay(t, makeImage(t, map[string]int{"etc/a": 5000, "usr/b c": 100, "usr/never": 10, "x": 9000}, true))
	got := recordWhile(t, RecordOptions{Root: root}, func() {
		use(t, root, "cat x >/dev/null; cat etc/a 'usr/b c' >/dev/null; cat x >/dev/null; ls usr >/dev/null; echo >new; rm new")
	})
	// Recorded are files of the upper folder too, unless they are gone by then.
	files := slices.DeleteFunc(got.Paths(), func(p string) bool { return p == "new" })
	if want := []string{"x", "etc/a", "usr/b c"}; !slices.Equal(files, want) || got.Lost != 0 {
		t.Errorf("recorded %q, %d lost, want %q", files, got.Lost, want)
	}
	if !slices.IsSortedFunc(got.Files, func(a, b File) int { return int(a.First - b.First) }) || got.Files[0].First <= 0 {
		t.Errorf("times: %+v", got.Files)
	}
}

// TestRecordPrivate reads through mounts in another namespace, like those that systemd gives
// services: of the whole file system and of a folder of it, while the mounts are there and after
// they are gone.
func TestRecordPrivate(t *testing.T) {
	root := overlay(t, makeImage(t, map[string]int{"etc/a": 10, "usr/x/b": 10, "usr/x/c": 10}, true))
	w, err := newWatch(root)
	if errors.Is(err, errPermission) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	over, stop := context.WithCancel(t.Context())
	stop()
	// Make the mount private here: where the root is no mount, unshare cannot make all mounts
	// private.
	const private = `unshare --mount --propagation unchanged sh -ec 'mount --make-private "$PWD"; mount --bind -o ro "$PWD/usr" "$PWD/usr"; cat "$PWD/%s" >/dev/null; %s'`
	use(t, root, fmt.Sprintf(private, "usr/x/b", "exit"))
	use(t, root, fmt.Sprintf(private, "etc/a", "exit"))
	cmd := exec.Command("sh", "-ec", fmt.Sprintf(private, "usr/x/c", "echo; read line"))
	cmd.Dir = root
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if n, err := out.Read(make([]byte, 1)); n != 1 {
		t.Errorf("the other namespace: %v", err)
	}
	err = w.run(over) // handle what is queued
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if want := []string{"usr/x/b", "etc/a", "usr/x/c"}; err != nil || !slices.Equal(w.trace.Paths(), want) || w.trace.Lost != 0 {
		t.Errorf("recorded %q, %d lost, %v, want %q", w.trace.Paths(), w.trace.Lost, err, want)
	}
}

func TestRecordPages(t *testing.T) {
	image := makeImage(t, map[string]int{"large": 4 << 20, "small": 100}, true)
	root := overlay(t, image)
	needTracefs(t)
	got := recordWhile(t, RecordOptions{Root: root, Pages: true, Image: image}, func() {
		use(t, root, "cat small >/dev/null; dd if=large of=/dev/null bs=4096 count=1 skip=512 2>/dev/null")
	})
	if want := []string{"small", "large"}; !slices.Equal(got.Paths(), want) || got.Lost != 0 {
		t.Fatalf("recorded %q, %d lost, want %q", got.Paths(), got.Lost, want)
	}
	small, large := got.Files[0], got.Files[1]
	if !slices.Equal(small.ranges, []byteRange{{0, 100}}) {
		t.Errorf("of the small file came %v", small.ranges)
	}
	if !touches(large.ranges, 512*4096, 513*4096) || large.Bytes() < 4096 || large.Bytes() > 3<<20 {
		t.Errorf("of the large file came %v", large.ranges)
	}
	left, err := filepath.Glob("/sys/kernel/*/instances/deltaup-*")
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// needTracefs mounts the kernel's tracing file system unless it is mounted.
func needTracefs(t *testing.T) {
	t.Helper()
	if _, err := tracefs(); err == nil {
		return
	}
	const dir = "/sys/kernel/tracing"
	if err := unix.Mount("tracefs", dir, "tracefs", 0, ""); err != nil {
		t.Skipf("mount tracefs: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("umount %s: %v", dir, err)
		}
	})
	if _, err := tracefs(); err != nil {
		t.Skip(err)
	}
}

// TestHandover begins a recording in one recorder and ends it in another, as across switch_root.
func TestHandover(t *testing.T) {
	root := overlay(t, makeImage(t, map[string]int{"early": 10, "both": 10, "late": 10}, true))
	recording := make(chan struct{})
	early := make(chan error, 1)
	go func() {
		early <- RecordUntilTaken(t.Context(), RecordOptions{Root: root, Started: func() { close(recording) }})
	}()
	select {
	case <-recording:
	case err := <-early:
		if errors.Is(err, errPermission) {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	use(t, root, "cat early both >/dev/null")
	got, err := RecordOn(t.Context(), RecordOptions{Root: root}, func(context.Context) error {
		use(t, root, "cat late both >/dev/null")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := <-early; err != nil {
		t.Errorf("the early recorder: %v", err)
	}
	if want := []string{"early", "both", "late"}; !slices.Equal(got.Paths(), want) {
		t.Errorf("recorded %q, want %q", got.Paths(), want)
	}
	// Without an earlier recorder there is nothing to take over.
	none, err := takeOver(t.Context())
	if err != nil || len(none.Files) != 0 {
		t.Errorf("took over %+v, %v", none, err)
	}
}

func TestRecordOnGivesBoth(t *testing.T) {
	root := overlay(t, makeImage(t, map[string]int{"a": 10}, true))
	broken := errors.New("the wait failed")
	got, err := RecordOn(t.Context(), RecordOptions{Root: root}, func(context.Context) error {
		use(t, root, "cat a >/dev/null")
		return broken
	})
	if errors.Is(err, errPermission) {
		t.Skip(err)
	}
	if !errors.Is(err, broken) || got == nil || !slices.Equal(got.Paths(), []string{"a"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

// TestRecordEvents demands that take understands a buffer of the kernel's and refuses one of
// another version.
func TestRecordEvents(t *testing.T) {
	w := &watch{seen: make(map[inode]bool)}
	event := make([]byte, 24)
	event[0], event[4], event[6] = 24, unix.FANOTIFY_METADATA_VERSION, 24
	event[9] = unix.FAN_Q_OVERFLOW >> 8
	copy(event[16:], "\xff\xff\xff\xff") // FAN_NOFD
	if err := w.take(slices.Concat(event, event), 0); err != nil || w.trace.Lost != 2 {
		t.Errorf("two overflows: %d lost, %v", w.trace.Lost, err)
	}
	event[4]++
	if err := w.take(event, 0); err == nil {
		t.Error("another version was taken")
	}
	event[4]--
	event[0] = 25
	if err := w.take(event, 0); err == nil {
		t.Error("an event longer than the buffer was taken")
	}
}

func TestMountinfo(t *testing.T) {
	const text = `24 1 254:1 / / rw,relatime - overlay overlay rw,lowerdir=/a
25 24 7:3 / /mnt ro,nodev shared:1 - squashfs /dev/loop3 ro,errors=continue
26 24 7:3 / /again ro,nodev - squashfs /dev/loop3 ro
27 24 259:2 / /other ro master:4 propagate_from:2 - squashfs nvme0n1p2 ro
`
	got := squashfsMounts(text)
	if want := map[string]string{"7:3": "/dev/loop3", "259:2": "/dev/nvme0n1p2"}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if device, err := parseDevice("259:2"); err != nil || device != 259<<20|2 {
		t.Errorf("device %d, %v", device, err)
	}
	for _, bad := range []string{"", "7", "7:", "7:x", "-1:2", "4096:0"} {
		if _, err := parseDevice(bad); err == nil {
			t.Errorf("device %q was taken", bad)
		}
	}
	if _, _, err := mountedImage("/dev/null"); err == nil {
		t.Error("/dev/null is mounted")
	}
}
