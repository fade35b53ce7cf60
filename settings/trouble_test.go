package settings

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"deltaup/chunkstore"
)

// TestAfterFailure is the boot after one that could not read what was changed: the settings are those
// of the last generation again, with what was changed since.
func TestAfterFailure(t *testing.T) {
	for _, test := range []struct {
		name   string
		boots  []string // the first fails
		want   []string
		merged bool
	}{
		{"the same image", []string{"a", "a"}, []string{"/etc/f mine", "/etc/g meanwhile", "/etc/shadow s3"}, false},
		{"a new image", []string{"a", "b"}, []string{"/etc/f mine", "/etc/g meanwhile", "/etc/shadow s3", "/etc/new 1"}, true},
		{"a failed trial, and back", []string{"b", "a"}, []string{"/etc/f mine", "/etc/g 1", "/etc/shadow s3", "no /etc/new"}, false},
		{"the same trial again", []string{"b", "b"}, []string{"/etc/f mine", "/etc/g meanwhile", "/etc/shadow s3", "/etc/new 1"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newMachine(t)
			rules := []string{"keep /etc/", "keep /etc/shadow newest"}
			m.image("a", append(rules, "/etc/f 1", "/etc/g 1", "/etc/shadow s1")...)
			m.image("b", append(rules, "/etc/f 1", "/etc/g 1", "/etc/shadow s1", "/etc/new 1")...)
			m.boot("a")
			m.edit("/etc/f mine")
			m.boot("a")
			m.edit("/etc/shadow s2")
			m.do(os.WriteFile(m.root+"/etc/big", nil, 0o600), os.Truncate(m.root+"/etc/big", MaxFile+1))
			r, err := m.tryBoot(test.boots[0])
			m.do(err)
			if r.Failure == nil || r.Lost == "" {
				t.Fatalf("it should have failed: %+v", r)
			}
			m.want("/etc/f 1", "/etc/shadow s2")
			m.edit("/etc/shadow s3", "/etc/g meanwhile")
			if r = m.boot(test.boots[1]); r.Merged != test.merged {
				t.Errorf("%+v", r)
			}
			m.want(test.want...)
			want := m.shown()
			m.boot(test.boots[1])
			if have := m.shown(); have != want {
				t.Errorf("one boot later there is\n%s\nwant\n%s", have, want)
			}
		})
	}
}

// TestImmutable removes old upper folders although somebody has made files in them immutable.
func TestImmutable(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/resolv.conf", "/etc/resolv.conf 1", "/etc/dir/f 1")
	m.boot("a")
	m.edit("/etc/resolv.conf 2", "/etc/dir/f 2", "/etc/dir/sub/g 2")
	upper := filepath.Join(m.dir, "store/upper/1/etc/upper")
	files := []string{upper + "/resolv.conf", upper + "/dir/f", upper + "/dir", upper + "/dir/sub", upper}
	if out, err := exec.Command("chattr", append([]string{"+i"}, files...)...).CombinedOutput(); err != nil {
		t.Skipf("no file can be made immutable here: %s", out)
	}
	t.Cleanup(func() { exec.Command("chattr", "-R", "-i", m.dir+"/store").Run() })
	r := m.boot("a")
	for _, w := range r.Warnings {
		t.Errorf("warning: %s", w)
	}
	m.want("/etc/resolv.conf 2", "/etc/dir/f 1")
	if names, err := m.store.trash.Names(100); err != nil || len(names) > 0 {
		t.Errorf("there is trash: %v, %v", names, err)
	}
}

// TestPruneMany removes generations that are young when there are too many of them.
func TestPruneMany(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/", "/etc/f 1")
	m.boot("a")
	m.edit("/etc/f 2")
	m.boot("a")
	g, err := m.store.Generation(1)
	m.do(err)
	for n := 2; n <= maxKept+20; n++ {
		g.Number = n
		text, err := g.format()
		m.do(err, m.store.generations.Write(strconv.Itoa(n), text))
	}
	gone, err := m.store.Prune(t.Context(), g.Time.Add(-time.Hour), DefaultPolicy)
	m.do(err)
	numbers, err := m.store.Generations()
	m.do(err)
	// the one that is laid stays
	if len(gone) != 19 || len(numbers) != maxKept+1 || numbers[0] != 1 {
		t.Errorf("%d are gone, %d stay from %d on", len(gone), len(numbers), numbers[0])
	}
}

// TestFoldersOfTheImage is a store of a stranger that says other modes of folders than the image's.
func TestFoldersOfTheImage(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/dir/f", "/etc/dir/f 1", "/etc/x 1")
	m.boot("a")
	m.edit("/etc/dir/f 2")
	m.boot("a")
	m.down()
	d, err := m.store.read(m.store.defaults, imageID("a").String())
	m.do(err)
	for i := range d.Entries {
		if d.Entries[i].Kind == Folder {
			d.Entries[i].Mode, d.Entries[i].UID = 0o777, 1000
		}
	}
	text, err := d.format()
	m.do(err, m.store.defaults.Remove(d.Image.String()), m.store.defaults.Write(d.Image.String(), text))
	for range 2 {
		m.boot("a")
		m.want("/etc/dir/f 2")
		for _, name := range []string{"/etc", "/etc/dir"} {
			info, err := os.Stat(m.root + name)
			m.do(err)
			if info.Mode().Perm() != 0o755 {
				t.Errorf("%s has the mode %v", name, info.Mode())
			}
		}
	}
}

// TestSlowToTell looks no further into contents that are not kept than a boot has time for.
func TestSlowToTell(t *testing.T) {
	sc := scanner{ctx: context.Background(), compared: maxBytes}
	same, err := sc.sameContent(&upperEntry{Entry: Entry{Kind: File, Size: 1, Content: chunkstore.ID{}}}, nil)
	if same || err != nil {
		t.Errorf("%v, %v", same, err)
	}
}

// TestManyPlaces is an image with more places than are recorded.
func TestManyPlaces(t *testing.T) {
	m := newMachine(t)
	lines := []string{"/etc/f 1", "keep /etc/"}
	for i := range maxPlaces + 5 {
		lines = append(lines, fmt.Sprintf("keep /var/lib/app%03d/conf", i))
	}
	m.image("a", lines...)
	if r := m.boot("a"); len(r.Places) != maxPlaces || len(r.Warnings) == 0 {
		t.Errorf("%d places, %q", len(r.Places), r.Warnings)
	}
	m.edit("/etc/f mine")
	m.boot("a")
	m.want("/etc/f mine")
}

// TestExportDamaged exports a history of which a content is damaged: the rest of it is exported.
func TestExportDamaged(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	m := newMachine(t)
	m.image("a", "keep /etc/", "/etc/f 1")
	m.boot("a")
	m.edit("/etc/f 2", "/etc/g whole")
	m.boot("a")
	m.edit("/etc/f 3")
	m.boot("a")
	m.do(os.WriteFile(filepath.Join(m.dir, "store/objects", chunkstore.Sum([]byte("2")).String()), []byte("x"), 0o600))
	dir := t.TempDir()
	done, err := m.store.ExportGit(t.Context(), GitExport{Dir: dir, Branch: "main", Author: "a <b>"})
	m.do(err)
	if done.Commits != 2 || len(done.Skipped) != 1 {
		t.Errorf("%+v", done)
	}
	out, err := exec.Command("git", "-C", dir, "log", "-p", "--format=%s").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "+whole") || !strings.Contains(string(out), "+3") {
		t.Errorf("%s, %v", out, err)
	}
}
