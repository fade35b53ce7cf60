package rootfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"deltaup/mkimage/tree"

	"golang.org/x/sys/unix"
)

// must fails the test at the first error.
func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// makeEverything fills a folder with every kind of file that the file system can hold and this user
// may make.
func makeEverything(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	p := func(name string) string { return filepath.Join(dir, name) }
	must(t,
		os.Chmod(dir, 0o751),
		os.MkdirAll(p("usr/bin"), 0o755), os.MkdirAll(p("usr-local"), 0o2775), os.Mkdir(p("tmp"), 0o777), os.Mkdir(p("empty"), 0o700),
		os.WriteFile(p("usr/bin/env"), []byte(randomBytes(70000)), 0o755),
		os.WriteFile(p("usr/bin/empty"), nil, 0o600),
		os.WriteFile(p("usr.conf"), []byte("x"), 0o444),
		os.WriteFile(p("\xff\xfe odd\nname \\ %"), []byte("raw bytes"), 0o644),
		os.WriteFile(p(strings.Repeat("n", 255)), []byte("long"), 0o644),
		os.Link(p("usr/bin/env"), p("usr/bin/aaa")), os.Link(p("usr/bin/env"), p("zzz")),
		os.Symlink("usr/bin/env", p("env")), os.Symlink("/"+strings.Repeat("t", 300), p("dangling")),
		unix.Link(p("env"), p("env2")),
		unix.Mkfifo(p("pipe"), 0o640),
		os.Chmod(p("tmp"), 0o777|os.ModeSticky), os.Chmod(p("usr/bin/empty"), 0o711|os.ModeSetuid|os.ModeSetgid),
	)
	deep := strings.Repeat("deep/", 40)
	must(t, os.MkdirAll(p(deep), 0o755), os.WriteFile(p(deep+"file"), []byte("deep"), 0o644))
	setXattr(t, dir, "user.root", "of the root")
	setXattr(t, p("usr/bin/env"), "user.b", "1\x00\xff\n")
	setXattr(t, p("usr/bin/env"), "user.a=b%", "") // pax keys hold no "="
	setXattr(t, p("usr"), "user.dir", strings.Repeat("v", 3000))
	if os.Geteuid() == 0 {
		must(t,
			unix.Mknod(p("null"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))),
			unix.Mknod(p("disk"), unix.S_IFBLK|0o660, int(unix.Mkdev(259, 65537))),
			os.Lchown(p("env"), 12, 3000000), os.Lchown(p("usr.conf"), 1000, 70000),
		)
		setXattr(t, p("env"), "trusted.link", "on a symbolic link")
		setXattr(t, p("null"), "trusted.device", "1")
		// cap_net_raw+ep, as ping has it: struct vfs_cap_data of linux/capability.h, revision 2.
		setXattr(t, p("usr/bin/empty"), "security.capability", "\x01\x00\x00\x02\x00\x20"+strings.Repeat("\x00", 14))
	}
	when := func(name string, sec, nsec int64) {
		at := unix.NsecToTimespec(sec*1e9 + nsec)
		must(t, unix.UtimesNanoAt(unix.AT_FDCWD, p(name), []unix.Timespec{at, at}, unix.AT_SYMLINK_NOFOLLOW))
	}
	when("usr/bin/env", 1700000000, 999999999)
	when("usr.conf", -100, 500000000)
	when("dangling", 86400, 0)
	when("usr", 1234567890, 1)
	return dir
}

// setXattr sets an extended attribute, unless the file system has none.
func setXattr(t testing.TB, path, name, value string) {
	t.Helper()
	err := unix.Lsetxattr(path, name, []byte(value), 0)
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) {
		t.Logf("%s on %s: %v", name, path, err)
		return
	}
	must(t, err)
}

// TestFolderEqualsItsTar demands the same tree from a folder and from its archives by different
// programs.
func TestFolderEqualsItsTar(t *testing.T) {
	dir := makeEverything(t)
	want := mustRead(t, dir, Options{})
	checkTree(t, want)
	gnu := []string{"tar", "--xattrs", "--xattrs-include=*", "--numeric-owner"}
	for name, command := range map[string][]string{
		"GNU tar, posix":        append(slices.Clone(gnu), "--format=posix"),
		"GNU tar, links anyhow": append(slices.Clone(gnu), "--format=posix", "--hard-dereference"),
		"bsdtar, pax":           {"bsdtar", "--format=pax", "--xattrs", "--numeric-owner"},
		"bsdtar, no sorting":    {"bsdtar", "--format=pax", "--xattrs", "--numeric-owner", "--no-read-sparse"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.tar")
			run(t, command[0], append(command[1:], "-C", dir, "-cf", path, ".")...)
			got := mustRead(t, path, Options{})
			checkTree(t, got)
			wantLines := describe(t, want)
			if slices.Contains(command, "--hard-dereference") {
				wantLines = describe(t, dereferenced{want})
			}
			checkSame(t, describe(t, got), wantLines)
		})
	}
	early := `1 modification times before 1970 became 0, first at "/usr.conf"`
	if w := want.Warnings(); !slices.Equal(w, []string{early}) {
		t.Errorf("got warnings %q", w)
	}
}

// dereferenced shows hard links as files of their own.
type dereferenced struct{ tree.Tree }

func (d dereferenced) Entries() []tree.Entry {
	entries := slices.Clone(d.Tree.Entries())
	for i := range entries {
		entries[i].Link = ""
	}
	return entries
}

func (d dereferenced) Open(i int) (io.ReadCloser, error) {
	entries := d.Tree.Entries()
	if first := entries[i].Link; first != "" {
		i = slices.IndexFunc(entries, func(e tree.Entry) bool { return e.Path == first })
	}
	return d.Tree.Open(i)
}

// TestFolderEqualsItsOldTar demands that formats without fractions of seconds, xattrs or long names
// lose only these.
func TestFolderEqualsItsOldTar(t *testing.T) {
	dir := makeEverything(t)
	want := describe(t, withoutXattrs{mustRead(t, dir, Options{})})
	path := filepath.Join(t.TempDir(), "a.tar")
	run(t, "tar", "--format=gnu", "--numeric-owner", "-C", dir, "-cf", path, ".")
	checkSame(t, describe(t, mustRead(t, path, Options{})), want)
}

type withoutXattrs struct{ tree.Tree }

func (w withoutXattrs) Entries() []tree.Entry {
	entries := slices.Clone(w.Tree.Entries())
	for i := range entries {
		entries[i].Xattrs = nil
	}
	return entries
}

func TestFolderSocket(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir) // the path of a socket must be short
	l, err := net.Listen("unix", "socket")
	must(t, err)
	defer l.Close()
	if _, e := entry(t, mustRead(t, ".", Options{}), "socket"); e.Type != tree.Socket {
		t.Errorf("got %+v", e)
	}
}

// TestFolderLinksOfOtherTypes demands hard links of devices and pipes from a folder. Tar programs
// write them as separate files.
func TestFolderLinksOfOtherTypes(t *testing.T) {
	dir := t.TempDir()
	must(t, unix.Mkfifo(dir+"/b", 0o600), os.Link(dir+"/b", dir+"/a"),
		os.Symlink("x", dir+"/d"), unix.Link(dir+"/d", dir+"/c"))
	if got, want := summary(t, mustRead(t, dir, Options{})), "a:p b=a c>x d=c"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestFolderThroughSymlink(t *testing.T) {
	dir := writeFolder(t, plain("a", "1"))
	name := filepath.Join(t.TempDir(), "link")
	must(t, os.Symlink(dir, name))
	if got := summary(t, mustRead(t, name, Options{})); got != "a:1" {
		t.Errorf("got %s", got)
	}
}

func TestFolderErrors(t *testing.T) {
	dir := writeFolder(t, plain("a", "1"))
	if _, err := FromFolder(context.Background(), dir+"/none", Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing: got error %v", err)
	}
	if _, err := FromFolder(context.Background(), dir+"/a", Options{}); err == nil {
		t.Error("a file passed for a folder")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := FromFolder(ctx, dir, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got error %v", err)
	}
	if _, err := FromFolder(context.Background(), dir, Options{Filter: Filter{Include: []string{"["}}}); err == nil {
		t.Error("bad pattern: no error")
	}
	if os.Geteuid() == 0 {
		return // root reads everything
	}
	must(t, os.Chmod(dir+"/a", 0))
	tr := mustRead(t, dir, Options{})
	if _, err := tr.Open(1); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir+"/a") {
		t.Errorf("unreadable file: got error %v", err)
	}
	must(t, os.Mkdir(dir+"/b", 0))
	if _, err := FromFolder(context.Background(), dir, Options{}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir+"/b") {
		t.Errorf("unreadable folder: got error %v", err)
	}
	if got := summary(t, mustRead(t, dir, Options{Filter: Filter{Exclude: []string{"b", "a"}}})); got != "" {
		t.Errorf("unreadable folder left out: got %s", got)
	}
}

// TestFolderChanged demands that FromFolder does not read what replaces a file after the walk, and
// does not hang.
func TestFolderChanged(t *testing.T) {
	dir := writeFolder(t, plain("a", "123"), plain("secret", "abc"))
	tr := mustRead(t, dir, Options{})
	a := dir + "/a"
	for name, change := range map[string]func() error{
		"longer":  func() error { return os.WriteFile(a, []byte("1234"), 0o644) },
		"gone":    func() error { return nil },
		"symlink": func() error { return os.Symlink("secret", a) },
		"pipe":    func() error { return unix.Mkfifo(a, 0o644) },
		"folder":  func() error { return os.Mkdir(a, 0o755) },
	} {
		must(t, os.RemoveAll(a), change())
		if _, err := tr.Open(1); err == nil || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}

// TestFolderAccessTime demands that reading does not change access times, where the user may ask
// for that.
func TestFolderAccessTime(t *testing.T) {
	dir := writeFolder(t, plain("a", "123"))
	old := []unix.Timespec{{Sec: 1000}, {Sec: 2000}} // relatime would update this one
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, dir+"/a", old, 0), unix.UtimesNanoAt(unix.AT_FDCWD, dir, old, 0))
	tr := mustRead(t, dir, Options{})
	if got := content(t, tr, 1); got != "123" {
		t.Fatalf("got %q", got)
	}
	for _, path := range []string{dir, dir + "/a"} {
		var st unix.Stat_t
		must(t, unix.Stat(path, &st))
		if st.Atim.Sec != 1000 {
			t.Errorf("%s: access time is %d", path, st.Atim.Sec)
		}
	}
}

func TestFolderOtherXattrs(t *testing.T) {
	dir := writeFolder(t, plain("a", "1"), plain("b", "2"))
	// An access control list in the kernel's format: version 2, then tag, permissions and id of
	// each entry.
	acl := "\x02\x00\x00\x00" + "\x01\x00\x06\x00\xff\xff\xff\xff" + "\x02\x00\x04\x00\xe8\x03\x00\x00" +
		"\x04\x00\x04\x00\xff\xff\xff\xff" + "\x10\x00\x04\x00\xff\xff\xff\xff" + "\x20\x00\x04\x00\xff\xff\xff\xff"
	for _, name := range []string{"a", "b"} {
		if err := unix.Lsetxattr(filepath.Join(dir, name), "system.posix_acl_access", []byte(acl), 0); err != nil {
			t.Skipf("no access control lists here: %v", err)
		}
	}
	want := []string{`2 extended attributes left out that are not user., trusted. or security. (access control lists, say), first at "/a"`}
	if got := mustRead(t, dir, Options{}).Warnings(); !slices.Equal(got, want) {
		t.Errorf("got warnings %q", got)
	}
	path := filepath.Join(t.TempDir(), "a.tar")
	run(t, "tar", "--format=posix", "--acls", "--xattrs", "--xattrs-include=*", "-C", dir, "-cf", path, ".")
	if got := mustRead(t, path, Options{}).Warnings(); !slices.Equal(got, want) {
		t.Errorf("tar: got warnings %q", got)
	}
}

func BenchmarkFolder(b *testing.B) {
	dir := b.TempDir()
	for i := range 2000 {
		must(b, os.WriteFile(fmt.Sprintf("%s/%d", dir, i), []byte("x"), 0o644))
	}
	for b.Loop() {
		tr, err := FromFolder(context.Background(), dir, Options{})
		must(b, err)
		must(b, tr.Close())
	}
	b.ReportMetric(float64(b.N)*2001/b.Elapsed().Seconds(), "entries/s")
}
