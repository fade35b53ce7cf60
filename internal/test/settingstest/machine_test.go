package settingstest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/internal/test/mirrortest"
	"deltaup/settings"
)

// rules is the list of both images. Tools leave files beside those that they change.
const rules = `keep /etc/
keep /etc/app/lines merge=lines
keep /etc/passwd merge=users
keep /etc/group merge=users
keep /etc/shadow merge=users newest
keep /etc/gshadow merge=users newest
except /etc/*-
except /etc/**.new
except /etc/**.lock
except /etc/*+
except /etc/*.[0-9]*
data /srv/
`

// files are what both images have, and what version 2 has in their place.
var files = map[string]string{
	"etc/app/plain": "plain of the image\n", "etc/app/other": "other of the image\n", "etc/app/removed": "removed\n",
	"etc/app/lines": "1\n2\n3\n4\n5\n6\n", "etc/app/both": "both 1\n", "etc/app/only-1": "x\n", "etc/app/new": "new 1\n",
	"etc/passwd":                          "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/usr/sbin/nologin\n",
	"etc/group":                           "root:x:0:\ndaemon:x:1:\n",
	"etc/shadow":                          "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n",
	"etc/gshadow":                         "root:*::\ndaemon:*::\n",
	"usr/lib/deltaup/settings.d/any.conf": rules,
	"srv/data":                            "data of the image\n",
}

var files2 = map[string]string{
	"etc/app/lines": "1 of version 2\n2\n3\n4\n5\n6\n", "etc/app/both": "both 2\n", "etc/app/only-1": "", "etc/app/only-2": "y\n", "etc/app/new": "new 2\n",
	"etc/passwd":  "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1::/:/usr/sbin/nologin\nsystem:x:150:150::/:/usr/sbin/nologin\n",
	"etc/group":   "root:x:0:\ndaemon:x:1:\nsystem:x:150:\n",
	"etc/shadow":  "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\nsystem:!:19000::::::\n",
	"etc/gshadow": "root:*::\ndaemon:*::\nsystem:!::\n",
}

// machine is a place where images are booted, in a mount namespace of its own, in which the test's
// thread stays until it ends.
type machine struct {
	t       testing.TB
	dir     string // in memory
	outside string // seen by other threads, too
	program string
	without []uint32      // system calls that do nothing in deltaup
	took    time.Duration // by deltaup in the last boot
}

func newMachine(t testing.TB) *machine {
	t.Helper()
	if testing.Short() {
		t.Skip("a kernel's: no goroutine of ours")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	for _, name := range []string{"qemu-storage-daemon", "mke2fs", "useradd"} {
		if _, err := exec.LookPath(name); err != nil {
			if _, err := os.Stat("/usr/sbin/" + name); err != nil {
				t.Skipf("needs %s", name)
			}
		}
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
	m := &machine{t: t, dir: t.TempDir(), outside: t.TempDir()}
	if err := errors.Join(err, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""), unix.Mount("tmpfs", m.dir, "tmpfs", 0, "")); err != nil {
		t.Skipf("mounting is not permitted here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(m.dir, unix.MNT_DETACH) })
	m.program = filepath.Join(m.outside, "deltaup")
	if out, err := exec.Command("go", "build", "-tags", "target", "-o", m.program, "deltaup/cmd/deltaup").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, name := range []string{"root", "over", "data", "run", "image1", "image2"} {
		if err := os.Mkdir(m.path(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.image(1, files)
	two := maps.Clone(files)
	for name, text := range files2 {
		if two[name] = text; text == "" {
			delete(two, name)
		}
	}
	m.image(2, two)
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.dir, name) }

func (m *machine) squashfs(version int) string {
	return filepath.Join(m.outside, fmt.Sprint("image", version))
}

// image makes an image and mounts it.
func (m *machine) image(version int, files map[string]string) {
	m.t.Helper()
	// Other threads, which read the tree, are not in this mount namespace.
	tree, image := m.t.TempDir(), m.squashfs(version)
	for name, text := range files {
		mirrortest.WriteFile(m.t, filepath.Join(tree, name), []byte(text))
	}
	if err := errors.Join(os.Chmod(filepath.Join(tree, "etc/shadow"), 0o640), mirrortest.Image(m.t.Context(), tree, image, "fastest")); err != nil {
		m.t.Fatal(err)
	}
	tool(m.t, "mount", "-o", "loop,ro", image, m.path(fmt.Sprint("image", version)))
}

// boot mounts a disk and what an initramfs would. It returns what deltaup says when that is not all
// well.
func (m *machine) boot(disk string, version int) error {
	m.t.Helper()
	image := m.path(fmt.Sprint("image", version))
	if err := errors.Join(os.RemoveAll(m.path("run/settings.failed")), try("mount", "-o", "loop", disk, m.path("data"))); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", m.path("over"), "tmpfs", 0, ""); err != nil {
		m.t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(m.path("over/upper"), 0o755), os.Mkdir(m.path("over/work"), 0o755)); err != nil {
		m.t.Fatal(err)
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", image, m.path("over/upper"), m.path("over/work"))
	if err := unix.Mount("root", m.path("root"), "overlay", 0, options); err != nil {
		m.t.Fatal(err)
	}
	start := time.Now()
	err := try(os.Args[0], append(crippled(m.without), m.program, "settings", "mount", "--root", m.path("root"), "--image", image,
		"--device", m.squashfs(version), "--data", m.path("data"), "--run", m.path("run"))...)
	m.took = time.Since(start)
	if text, readErr := os.ReadFile(m.path("run/settings.failed")); readErr == nil {
		err = errors.Join(err, errors.New(string(text)))
	}
	// Commands find the image there.
	shown := m.path("root/run/deltaup/image")
	if err := errors.Join(os.MkdirAll(shown, 0o755), unix.Mount(image, shown, "", unix.MS_BIND, "")); err != nil {
		m.t.Fatal(err)
	}
	return err
}

// halt takes everything apart again.
func (m *machine) halt() {
	m.t.Helper()
	for _, name := range []string{"root", "over", "data"} {
		// What was not mounted is no error.
		if err := try("umount", "-R", m.path(name)); err != nil && !strings.Contains(err.Error(), "not mounted") {
			m.t.Fatal(err)
		}
	}
}

// leftOver matches what rules excepts.
var leftOver = regexp.MustCompile(`(-|\+|\.new|\.lock|\.[0-9][^/]*)$`)

// tree is what the settings are: for each path what it is and has.
type tree map[string]string

func (m *machine) tree() tree {
	m.t.Helper()
	all := tree{}
	err := filepath.WalkDir(m.path("root/etc"), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, m.path("root"))
		if leftOver.MatchString(name) {
			return nil
		}
		var s unix.Stat_t
		if err := unix.Lstat(path, &s); err != nil {
			return err
		}
		text := fmt.Sprintf("%o %d:%d", s.Mode, s.Uid, s.Gid)
		switch e.Type() {
		case 0:
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += fmt.Sprintf(" %x %.200q", sha256.Sum256(b), b)
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += " to " + target
		}
		all[name] = text
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

// differ lists the paths in which two trees differ.
func (x tree) differ(y tree) []string {
	names := map[string]bool{}
	for name := range x {
		names[name] = x[name] != y[name]
	}
	for name := range y {
		names[name] = x[name] != y[name]
	}
	maps.DeleteFunc(names, func(_ string, differs bool) bool { return !differs })
	return slices.Sorted(maps.Keys(names))
}

// store opens the store of the machine that runs, or whose disk is mounted.
func (m *machine) store() (*settings.Store, error) {
	return settings.Open(m.path("data/deltaup/settings"))
}

// generations gives the text of each generation, and fails when one of them, or an object that it
// names, cannot be read.
func (m *machine) generations() (map[int]string, error) {
	store, err := m.store()
	if err != nil {
		return nil, err
	}
	defer store.Close()
	numbers, err := store.Generations()
	if err != nil {
		return nil, err
	}
	all := map[int]string{}
	for _, n := range numbers {
		g, err := store.Generation(n)
		if err != nil {
			return all, err
		}
		all[n] = fmt.Sprintf("%+v", g)
		for _, e := range g.Entries {
			if e.Kind != settings.File {
				continue
			}
			r, err := store.OpenObject(e.Content)
			if err != nil {
				return all, fmt.Errorf("generation %d: %s: %w", n, e.Path, err)
			}
			r.Close()
		}
	}
	return all, nil
}

// settings runs a command of settings on the machine that runs.
func (m *machine) settings(args ...string) error {
	return try(os.Args[0], append(append(crippled(m.without), m.program, "settings"), append(args, "--sysroot", m.path("root"), "--store", m.path("data/deltaup/settings"))...)...)
}
