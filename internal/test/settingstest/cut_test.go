package settingstest

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"deltaup/internal/test/disktest"
	"deltaup/internal/test/effort"
)

var cuts = flag.Int("cuts", 40, "how often the power is cut")

// superblock is where ext4 has its superblock, in bytes.
const superblock = 1024

// TestCuts cuts the power before requests all over a machine's life, and right behind each promise.
func TestCuts(t *testing.T) {
	m := newMachine(t)
	s := m.record(steps)
	faults, done := m.cutAll(s, *cuts)
	t.Logf("%d steps, %d writes and flushes, %d cuts, %d of them go wrong", len(steps), len(s.writes), done, len(faults))
	if len(faults) > 0 {
		t.Error(strings.Join(faults[:min(len(faults), 8)], "\n"))
	}
}

// cutAll cuts n times: behind each promise, and evenly over the record.
func (m *machine) cutAll(s *session, n int) (faults []string, done int) {
	m.t.Helper()
	var at []int
	for _, x := range s.marks[1:] {
		at = append(at, s.index(x.at))
	}
	rest := max(n-len(at), 0)
	for i := range rest {
		at = append(at, i*len(s.writes)/rest)
	}
	slices.Sort(at)
	chance := rand.New(rand.NewPCG(1, uint64(n)))
	c := disktest.Cutter{Writes: s.writes, Disk: bytes.Clone(s.before), Super: superblock}
	for _, i := range at {
		if fault := m.check(s, i, c.Cut(i, chance), chance); fault != "" {
			faults = append(faults, fmt.Sprintf("cut before write %d of %d: %s", i, len(s.writes), fault))
		}
	}
	return faults, len(at)
}

// index is the first request behind a length of the log.
func (s *session) index(at int64) int {
	i, _ := slices.BinarySearchFunc(s.writes, at+1, func(w disktest.Write, at int64) int { return int(w.End - at) })
	return i
}

// around gives the last promise before request n, and the step in which that is.
func (s *session) around(n int) (before, next mark) {
	now := 0
	for now+1 < len(s.marks) && s.index(s.marks[now+1].at) <= n {
		now++
	}
	return s.marks[now], s.marks[min(now+1, len(s.marks)-1)]
}

// check boots a disk on which nothing has come behind request n, and demands what was promised.
func (m *machine) check(s *session, n int, disk []byte, chance *rand.Rand) (fault string) {
	m.t.Helper()
	before, next := s.around(n)
	version := next.image
	if next.boot != 0 && before.image != 0 && chance.IntN(3) == 0 {
		version = before.image // the new image does not come up, and GRUB falls back
	}
	where := fmt.Sprintf("after %q, in %q, boot of version %d: ", before.name, next.name, version)
	file := m.path("cut")
	if err := os.WriteFile(file, disk, 0o600); err != nil {
		m.t.Fatal(err)
	}
	defer m.halt()
	if err := m.boot(file, version); err != nil {
		return where + err.Error()
	}
	got := m.tree()
	switch {
	case next.boot == version: // all of it, whatever the boot that was cut has done
		if d := got.differ(next.tree); len(d) > 0 {
			return where + wrong(d, got, next.tree)
		}
	case next.boot != 0: // what there was, but for the newest entries
		d := slices.DeleteFunc(got.differ(before.tree), func(name string) bool { return strings.HasSuffix(name, "shadow") })
		if len(d) > 0 {
			return where + wrong(d, got, before.tree)
		}
	default: // each file as before the step or as after it
		for _, name := range got.differ(before.tree) {
			if got[name] != next.tree[name] {
				return where + wrong([]string{name}, got, before.tree)
			}
		}
	}
	generations, err := m.generations()
	if err != nil {
		return where + err.Error()
	}
	for number, text := range before.generations {
		if generations[number] != text {
			return where + fmt.Sprintf("generation %d is\n%s\nand was\n%s", number, generations[number], text)
		}
	}
	return ""
}

func wrong(names []string, got, want tree) string {
	var b strings.Builder
	for _, name := range names[:min(len(names), 3)] {
		fmt.Fprintf(&b, "\n%s is\n  %s\nnot\n  %s", name, got[name], want[name])
	}
	return fmt.Sprintf("%d paths are wrong:%s", len(names), b.String())
}

// TestCutsNegative breaks promises, which the cuts must find: deltaup whose calls to sync the file
// system, or files and folders, or both, do nothing, and tools that do not sync.
func TestCutsNegative(t *testing.T) {
	if effort.Stride() != 1 && *cuts < 100 {
		t.Skip("five lives of a machine take minutes: make test-settings, or DELTAUP_TEST_LONG")
	}
	m := newMachine(t)
	for _, x := range []struct {
		name    string
		without []uint32 // system calls that do nothing in deltaup
		steps   []step
	}{
		{"deltaup syncs nothing", []uint32{unix.SYS_SYNCFS, unix.SYS_FSYNC, unix.SYS_FDATASYNC}, steps},
		{"deltaup does not sync the file system", []uint32{unix.SYS_SYNCFS}, steps},
		{"deltaup syncs no file and no folder", []uint32{unix.SYS_FSYNC, unix.SYS_FDATASYNC}, steps},
		{"tools do not sync", nil, []step{boot(1), edit("app/plain", "plain of the machine\n"), careless("hosts"), careless("app/plain"), careless("app/new")}},
	} {
		m.without = x.without
		s := m.record(x.steps)
		m.without = nil
		faults, done := m.cutAll(s, *cuts)
		t.Logf("%s: %d of %d cuts go wrong, as %.400s", x.name, len(faults), done, strings.Join(faults, "\n"))
		if len(faults) == 0 {
			t.Errorf("%s: not one cut goes wrong", x.name)
		}
	}
}

// careless writes a file as those do who trust in luck.
func careless(name string) step {
	return step{name: "careless edit of " + name, do: func(m *machine) error {
		path := m.path("root/etc/" + name)
		return errors.Join(os.WriteFile(path+".new", []byte("careless\n"), 0o644), os.Rename(path+".new", path))
	}}
}

// TestCutsTwice cuts the power, and once more while the next boot is putting things right.
func TestCutsTwice(t *testing.T) {
	m := newMachine(t)
	s := m.record(steps)
	chance := rand.New(rand.NewPCG(2, uint64(*cuts)))
	first := disktest.Cutter{Writes: s.writes, Disk: bytes.Clone(s.before), Super: superblock}
	n, within, done := max(*cuts/10, 4), 10, 0
	for i := range n {
		at := (2*i + 1) * len(s.writes) / (2 * n)
		cut := first.Cut(at, chance)
		_, next := s.around(at)
		r := newRecorder(t, m.dir)
		if err := os.WriteFile(r.disk, cut, 0o600); err != nil {
			t.Fatal(err)
		}
		r.start(t)
		err := m.boot(r.export, next.image)
		m.halt()
		r.stop(t)
		if err != nil {
			t.Fatal(err)
		}
		writes := r.writes(t)
		second := disktest.Cutter{Writes: writes, Disk: cut, Super: superblock}
		for j := range within {
			again := (2*j + 1) * len(writes) / (2 * within)
			if fault := m.check(s, at, second.Cut(again, chance), chance); fault != "" {
				t.Errorf("cut before write %d of %d, and before write %d of %d of the boot behind: %s", at, len(s.writes), again, len(writes), fault)
			}
			done++
		}
	}
	t.Logf("%d boots behind a cut, each cut at %d places: %d cuts", n, within, done)
}
