package mounts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// lab is a machine in a mount namespace of its own, in which the test's thread stays until it ends.
type lab struct {
	t   *testing.T
	dir string
	*Mounter
}

func newLab(t *testing.T) *lab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS); err != nil {
		t.Skipf("no mount namespaces here: %v", err)
	}
	l := &lab{t: t, dir: t.TempDir()}
	for _, err := range []error{
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", l.dir, "tmpfs", 0, ""),
	} {
		if err != nil {
			t.Skipf("mounting is not permitted here: %v", err)
		}
	}
	t.Cleanup(func() { unix.Unmount(l.dir, unix.MNT_DETACH) })
	for _, name := range []string{"root", "image", "data", "run", "outside"} {
		l.write(name+"/here", name)
	}
	var err error
	l.Mounter, err = Open(l.path("root"), l.path("image"), l.path("data"), l.path("run"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

func (l *lab) write(name, text string) {
	l.t.Helper()
	l.do(os.MkdirAll(filepath.Dir(l.path(name)), 0o755), os.WriteFile(l.path(name), []byte(text), 0o644))
}

func (l *lab) do(errs ...error) {
	l.t.Helper()
	if err := errors.Join(errs...); err != nil {
		l.t.Fatal(err)
	}
}

func (l *lab) want(name, text string) {
	l.t.Helper()
	if b, err := os.ReadFile(l.path(name)); err != nil || string(b) != text {
		l.t.Errorf("%s has %q, want %q: %v", name, b, text, err)
	}
}

// open opens a new folder.
func (l *lab) open(name string) *os.File {
	l.t.Helper()
	l.do(os.MkdirAll(l.path(name), 0o755))
	f, err := os.Open(l.path(name))
	l.do(err)
	l.t.Cleanup(func() { f.Close() })
	return f
}

func TestOverlay(t *testing.T) {
	l := newLab(t)
	l.write("image/etc/a", "image")
	l.write("image/etc/b", "image")
	l.write("root/etc/old", "what lay on the root before is not seen")
	l.write("data/upper/a", "machine")
	l.do(unix.Mknod(l.path("data/upper/b"), unix.S_IFCHR, 0))
	l.do(l.Overlay("/etc", l.open("data/upper"), l.open("data/work")))
	l.want("root/etc/a", "machine")
	for _, gone := range []string{"b", "old"} {
		if _, err := os.Lstat(l.path("root/etc/" + gone)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", gone, err)
		}
	}
	l.write("root/etc/new", "new")
	l.want("data/upper/new", "new")
	for _, option := range options {
		if text, err := os.ReadFile("/proc/thread-self/mountinfo"); err != nil {
			t.Fatal(err)
		} else if name, _, _ := strings.Cut(option, "="); strings.Contains(string(text), name+"=on") {
			t.Errorf("%s is on", name)
		}
	}

	// A place that neither the image nor the root has.
	l.do(l.Overlay("/opt/app", l.open("data/upper2"), l.open("data/work2")))
	l.write("root/opt/app/x", "x")
	l.want("data/upper2/x", "x")
}

// TestOverlayRefused demands an error where the kernel cannot mount: an upper folder inside its own
// work folder.
func TestOverlayRefused(t *testing.T) {
	l := newLab(t)
	l.open("image/etc")
	if err := l.Overlay("/etc", l.open("data/work/upper"), l.open("data/work")); !errors.Is(err, unix.EINVAL) {
		t.Errorf("mounted: %v", err)
	}
}

func TestFolder(t *testing.T) {
	l := newLab(t)
	l.write("image/var/lib/app/sub/file", "of the image")
	l.write("image/var/lib/app/caps", "program")
	l.do(
		os.Chmod(l.path("image/var/lib/app"), 0o710), os.Chown(l.path("image/var/lib/app"), 7, 8),
		os.Chmod(l.path("image/var/lib/app/sub"), fs.ModeSetgid|0o2770), os.Chown(l.path("image/var/lib/app/sub/file"), 9, 9),
		os.Chown(l.path("image/var/lib/app/caps"), 3, 3), os.Chmod(l.path("image/var/lib/app/caps"), fs.ModeSetuid|0o755),
		os.Symlink("/nowhere", l.path("image/var/lib/app/link")), os.Lchown(l.path("image/var/lib/app/link"), 5, 5),
		unix.Mkfifo(l.path("image/var/lib/app/fifo"), 0o640),
		unix.Setxattr(l.path("image/var/lib/app/caps"), "security.capability", []byte("\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), 0),
	)
	l.open("root/var/lib/app")
	l.do(l.Folder(t.Context(), "/var/lib/app"), l.Folder(t.Context(), "/srv/new"))
	l.want("root/var/lib/app/sub/file", "of the image")
	l.want("data/deltaup/folders/var-lib-app/caps", "program")
	for name, want := range map[string]string{
		"data/deltaup": "40755 0:0", "data/deltaup/folders": "40700 0:0", "root/srv/new": "40755 0:0",
		"root/var/lib/app": "40710 7:8", "root/var/lib/app/sub": "42770 0:0", "root/var/lib/app/sub/file": "100644 9:9",
		"root/var/lib/app/caps": "104755 3:3", "root/var/lib/app/link": "120777 5:5", "root/var/lib/app/fifo": "10640 0:0",
	} {
		if got := l.stat(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if n, err := unix.Getxattr(l.path("root/var/lib/app/caps"), "security.capability", make([]byte, 64)); n != 20 || err != nil {
		t.Errorf("the program's rights are lost: %d, %v", n, err)
	}

	// The next boot finds it, whatever the image has now.
	l.write("root/var/lib/app/sub/file", "of the machine")
	l.do(unix.Unmount(l.path("root/var/lib/app"), 0))
	l.write("image/var/lib/app/sub/file", "of another image")
	l.do(l.Folder(t.Context(), "/var/lib/app"))
	l.want("root/var/lib/app/sub/file", "of the machine")
}

func (l *lab) stat(name string) string {
	l.t.Helper()
	var s unix.Stat_t
	l.do(unix.Lstat(l.path(name), &s))
	return fmt.Sprintf("%o %d:%d", s.Mode, s.Uid, s.Gid)
}

// TestLinksOfTheImage follows what the image says, as a process in it would.
func TestLinksOfTheImage(t *testing.T) {
	l := newLab(t)
	l.write("image/var/home/x", "x")
	l.open("root/var/home")
	l.do(os.Symlink("/var/home", l.path("image/home")), os.Symlink("/var/home", l.path("root/home")))
	l.do(l.Folder(t.Context(), "/home"))
	l.want("root/var/home/x", "x")
	l.want("data/deltaup/folders/home/x", "x")
}

// TestHostile has a data partition that somebody else has prepared. Nothing outside it is written.
func TestHostile(t *testing.T) {
	for name, prepare := range map[string]func(l *lab) error{
		"deltaup is a link": func(l *lab) error { return os.Symlink(l.path("outside"), l.path("data/deltaup")) },
		"deltaup is a file": func(l *lab) error { return os.WriteFile(l.path("data/deltaup"), nil, 0o644) },
		"folders is a link": func(l *lab) error {
			return errors.Join(os.Mkdir(l.path("data/deltaup"), 0o755), os.Symlink("../../outside", l.path("data/deltaup/folders")))
		},
		"the folder is a link": func(l *lab) error {
			return errors.Join(os.MkdirAll(l.path("data/deltaup/folders"), 0o755), os.Symlink(l.path("outside"), l.path("data/deltaup/folders/home")))
		},
		"the folder is a dangling link": func(l *lab) error {
			return errors.Join(os.MkdirAll(l.path("data/deltaup/folders"), 0o755), os.Symlink("../../../outside/new", l.path("data/deltaup/folders/home")))
		},
		"the folder is a device": func(l *lab) error {
			return errors.Join(os.MkdirAll(l.path("data/deltaup/folders"), 0o755), unix.Mknod(l.path("data/deltaup/folders/home"), unix.S_IFBLK|0o600, 0xffff))
		},
		"the folder is a pipe": func(l *lab) error {
			return errors.Join(os.MkdirAll(l.path("data/deltaup/folders"), 0o755), unix.Mkfifo(l.path("data/deltaup/folders/home"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			l.open("image/home")
			l.do(prepare(l))
			if err := l.Folder(t.Context(), "/home"); err == nil {
				t.Error("bound")
			}
			if names, err := os.ReadDir(l.path("outside")); err != nil || len(names) != 1 {
				t.Errorf("something was made outside: %v, %v", names, err)
			}
		})
	}
}

// TestHostileRoot has a root whose own upper layer somebody else has prepared.
func TestHostileRoot(t *testing.T) {
	l := newLab(t)
	l.open("image/home")
	l.do(os.Symlink("../outside", l.path("root/home")), os.Symlink("../../outside", l.path("root/etc")))
	err := errors.Join(l.Folder(t.Context(), "/home"), l.Folder(t.Context(), "/etc/new"))
	l.want("outside/here", "outside")
	if names, readErr := os.ReadDir(l.path("outside")); readErr != nil || len(names) != 1 {
		t.Errorf("something was made outside: %v, %v", names, errors.Join(readErr, err))
	}
}

// TestCut ends while the folder is made: it is not there, nor a half of it, which the next boot would
// make once more until the disk is full. That boot makes it, and removes what a cut of power has left.
func TestCut(t *testing.T) {
	l := newLab(t)
	l.write("image/home/user/file", "x")
	ctx, cancel := context.WithCancelCause(t.Context())
	deadline := errors.New("too late")
	cancel(deadline)
	if err := l.Folder(ctx, "/home"); !errors.Is(err, deadline) {
		t.Fatal(err)
	}
	if names, err := os.ReadDir(l.path("data/deltaup/folders")); err != nil || len(names) != 0 {
		t.Fatalf("%v, %v", names, err)
	}
	l.write("data/deltaup/folders/.new-half/user/file", "x")
	l.do(os.Symlink(l.path("outside"), l.path("data/deltaup/folders/.new-link")))
	l.do(l.Folder(t.Context(), "/home"), l.Clean(t.Context()))
	l.want("root/home/user/file", "x")
	if names, err := os.ReadDir(l.path("data/deltaup/folders")); err != nil || len(names) != 1 || names[0].Name() != "home" {
		t.Errorf("%v, %v", names, err)
	}
	l.want("outside/here", "outside")
}

// TestCleanBounded leaves for the next boot what is too deep or too much.
func TestCleanBounded(t *testing.T) {
	l := newLab(t)
	deep := "data/deltaup/folders/.new-deep" + strings.Repeat("/d", maxDepth+1)
	l.do(os.MkdirAll(l.path(deep), 0o755))
	if err := l.Clean(t.Context()); err == nil {
		t.Error("all of it was removed")
	}
	l.do(os.RemoveAll(l.path("data/deltaup/folders/.new-deep")))
	many := l.open("data/deltaup/folders/.new-many")
	for i := range maxRemoved + 10 {
		l.do(unix.Mknodat(int(many.Fd()), strconv.Itoa(i), unix.S_IFREG|0o644, 0))
	}
	if err := l.Clean(t.Context()); err == nil {
		t.Error("all of it was removed")
	}
	l.do(l.Clean(t.Context()))
	if names, err := os.ReadDir(l.path("data/deltaup/folders")); err != nil || len(names) != 0 {
		t.Errorf("%v, %v", names, err)
	}
}

func TestEscape(t *testing.T) {
	for name, want := range map[string]string{
		"/home": "home", "/var/lib/my-app": `var-lib-my\x2dapp`, "/srv/.new-x": `srv-.new\x2dx`, "/.hidden": `\x2ehidden`,
		"/a b": `a\x20b`, "/ä": `\xc3\xa4`, `/a\b`: `a\x5cb`,
	} {
		if got := escape(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
