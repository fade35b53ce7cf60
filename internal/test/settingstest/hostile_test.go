package settingstest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/internal/test/effort"
)

// hostileTime is what a boot may take on a medium that somebody else has prepared.
const hostileTime = 25 * time.Second

// substitutes are what a stranger can put in the place of something on the data partition. outside
// is a folder that is none of the machine's business.
var substitutes = []struct {
	name string
	make func(path, outside string) error
}{
	{"a link to a folder outside", func(path, outside string) error { return os.Symlink(outside, path) }},
	{"a link to a file outside", func(path, outside string) error { return os.Symlink(outside+"/file", path) }},
	{"a link to nothing outside", func(path, outside string) error { return os.Symlink(outside+"/new", path) }},
	{"a link to itself", func(path, _ string) error { return os.Symlink(path, path) }},
	{"a pipe", func(path, _ string) error { return unix.Mkfifo(path, 0o600) }},
	{"a device without an end", func(path, _ string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 5))) }},
	{"a huge file", func(path, _ string) error {
		return errors.Join(os.WriteFile(path, nil, 0o600), os.Truncate(path, 1<<40))
	}},
	{"a folder", func(path, _ string) error { return os.Mkdir(path, 0o700) }},
	{"an empty file", func(path, _ string) error { return os.WriteFile(path, nil, 0o600) }},
	{"noise", func(path, _ string) error {
		return os.WriteFile(path, []byte(strings.Repeat("\x00\xffnoise\n", 1000)), 0o600)
	}},
}

// TestHostile puts each of the substitutes in the place of each name below deltaup on the data
// partition, and of names that deltaup makes for a moment. The machine boots in time, nothing is
// written outside, and what it does not tell of is as it was.
func TestHostile(t *testing.T) {
	m := newMachine(t)
	disk := newRecorder(t, m.dir).disk // which records nothing unless it is started
	outside := m.path("outside")
	if err := errors.Join(os.Mkdir(outside, 0o755), os.WriteFile(outside+"/file", []byte("outside\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, x := range []step{boot(1), edit("app/plain", "plain of the machine\n"), run("useradd", "-M", "-u", "1000", "anna"), boot(2), edit("hosts", "x\n")} {
		var err error
		if x.boot == 0 {
			err = x.do(m)
		} else {
			m.halt()
			err = m.boot(disk, x.boot)
		}
		if err != nil {
			t.Fatalf("%s: %v", x.name, err)
		}
	}
	want := m.tree()
	names := m.namesBelow("data/deltaup")
	m.halt()
	before, err := os.ReadFile(disk)
	if err != nil {
		t.Fatal(err)
	}
	tried, told := 0, 0
	for i, name := range names {
		for j, s := range substitutes {
			if effort.Stride() != 1 && (i+j)%10 != 0 {
				continue // a boot takes a quarter of a second
			}
			tried++
			if err := os.WriteFile(disk, before, 0o600); err != nil {
				t.Fatal(err)
			}
			tool(t, "mount", "-o", "loop", disk, m.path("data"))
			path := m.path(filepath.Join("data/deltaup", name))
			if err := errors.Join(os.RemoveAll(path), s.make(path, outside)); err != nil {
				t.Fatal(err)
			}
			m.halt()
			start := time.Now()
			err := m.boot(disk, 2)
			if took := time.Since(start); took > hostileTime {
				t.Errorf("%s is %s: the boot took %v", name, s.name, took)
			}
			got := m.tree()
			if err != nil {
				told++
			} else if d := got.differ(want); len(d) > 0 && name != "settings" && !strings.HasPrefix(name, "settings/upper") {
				// An empty store is that of a new machine, and what lies in an upper folder is what
				// the machine has changed.
				t.Errorf("%s is %s, and nothing is told: %s", name, s.name, wrong(d, got, want))
			}
			if len(got["/etc/app/only-2"]) == 0 && !strings.HasPrefix(name, "settings/upper") {
				t.Errorf("%s is %s: the machine lacks what its image has", name, s.name)
			}
			m.halt()
			m.wantOutside(outside, name+" is "+s.name)
		}
	}
	t.Logf("%d names, %d substitutes tried, of %d the machine tells", len(names), tried, told)
}

// namesBelow lists all names below a folder, and those that deltaup makes for a moment there.
func (m *machine) namesBelow(dir string) (names []string) {
	m.t.Helper()
	err := filepath.WalkDir(m.path(dir), func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(m.path(dir), path)
		if err != nil || name == "." {
			return err
		}
		names = append(names, name)
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return append(names, "settings/laid.new", "settings/generations/00000003", "settings/generations/00000003.new",
		"settings/generations/00000004", "settings/upper/1", "settings/upper/3", "settings/upper/4", "settings/upper/lost-2", "settings/trash/x", "folders/.new-x")
}

func (m *machine) wantOutside(outside, what string) {
	m.t.Helper()
	entries, err := os.ReadDir(outside)
	b, readErr := os.ReadFile(outside + "/file")
	info, statErr := os.Stat(outside)
	if err := errors.Join(err, readErr, statErr); err != nil || len(entries) != 1 || string(b) != "outside\n" || info.Mode().Perm() != 0o755 {
		m.t.Fatalf("%s: what is outside was changed: %v, %q, %v, %v", what, entries, b, info.Mode(), err)
	}
}
