package settings

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/effort"
)

// TestOracle has real tools change a machine's /etc through the kernel's overlay, at random. What is
// read from the upper folder must be what the mount shows, and a boot must show it again.
func TestOracle(t *testing.T) {
	rounds := effort.Times(600)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			o := newOracle(t, seed)
			for range rounds / 4 {
				o.round()
				if t.Failed() {
					t.Fatalf("after:\n%s", strings.Join(o.script, "\n"))
				}
			}
		})
	}
}

type oracle struct {
	*machine
	r      *rand.Rand
	part   bool // the list keeps a part of /etc
	script []string
}

func newOracle(t *testing.T, seed uint64) *oracle {
	o := &oracle{machine: newMachine(t), r: rand.New(rand.NewPCG(seed, 0)), part: seed%2 == 1}
	lines := []string{"keep /etc/"}
	if o.part {
		lines = []string{"keep /etc/a/", "keep /etc/b/*/c", "except /etc/a/b", "keep /etc/c"}
	}
	lines = append(lines, "/etc/a/a 1\n", "/etc/a/b 2\n", "/etc/a/c/a 3\n", "/etc/b/a/c 4\n", "/etc/b/b/c/a 5\n",
		"/etc/b/c ->../a", "/etc/c 6\n", "/etc/d/a/b/c/d 7\n", "/etc/e/", "/etc/f ->nowhere")
	o.image("image", lines...)
	o.do(exec.Command("setfattr", "-n", "user.shipped", "-v", "1", filepath.Join(o.dir, "image/etc/c")).Run())
	o.boot("image")
	return o
}

// path is a random path of few names, so that they collide.
func (o *oracle) path() string {
	p := ""
	for range 1 + o.r.IntN(3) {
		p += "/" + string(rune('a'+o.r.IntN(5)))
	}
	return p[1:]
}

// commands are what is done, with P and Q for paths, N and M for numbers and MODE for a mode.
var commands = []string{
	"cp -a P Q", "cp -r P Q", "mv P Q", "mv -T P Q", "rm -r P", "rm -rf P", "mkdir -p P", "ln -s Q P",
	"ln -sfn Q P", "ln -f P Q", "sed -i s/./x/ P", "chmod MODE P", "chown N:M P", "chown -h 3 P",
	"setfattr -n user.note -v nN P", "setfattr -x user.note P", "setfattr -x user.shipped P",
	"setfattr -n system.posix_acl_access -v " +
		"0x0200000001000600ffffffff02000400N00000004000400ffffffff10000400ffffffff20000000ffffffff P",
	"setfattr -n system.posix_acl_default -v 0x0200000001000700ffffffff04000500ffffffff20000500ffffffff P",
	"setfattr -n security.capability -v 0x0000000200200000000000000000000000000000 P",
	"echo N >P", "echo M >>P", "mknod P c 0 0", "mknod P c 1 3", "touch P", "install -D -m 600 P Q",
	"truncate -s 5000 P", "rm -r P; mkdir P; echo new >P/a", "rm -r P; mkdir -p P/a/b; cp -a Q P/c",
	"mv P z; mkdir P; mv z P/b", "mv P z; mv Q P; mv z Q", "rmdir P", "rm -r P; ln -s Q P",
	"dd if=/dev/urandom of=P bs=100 count=3 status=none",
}

func (o *oracle) command() string {
	n := func() string { return fmt.Sprint(10 + o.r.IntN(80)) }
	return strings.NewReplacer("P", o.path(), "Q", o.path(), "N", n(), "MODE", fmt.Sprintf("%o", o.r.IntN(0o10000)), "M", n()).
		Replace(commands[o.r.IntN(len(commands))])
}

func (o *oracle) round() {
	o.script = nil
	for range 1 + o.r.IntN(12) {
		o.script = append(o.script, o.command())
	}
	c := exec.Command("timeout", "10", "sh", "-c", strings.Join(o.script, "\n"))
	c.Dir = filepath.Join(o.root, "etc")
	c.Run() // many a command fails

	image, before := o.tree(filepath.Join(o.dir, "image")), o.tree(o.root)
	source := o.source("image")
	v, err := o.store.live(o.t.Context(), source)
	o.do(err)
	defer v.Close()
	l := listed{source.list}
	want := map[string]Entry{}
	lost := map[string]bool{}
	for path, e := range before {
		d, shipped := image[path]
		switch {
		case shipped && e.same(&d):
		case l.keeps(path) || e.Kind == Folder && d.Kind != Folder && leads(l, before, path):
			if e.Default = [32]byte{}; shipped {
				e.Default = d.id()
			}
			want[path] = e
		default:
			lost[path] = true
		}
	}
	for path, d := range image {
		if _, there := before[path]; !there && l.keeps(path) {
			want[path] = Entry{Path: path, Kind: Gone, Default: d.id()}
		}
	}
	o.compare("the upper folder", want, entryMap(v.Entries))
	for _, n := range v.notKept {
		delete(lost, n.Path)
	}
	for path := range lost {
		e, d := before[path], image[path]
		e.Xattrs, d.Xattrs = nil, nil // they are not looked at
		if !e.same(&d) {
			o.t.Errorf("%s is not told as lost", &e)
		}
	}

	r := o.boot("image")
	o.compare("what was laid", want, entryMap(v.Entries))
	after := o.tree(o.root)
	expected := map[string]Entry{}
	for path, d := range image {
		expected[path] = d
	}
	for path, e := range want {
		e.Default = [32]byte{}
		if expected[path] = e; e.Kind == Gone {
			delete(expected, path)
		}
	}
	for path := range expected { // what is not listed is gone with its folder
		parents(path, "/etc", func(p string) {
			if e, ok := expected[p]; !ok || e.Kind != Folder {
				delete(expected, path)
			}
		})
	}
	o.compare("the mount after a boot", expected, after)
	if len(r.Warnings) > 0 {
		o.t.Errorf("warned: %v", r.Warnings)
	}
	if o.r.IntN(20) == 0 { // begin anew
		o.do(exec.Command("sh", "-c", "rm -rf "+o.root+"/etc/*").Run())
		o.do(exec.Command("cp", "-a", filepath.Join(o.dir, "image/etc/."), filepath.Join(o.root, "etc")).Run())
	}
}

// leads tells whether something that is kept lies below a folder.
func leads(l listed, entries map[string]Entry, folder string) bool {
	for path, e := range entries {
		if strings.HasPrefix(path, folder+"/") && e.Kind != Gone && l.keeps(path) {
			return true
		}
	}
	return false
}

// tree reads what a folder shows below /etc.
func (o *oracle) tree(root string) map[string]Entry {
	t, err := openFolderTree(root)
	o.do(err)
	defer t.close()
	all := map[string]Entry{}
	o.do(t.walk("/etc", func(string) bool { return true }, func(f *found) error {
		if f.other {
			return nil
		}
		e, err := f.entry()
		if err == nil {
			all[e.Path] = *e
		}
		return err
	}))
	return all
}

func entryMap(entries []Entry) map[string]Entry {
	m := map[string]Entry{}
	for _, e := range entries {
		m[e.Path] = e
	}
	return m
}

func (o *oracle) compare(what string, want, have map[string]Entry) {
	o.t.Helper()
	for path, w := range want {
		if h, ok := have[path]; !ok {
			o.t.Errorf("%s lacks %s", what, &w)
		} else if !h.identical(&w) {
			o.t.Errorf("%s has %s %s, want %s %s", what, &h, h.Default, &w, w.Default)
		}
	}
	for path, h := range have {
		if _, ok := want[path]; !ok {
			o.t.Errorf("%s has %s too much", what, &h)
		}
	}
}
