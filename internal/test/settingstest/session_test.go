package settingstest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"deltaup/internal/test/disktest"
)

// step is something that happens to the machine. When it is over, all of it is promised.
type step struct {
	name string
	boot int // not 0: the machine boots this version, from a disk that was unmounted
	do   func(m *machine) error
}

// mark is what was promised when a step was over.
type mark struct {
	step
	at          int64 // length of the log
	image       int   // the version that runs
	tree        tree
	generations map[int]string
}

// session is a machine's life, as it was recorded.
type session struct {
	before []byte
	writes []disktest.Write
	marks  []mark // the first is the state before all steps
}

// edit writes a file as editors do: under another name, synced, renamed, and the folder synced.
func edit(name, text string) step {
	return step{name: "edit " + name, do: func(m *machine) error {
		path := filepath.Join(m.path("root/etc"), name)
		f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		return errors.Join(err, f.Sync(), f.Close(), os.Rename(path+".new", path), syncFolder(filepath.Dir(path)))
	}}
}

// add appends to a file in place, and syncs it.
func add(name, text string) step {
	return step{name: "add to " + name, do: func(m *machine) error {
		f, err := os.OpenFile(filepath.Join(m.path("root/etc"), name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		return errors.Join(err, f.Sync(), f.Close())
	}}
}

// change does something to a name, and syncs its folder.
func change(what, name string, do func(path string) error) step {
	return step{name: what + " " + name, do: func(m *machine) error {
		path := filepath.Join(m.path("root/etc"), name)
		return errors.Join(do(path), syncFolder(filepath.Dir(path)))
	}}
}

func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// run has a tool change the machine's root. It syncs what it writes.
func run(name string, args ...string) step {
	return step{name: name + " " + strings.Join(args, " "), do: func(m *machine) error {
		// These tools sync the files, and leave the folder to whoever is in a hurry.
		return errors.Join(try(name, append([]string{"--prefix", m.path("root")}, args...)...), syncFolder(m.path("root/etc")))
	}}
}

// command runs a command of settings.
func command(args ...string) step {
	return step{name: strings.Join(args, " "), do: func(m *machine) error { return m.settings(args...) }}
}

var save = command("save", "-m", "by the test")

func boot(version int) step {
	return step{name: fmt.Sprint("boot of version ", version), boot: version}
}

func link(target string) func(string) error {
	return func(path string) error {
		return errors.Join(os.Symlink(target, path+".new"), os.Rename(path+".new", path))
	}
}

func mode(to os.FileMode) func(string) error {
	return func(path string) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(f.Chmod(to), f.Sync(), f.Close())
	}
}

func folder(path string) error { return os.Mkdir(path, 0o750) }

func owner(path string) error {
	return errors.Join(os.Lchown(path, 7, 8), unix.Setxattr(path, "user.kept", []byte("x"), 0), syncFolder(path))
}

// steps are a life of the machine: edits, saves, restarts, an update, a fallback and a return.
var steps = []step{
	boot(1),
	edit("app/plain", "plain of the machine\n"), run("useradd", "-M", "-u", "1000", "anna"), edit("hosts", "127.0.0.1 localhost\n"), save,
	change("remove", "app/removed", os.Remove), change("link", "localtime", link("/usr/share/zoneinfo/UTC")),
	add("app/lines", "7 of the machine\n"), edit("app/both", "both of the machine\n"),
	boot(1),
	change("mkdir", "conf.d", folder), edit("conf.d/a", strings.Repeat("a line of a longer file\n", 20_000)), change("chown", "conf.d", owner), save,
	change("chmod", "app/other", mode(0o600)), run("groupadd", "-g", "2000", "people"), run("usermod", "-c", "Anna", "anna"),
	edit("app/plain", "plain, again\n"), change("link", "localtime", link("/usr/share/zoneinfo/Asia/Tokyo")),
	boot(2),
	edit("app/new", "new of the machine\n"), run("useradd", "-M", "-u", "1001", "bert"), save, edit("hosts", "127.0.0.1 localhost two\n"),
	boot(1),
	edit("app/plain", "plain, after a fallback\n"), change("remove", "conf.d/a", os.Remove), add("hosts", "192.0.2.1 fallback\n"),
	boot(2),
	edit("app/plain", "plain, on version 2\n"), save, run("userdel", "bert"),
	boot(2), boot(1), edit("hosts", "127.0.0.1 the end\n"), save,
	command("restore", "1", "/etc/app/plain"), command("restore", "2"), boot(1),
}

// record has a machine live, and records what its disk is asked to do.
func (m *machine) record(steps []step) *session {
	m.t.Helper()
	r := newRecorder(m.t, m.dir)
	s := &session{marks: []mark{{generations: map[int]string{}}}}
	var err error
	if s.before, err = os.ReadFile(r.disk); err != nil {
		m.t.Fatal(err)
	}
	r.start(m.t)
	now := mark{}
	for _, x := range steps {
		now.step = x
		switch {
		case x.boot != 0:
			m.halt()
			now.image = x.boot
			err = m.boot(r.export, x.boot)
		default:
			err = x.do(m)
		}
		if err != nil {
			m.t.Fatalf("%s: %v", x.name, err)
		}
		now.at, now.tree = r.at(m.t), m.tree()
		if now.generations, err = m.generations(); err != nil {
			m.t.Fatalf("%s: %v", x.name, err)
		}
		s.marks = append(s.marks, now)
	}
	m.halt()
	r.stop(m.t)
	s.writes = r.writes(m.t)
	return s
}
