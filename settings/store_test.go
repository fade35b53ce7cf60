package settings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
	"deltaup/internal/test/durabletest"
	"deltaup/mkimage/squashfs"
)

// live reads the running machine.
func (m *machine) live(image string) *View {
	m.t.Helper()
	v, err := m.store.live(context.Background(), m.source(image))
	m.do(err)
	m.t.Cleanup(func() { v.Close() })
	return v
}

func TestCommit(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/", "/etc/f 1")
	m.boot("a")
	why := reason{cause: Saved, message: "first"}
	if _, err := m.store.commit(t.Context(), m.live("a"), why); !errors.Is(err, ErrUnchanged) {
		t.Errorf("nothing was committed: %v", err)
	}
	m.edit("/etc/f 2")
	g, err := m.store.commit(t.Context(), m.live("a"), why)
	m.do(err)
	if g.Number != 1 || g.Message != "first" || g.Entry("/etc/f") == nil {
		t.Errorf("%+v", g)
	}
	if _, err := m.store.commit(t.Context(), m.live("a"), why); !errors.Is(err, ErrUnchanged) {
		t.Errorf("committed twice: %v", err)
	}
	v := m.live("a")
	m.edit("/etc/f 3")
	if _, err := m.store.commit(t.Context(), v, why); !errors.Is(err, ErrUnchanged) {
		t.Errorf("a view that is old: %v", err)
	}
	v = m.live("a")
	m.edit("/etc/f 4")
	if _, err := m.store.commit(t.Context(), v, why); err == nil || !strings.Contains(err.Error(), "have changed while") {
		t.Errorf("a file that changes meanwhile: %v", err)
	}
	if r := m.boot("a"); r.Committed != 2 || r.Generation != 2 {
		t.Errorf("%+v", r)
	}
	m.image("b", "keep /etc/", "/etc/f 5")
	if r := m.boot("b"); len(r.Conflicts) != 1 {
		t.Errorf("%+v", r)
	}
	for _, e := range []Entry{m.last.Conflicts[0].Base, m.last.Conflicts[0].Local, m.last.Conflicts[0].Image} {
		r, err := m.store.OpenObject(e.Content)
		m.do(err)
		r.Close()
	}
	if g, err = m.store.commit(t.Context(), m.live("b"), reason{cause: Restored, resolved: []string{"/etc/f"}}); err != nil || len(g.Conflicts) != 0 {
		t.Errorf("%+v, %v", g, err)
	}
}

// TestCommitCrash cuts the power at each step of a commit.
func TestCommitCrash(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/", "/etc/f 1")
	m.boot("a")
	for n := 1; ; n++ {
		m.edit(fmt.Sprintf("/etc/f of step %d", n), fmt.Sprintf("/etc/g of step %d", n))
		v := m.live("a")
		before, err := m.store.Laid()
		m.do(err)
		c := durabletest.CrashAt(t, n)
		_, err = m.store.commit(context.Background(), v, reason{cause: Saved})
		if !c.Restart() {
			m.do(err)
			break
		}
		if err == nil {
			t.Fatalf("step %d: committed without power", n)
		}
		after, err := m.store.Laid()
		m.do(err)
		if after.Upper != before.Upper || after.Generation < before.Generation {
			t.Errorf("step %d: %+v became %+v", n, before, after)
		}
		generations(t, m) // each is whole, with its objects
	}
	if n := len(m.live("a").Entries); n != 2 {
		t.Errorf("%d entries", n)
	}
}

func TestPrune(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/", "/etc/f 1")
	m.image("b", "keep /etc/", "/etc/f 1")
	m.boot("a")
	for i := range 5 {
		m.edit(fmt.Sprint("/etc/f a", i))
		m.boot("a")
	}
	m.boot("b")
	for i := range 5 {
		m.edit(fmt.Sprint("/etc/f b", i))
		m.boot("b")
	}
	objects := func() int {
		names, err := m.store.objects.Names(1000)
		m.do(err)
		return len(names)
	}
	n := objects()
	later := time.Now().Add(time.Hour)
	for _, c := range []struct {
		policy Policy
		want   string
	}{
		{Policy{Number: 100, Age: 0}, "[]"},
		{Policy{Number: 1, Age: 2 * time.Hour}, "[]"},
		{Policy{Number: 3, Age: 0}, "[1 2 3 4 6 7 8]"}, // 5 is the last of image a
		{Policy{Number: 0, Age: 0}, "[9 10]"},
	} {
		gone, err := m.store.Prune(t.Context(), later, c.policy)
		m.do(err)
		if fmt.Sprint(gone) != c.want {
			t.Errorf("%+v: removed %v, want %s", c.policy, gone, c.want)
		}
	}
	if objects() >= n-5 {
		t.Errorf("of %d objects %d are left", n, objects())
	}
	generations(t, m)
	if r := m.boot("a"); !r.RolledBack || r.Generation != 5 {
		t.Errorf("%+v", r)
	}
	m.want("/etc/f a4")
}

func TestPut(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/", "/etc/f 1", "/etc/dir/x 1", "/etc/link ->dir")
	m.boot("a")
	put := func(e Entry, content string) error { return put(m.root, &e, strings.NewReader(content)) }
	m.do(put(Entry{Path: "/etc/f", Kind: File, Mode: 0o4750, UID: 3, GID: 4, Xattrs: []Xattr{{"user.a", "b"}}}, "new"))
	m.do(put(Entry{Path: "/etc/new/deep/f", Kind: File, Mode: 0o600}, "deep"))
	m.do(put(Entry{Path: "/etc/dir", Kind: File, Mode: 0o600}, "no folder"))
	m.do(put(Entry{Path: "/etc/new/l", Kind: Link, Target: "deep"}, ""))
	m.do(put(Entry{Path: "/etc/new/l", Kind: Link, Target: "deeper"}, ""))
	m.do(put(Entry{Path: "/etc/new/dir", Kind: Folder, Mode: 0o1777, GID: 5}, ""))
	m.do(put(Entry{Path: "/etc/new/l", Kind: Folder, Mode: 0o700}, ""))
	m.do(put(Entry{Path: "/etc/new/deep", Kind: Folder, Mode: 0o700}, "")) // keeps what is in it
	m.do(put(Entry{Path: "/etc/missing/x/y", Kind: Gone}, ""))
	m.want("/etc/f new", "/etc/new/deep/f deep", "/etc/dir no folder", "no /etc/missing")
	v := m.live("a")
	if e := find(v.Entries, "/etc/f"); e == nil || e.Mode != 0o4750 || e.UID != 3 || len(e.Xattrs) != 1 {
		t.Errorf("%v", e)
	}
	if e := find(v.Entries, "/etc/new/dir"); e == nil || e.Mode != 0o1777 || e.GID != 5 {
		t.Errorf("%v", e)
	}
	if err := put(Entry{Path: "/etc/link/x", Kind: File}, "x"); err == nil {
		t.Error("a link was followed")
	}
	m.do(put(Entry{Path: "/etc/new", Kind: Gone}, ""))
	m.do(put(Entry{Path: "/etc/f", Kind: Gone}, ""))
	m.want("no /etc/new", "no /etc/f")
	left, err := filepath.Glob(m.root + "/etc/.deltaup-*")
	m.do(err)
	if len(left) > 0 {
		t.Errorf("left over: %v", left)
	}

	for n := 1; ; n++ { // the file is the old or the new one
		m.edit("/etc/f old")
		c := durabletest.CrashAt(t, n)
		err := put(Entry{Path: "/etc/f", Kind: File, Mode: 0o644}, "new content")
		if !c.Restart() {
			m.do(err)
			break
		}
		if p, err := os.ReadFile(m.root + "/etc/f"); string(p) != "old" && string(p) != "new content" {
			t.Errorf("step %d: %q, %v", n, p, err)
		}
	}
}

// TestDiskFull is a disk that takes nothing more: the machine keeps the settings that it has.
func TestDiskFull(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/", "/etc/f 1")
	m.image("b", "keep /etc/", "/etc/f 1", "/etc/g 1")
	m.boot("a")
	m.edit("/etc/f 2")
	restore := durable.SetHook(func(a durable.Action) error {
		if a.Op == durable.OpMkdir || a.Op == durable.OpCreate || a.Op == durable.OpWrite {
			return unix.ENOSPC
		}
		return nil
	})
	r, err := m.tryBoot("a")
	m.do(err)
	if !errors.Is(r.Failure, unix.ENOSPC) {
		t.Errorf("%+v", r)
	}
	m.want("/etc/f 2")
	m.edit("/etc/f 3")
	if _, err := m.tryBoot("b"); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("another image on a full disk: %v", err)
	}
	restore()
	m.boot("b")
	m.want("/etc/f 3", "/etc/g 1")
}

// TestTooMuch is settings beyond a bound: those that never go back stay, and nothing is thrown away.
func TestTooMuch(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/", "keep /etc/shadow newest", "/etc/f 1", "/etc/shadow 1")
	m.boot("a")
	m.edit("/etc/f 2", "/etc/shadow 2")
	m.boot("a")
	m.edit("/etc/f 3", "/etc/shadow 3", "/etc/huge x")
	m.do(os.Truncate(m.root+"/etc/huge", MaxFile+1))
	r, err := m.tryBoot("a")
	m.do(err)
	if !errors.Is(r.Failure, ErrTooMuch) || r.Lost == "" || names(r.Changes) != "/etc/shadow" {
		t.Errorf("%+v", r)
	}
	m.want("/etc/f 1", "/etc/shadow 3", "no /etc/huge")
	if p, err := os.ReadFile(filepath.Join(m.dir, "store", r.Lost, "etc/upper/f")); string(p) != "3" {
		t.Errorf("put aside: %q, %v", p, err)
	}
	lost := r.Lost
	m.boot("a")
	m.want("/etc/f 2", "/etc/shadow 3")
	if _, err := os.Stat(filepath.Join(m.dir, "store", lost)); err != nil {
		t.Error(err)
	}
}

// TestMergeByContent merges lines and accounts, with the base that the store has kept.
func TestMergeByContent(t *testing.T) {
	m := newMachine(t)
	rules := []string{"keep /etc/", "keep /etc/lines merge=lines", "keep /etc/passwd merge=users", "keep /etc/clash merge=lines"}
	m.image("a", append(rules, "/etc/lines 1\n2\n3\n4\n5\n", "/etc/passwd root:x:0:0::/:/bin/sh\n", "/etc/clash 1\n")...)
	m.image("b", append(rules, "/etc/lines 1\n2\n3\n4\nfive\n", "/etc/passwd root:x:0:0::/:/bin/sh\nsys:x:5:5::/:/x\n", "/etc/clash 2\n")...)
	m.boot("a")
	m.edit("/etc/lines one\n2\n3\n4\n5\n", "/etc/passwd root:x:0:0::/:/bin/sh\nme:x:1000:1000::/:/x\n", "/etc/clash mine\n")
	r := m.boot("b")
	m.want("/etc/lines one\n2\n3\n4\nfive\n", "/etc/passwd root:x:0:0::/:/bin/sh\nsys:x:5:5::/:/x\nme:x:1000:1000::/:/x\n", "/etc/clash mine\n")
	if conflictPaths(r) != "/etc/clash=local" || len(r.Conflicts[0].Remarks) == 0 {
		t.Errorf("%+v", r.Conflicts)
	}
}

// TestSources reads an image as a folder and as a file.
func TestSources(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/", "keep /opt/x/**/y", "/etc/f 1", "/etc/empty ", "/etc/dir/x/y 1", "/etc/link ->f", "/opt/x/a/b/y 1", "/opt/x/a/z 1")
	dir := filepath.Join(m.dir, "a")
	m.do(exec.Command("mkfifo", dir+"/etc/pipe").Run(), exec.Command("chown", "3:4", dir+"/etc/f").Run(),
		exec.Command("setfattr", "-n", "user.note", "-v", "1", dir+"/etc/f").Run(), os.Chmod(dir+"/etc/dir", 0o1700))
	file := filepath.Join(m.dir, "a.squashfs")
	if out, err := exec.Command("mksquashfs", dir, file, "-quiet", "-no-progress", "-xattrs").CombinedOutput(); err != nil {
		t.Skipf("mksquashfs: %s", out)
	}
	image, err := squashfs.OpenFile(file)
	m.do(err)
	defer image.Close()
	folder := m.source("a")
	other, err := FromImage(image.Image)
	m.do(err)
	if string(folder.List().Text()) != string(other.List().Text()) || len(folder.List().Places()) != 2 {
		t.Errorf("lists: %s, %s", folder.List().Text(), other.List().Text())
	}
	a, err := m.store.defaultsOf(t.Context(), folder)
	m.do(err)
	b, err := m.store.defaultsOf(t.Context(), other)
	m.do(err)
	if !sameEntries(a.Entries, b.Entries) || len(a.Entries) < 10 {
		t.Errorf("defaults:\n%v\n%v", a.Entries, b.Entries)
	}
	for _, s := range []*Source{folder, other} {
		r, err := s.open("/etc/dir/x/y")
		m.do(err)
		if p, err := io.ReadAll(r); string(p) != "1" {
			t.Errorf("%q, %v", p, err)
		}
		r.Close()
		if _, err := s.entry("/etc/link/x"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("below a link: %v", err)
		}
		if _, err := s.entry("/etc/pipe"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a pipe: %v", err)
		}
	}
}

func TestLock(t *testing.T) {
	m := newMachine(t)
	unlock, err := m.store.Lock(t.Context())
	m.do(err)
	other, err := Open(filepath.Join(m.dir, "store"))
	m.do(err)
	defer other.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := other.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("locked twice: %v", err)
	}
	unlock()
	unlock, err = other.Lock(t.Context())
	m.do(err)
	unlock()
}

func TestReadOnly(t *testing.T) {
	m := newMachine(t)
	if _, err := OpenReadOnly(filepath.Join(m.dir, "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	m.do(os.Mkdir(filepath.Join(m.dir, "bare"), 0o700))
	s, err := OpenReadOnly(filepath.Join(m.dir, "bare"))
	m.do(err)
	defer s.Close()
	if _, err := s.Laid(); !errors.Is(err, ErrNone) {
		t.Errorf("%v", err)
	}
	if n, err := s.Generations(); err != nil || len(n) > 0 {
		t.Errorf("%v, %v", n, err)
	}
	if _, err := s.Generation(1); !errors.Is(err, ErrNone) {
		t.Errorf("%v", err)
	}
	m.image("a", "keep /etc/", "/etc/f 1")
	if r, err := Dry(t.Context(), s, m.source("a")); err != nil || r.Generation != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	laid := filepath.Join(m.dir, "bare", "laid")
	m.do(os.WriteFile(laid, []byte("garbage"), 0o600))
	if r, err := Dry(t.Context(), s, m.source("a")); err != nil || len(r.Warnings) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	m.do(os.Remove(laid))
	left, err := os.ReadDir(filepath.Join(m.dir, "bare"))
	if err != nil || len(left) > 0 {
		t.Errorf("a dry run wrote %v, %v", left, err)
	}
}
