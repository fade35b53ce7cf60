package settings

import (
	"os"
	"testing"
)

func TestBoot(t *testing.T) {
	m := newMachine(t)
	rules := []string{"keep /etc/hosts", "keep /etc/net/", "keep /etc/link", "keep /etc/gone", "keep /opt/app/conf", "forget /etc/*.lock"}
	m.image("a", append(rules, "/etc/hosts 1\n", "/etc/net/if a", "/etc/gone x", "/etc/other o", "/etc/deep/x/y z")...)
	r := m.boot("a")
	if r.Generation != 0 || r.Committed != 0 || len(r.Places) != 2 {
		t.Errorf("first boot: %+v", r)
	}
	m.want("/etc/hosts 1\n", "/etc/other o")
	m.edit("/etc/hosts 2\n", "/etc/net/new n", "/etc/link ->hosts", "rm /etc/gone", "/etc/other lost", "/etc/more lost", "/etc/x.lock l", "/opt/app/conf c", "rm /etc/deep/x")
	m.do(os.Chmod(m.root+"/etc/net", 0o700))

	r = m.boot("a")
	if r.Committed != 1 || r.Generation != 1 || r.Merged {
		t.Errorf("second boot: %+v", r)
	}
	if got, want := names(r.Changes), "/etc/gone /etc/hosts /etc/link /etc/net /etc/net/new /opt/app /opt/app/conf"; got != want {
		t.Errorf("changed: %s, want %s", got, want)
	}
	m.want("/etc/hosts 2\n", "/etc/net/new n", "/etc/net/if a", "/etc/link ->hosts", "no /etc/gone", "/etc/other o",
		"no /etc/more", "no /etc/x.lock", "/opt/app/conf c", "/etc/deep/x/y z")
	if got := lostText(r.NotKept); got != "/etc/deep/x=deleted /etc/more=added /etc/other=changed" {
		t.Errorf("not kept: %s", got)
	}
	r = m.boot("a")
	if r.Committed != 0 || r.Generation != 1 || len(r.NotKept) != 0 {
		t.Errorf("third boot: %+v", r)
	}
	m.want("/etc/hosts 2\n", "no /etc/gone")
	m.edit("/etc/gone again", "rm /etc/link")
	if r = m.boot("a"); r.Committed != 2 || names(r.Changes) != "/etc/gone /etc/hosts /etc/net /etc/net/new /opt/app /opt/app/conf" {
		t.Errorf("fourth boot: %+v", r)
	}
	m.want("/etc/gone again", "no /etc/link")
}

func lostText(list []Lost) string {
	var all []string
	for _, l := range list {
		all = append(all, l.Path+"="+string(l.What))
	}
	return names(all)
}

func TestUpdateAndRollBack(t *testing.T) {
	m := newMachine(t)
	rules := []string{"keep /etc/", "except /etc/no", "keep /etc/shadow newest", "keep /etc/refuse merge=refuse", "keep /etc/image merge=image"}
	m.image("a", append(rules, "/etc/local 1", "/etc/both 1", "/etc/theirs 1", "/etc/shadow s1", "/etc/refuse 1", "/etc/image 1",
		"/etc/dir/f 1", "/etc/dir/g 1", "/etc/attr 1", "/etc/removed 1")...)
	m.image("b", append(rules, "/etc/local 1", "/etc/both 2", "/etc/theirs 2", "/etc/shadow s1", "/etc/refuse 2", "/etc/image 2",
		"/etc/dir ->elsewhere", "/etc/attr 2", "/etc/new 2")...)
	m.boot("a")
	m.edit("/etc/local mine", "/etc/both mine", "/etc/shadow s2", "/etc/refuse mine", "/etc/image mine", "/etc/dir/f mine", "/etc/removed mine")
	m.do(os.Chmod(m.root+"/etc/attr", 0o600), os.Chown(m.root+"/etc/local", 7, 8))

	dry, err := Dry(t.Context(), m.store, m.source("b"))
	m.do(err)
	r := m.boot("b")
	if got, want := conflictPaths(r), "/etc/both=local /etc/dir=local /etc/dir/f=local /etc/image=image /etc/refuse=local /etc/removed=local"; got != want {
		t.Errorf("conflicts: %s, want %s", got, want)
	}
	if r.Committed != 1 || r.Generation != 2 || !r.Merged || names(r.Refused) != "/etc/refuse" {
		t.Errorf("update: %+v", r)
	}
	if names(dry.New) != names(r.New) || names(dry.Changes) != names(r.Changes) || dry.Generation != 2 {
		t.Errorf("the dry run differs: %+v", dry)
	}
	m.want("/etc/local mine", "/etc/both mine", "/etc/theirs 2", "/etc/shadow s2", "/etc/refuse mine", "/etc/image 2",
		"/etc/dir/f mine", "no /etc/dir/g", "/etc/attr 2", "/etc/removed mine", "/etc/new 2")
	info, err := os.Stat(m.root + "/etc/attr")
	m.do(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode and content did not merge: %v", info.Mode())
	}

	m.edit("/etc/shadow s3", "/etc/local mine2", "/etc/new mine")
	r = m.boot("a")
	if !r.RolledBack || r.Committed != 3 || r.Generation != 4 || names(r.Newest) != "/etc/shadow" || len(r.Conflicts) != 0 {
		t.Errorf("rollback: %+v", r)
	}
	m.want("/etc/local mine", "/etc/both mine", "/etc/theirs 1", "/etc/shadow s3", "no /etc/new", "/etc/dir/g 1", "/etc/dir/f mine")

	r = m.boot("b")
	if !r.RolledBack || r.Generation != 3 || len(r.Conflicts) != 6 {
		t.Errorf("forward again: %+v", r)
	}
	m.want("/etc/local mine2", "/etc/new mine", "/etc/shadow s3")
}

// TestTrialFails is a trial that ends before anything was changed under it.
func TestTrialFails(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/", "/etc/f 1")
	m.image("b", "keep /etc/", "/etc/f 1", "/etc/g 1")
	m.boot("a")
	m.edit("/etc/f 2")
	m.boot("b")
	m.want("/etc/f 2", "/etc/g 1")
	m.boot("a")
	m.edit("/etc/f 3")
	if r := m.boot("b"); r.RolledBack || !r.Merged {
		t.Errorf("%+v", r)
	}
	m.want("/etc/f 3")
}

// TestListsChange is an image that keeps other paths than the one before.
func TestListsChange(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/f", "/etc/f 1", "/etc/g 1", "/etc/h 1")
	m.image("b", "keep /etc/g", "keep /etc/h", "/etc/f 1", "/etc/g 1", "/etc/h 2")
	m.boot("a")
	m.edit("/etc/f 2", "/etc/g 2")
	r := m.boot("b")
	if names(r.Dropped) != "/etc/f" || names(r.Changes) != "/etc/g" {
		t.Errorf("%+v", r)
	}
	m.want("/etc/f 1", "/etc/g 2", "/etc/h 2")
	m.boot("a")
	m.want("/etc/f 2", "/etc/g 1")
	if r := m.boot("a"); r.Committed != 0 {
		t.Errorf("a generation of nothing: %+v", r)
	}
}

// TestDefaultsAreLost updates a machine whose store does not know any more what the old image had.
func TestDefaultsAreLost(t *testing.T) {
	m := newMachine(t)
	m.image("a", "keep /etc/", "/etc/f 1", "/etc/g 1", "/etc/h 1", "/etc/gone 1")
	m.image("b", "keep /etc/", "/etc/f 1", "/etc/g 2", "/etc/h 2", "/etc/gone 1")
	m.boot("a")
	m.edit("/etc/f mine", "/etc/g mine", "/etc/new mine", "rm /etc/gone")
	m.boot("a")
	m.do(os.Remove(m.dir + "/store/defaults/" + imageID("a").String()))
	r := m.boot("b")
	if conflictPaths(r) != "/etc/g=local" || len(r.Warnings) == 0 {
		t.Errorf("%+v", r)
	}
	m.want("/etc/f mine", "/etc/g mine", "/etc/h 2", "/etc/new mine", "no /etc/gone")
}
