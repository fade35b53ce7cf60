package trust_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/durabletest"
	"deltaup/internal/test/faultserver"
	"deltaup/mirror"
	"deltaup/mirror/serve"
	"deltaup/trust"
)

const (
	most  = 1<<31 - 1     // the highest number that the format permits
	exact = 1<<53 + 1     // the first that some readers of JSON round
	top   = math.MaxInt64 // the highest that fits a variable
)

// thieves are the numbers that a thief may sign, by what he raises.
var thieves = map[string]numbers{
	"the next serial":                      {serial: 3},
	"a serial further on":                  {serial: 4},
	"the highest serial":                   {serial: most},
	"a serial beyond 2^53":                 {serial: exact},
	"the highest serial of all":            {serial: top},
	"a minimum":                            {serial: most, minimum: "thief", minimumSerial: most},
	"the highest minimum of all":           {serial: top, minimum: "thief", minimumSerial: top},
	"the highest minimum, of a good name":  {serial: top, minimum: "2", minimumSerial: top},
	"versions":                             {targets: most, snapshot: most, timestamp: most},
	"the highest versions of all":          {targets: top, snapshot: top, timestamp: top},
	"the highest versions and minimum":     {serial: top, minimum: "thief", minimumSerial: top, targets: top, snapshot: top, timestamp: top},
	"versions that JSON may not have":      {targets: exact, snapshot: exact, timestamp: exact},
	"the highest version of the timestamp": {timestamp: top},
}

// outOfBounds tells whether this program refuses such numbers on a mirror, which earlier versions
// of it believed.
func (n numbers) outOfBounds() bool {
	return max(n.serial, n.minimumSerial, n.targets, n.snapshot, n.timestamp) > most
}

// record is state.json with the members that every version of this program writes.
type record struct {
	Format        int    `json:"format"`
	Root          int64  `json:"root,omitempty"`
	Installed     string `json:"installed,omitempty"`
	Serial        int64  `json:"installed_serial,omitempty"`
	MinimumSerial int64  `json:"minimum_serial,omitempty"`
	Minimum       string `json:"minimum,omitempty"`
}

func (m *target) path(name string) string { return filepath.Join(m.o.State, "trust", name) }

// record reads state.json and demands that it has no members that earlier versions do not know.
func (m *target) record() (r record) {
	m.t.Helper()
	b, err := os.ReadFile(m.path("state.json"))
	if err == nil {
		dec := json.NewDecoder(strings.NewReader(string(b)))
		dec.DisallowUnknownFields()
		err = dec.Decode(&r)
	}
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

// leftByEarlierVersion changes the state folder to what an earlier version of this program leaves
// after it has installed a release with the numbers n: it believed each number and did not note
// under which root.
func (m *target) leftByEarlierVersion(s *site, n numbers) {
	m.t.Helper()
	r := m.record()
	r.Installed, r.Serial = "thief", 3
	if n.serial != 0 {
		r.Serial = n.serial
	}
	if n.minimum != "" {
		r.Minimum, r.MinimumSerial = n.minimum, n.minimumSerial
	}
	b, err := json.Marshal(r)
	s.must(err)
	ts := read[timestamp](s, mirror.TimestampPath)
	snap := mirror.MetadataPath("snapshot", ts.Signed.Meta["snapshot.json"].Version)
	tg := mirror.MetadataPath("targets", read[snapshot](s, snap).Signed.Meta["targets.json"].Version)
	for name, content := range map[string]string{
		"state.json": string(b), "timestamp.json": s.read(mirror.TimestampPath), "snapshot.json": s.read(snap), "targets.json": s.read(tg),
	} {
		s.must(os.WriteFile(m.path(name), []byte(content), 0o644))
	}
	s.must(os.Remove(m.path("learnt.json")))
}

// installs refreshes, demands that stable points to a version, and notes that it was installed.
func (m *target) installs(version string) {
	m.t.Helper()
	r, err := m.refresh()
	if err != nil {
		m.t.Fatal(err)
	}
	rel, err := r.Newest("stable")
	if err == nil {
		err = r.Permit(rel)
	}
	if err != nil || rel.Version != version {
		m.t.Fatalf("%+v, %v; want %s", rel, err, version)
	}
	if err := r.Installed(rel); err != nil {
		m.t.Fatal(err)
	}
}

// newVictim makes a site with releases 1 and 2, and a machine that has installed 2 and then what a
// thief signs. It plants numbers out of bounds in the state folder, since only an earlier version
// of this program takes them.
func newVictim(t *testing.T, n numbers, old bool) (*site, *target) {
	t.Helper()
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	s.publish("2", "stable", trust.Info{})
	m := s.newTarget()
	m.installs("2")
	thief := s.thief()
	thief.publish("thief", "stable", trust.Info{})
	thief.signs(n)
	if old {
		m.leftByEarlierVersion(thief, n)
	} else {
		m.reads(thief.dir)
		m.installs("thief")
		m.reads(s.dir)
	}
	return s, m
}

func (s *site) rotateAll() {
	s.t.Helper()
	for _, role := range []string{"targets", "snapshot", "timestamp"} {
		s.rotate(trust.Change{Role: role})
	}
}

// TestThieves does what doc/keys.md C says, for each thief, and demands that the machine then takes
// the good release and remembers it. The state folder is of this program and of an earlier version,
// which has seen the new roots or has yet to see them.
func TestThieves(t *testing.T) {
	for what, n := range thieves {
		for _, old := range []bool{true, false} {
			if !old && n.outOfBounds() {
				continue // TestBounds
			}
			t.Run(fmt.Sprintf("%s, old %t", what, old), func(t *testing.T) {
				s, m := newVictim(t, n, old)
				if r, err := m.refresh(); err == nil {
					rel, err := r.Newest("stable")
					s.must(err)
					if !old && r.Permit(rel) == nil {
						t.Error("before the keys were replaced the thief's release counts for nothing")
					}
				}
				s.rotateAll()
				s.publish("3", "stable", trust.Info{Minimum: "3"})
				m.installs("3")
				if got, want := m.record(), (record{1, 4, "3", 3, 3, "3"}); got != want {
					t.Errorf("%+v, want %+v", got, want)
				}
				r, err := m.refresh()
				s.must(err)
				two, err := r.Find(t.Context(), "2")
				s.must(err)
				if err := r.Permit(two); !errors.Is(err, trust.ErrWithdrawn) {
					t.Errorf("below the new minimum: %v", err)
				}
			})
		}
	}
}

// TestThiefAfterRoots frees a machine that an earlier version of this program has led to the newest
// root, where it was stuck for ever.
func TestThiefAfterRoots(t *testing.T) {
	n := numbers{serial: top, minimum: "thief", minimumSerial: top}
	s, m := newVictim(t, n, true)
	s.rotateAll()
	m.wants("2")
	r := m.record()
	r.Installed, r.Serial, r.Minimum, r.MinimumSerial = "thief", top, "thief", top
	b, err := json.Marshal(r)
	s.must(err)
	s.must(os.WriteFile(m.path("state.json"), b, 0o644))
	s.must(os.Remove(m.path("learnt.json")))
	m.installs("2")
}

// TestThiefOfGoodRelease: a thief signs one of the publisher's releases anew, with a serial of his
// own.
func TestThiefOfGoodRelease(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	thief := s.thief()
	thief.signs(numbers{serial: 7, minimum: "7", minimumSerial: 7})
	m.reads(thief.dir)
	m.installs("1")
	m.reads(s.dir)
	s.rotateAll()
	m.wants("1")
	if got, want := m.record(), (record{Format: 1, Root: 4, Installed: "1", Serial: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// TestOtherFileOfTheVersion: a thief signs a release with a version that the publisher uses later,
// for other bytes.
func TestOtherFileOfTheVersion(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	thief := s.thief()
	thief.publish("3", "stable", trust.Info{})
	m.reads(thief.dir)
	m.installs("3")
	m.reads(s.dir)
	s.rotateAll()
	s.publish("2", "stable", trust.Info{})
	s.publish("3", "testing", trust.Info{})
	m.installs("2")
}

// TestBounds demands that targets and publishers refuse numbers out of bounds, and that nothing
// overflows.
func TestBounds(t *testing.T) {
	for what, n := range thieves {
		s := newSite(t, nil)
		s.publish("1", "stable", trust.Info{})
		m := s.newTarget()
		m.wants("1")
		s.signs(n)
		before := s.read("metadata/timestamp.json")
		_, err := m.refresh()
		if n.outOfBounds() != errors.Is(err, trust.ErrMalformed) || err != nil && !strings.Contains(err.Error(), fmt.Sprint(most)) {
			t.Errorf("%s: a machine: %v", what, err)
		}
		if !n.outOfBounds() && n.timestamp == 0 {
			continue
		}
		for act, do := range map[string]func() error{
			"publish": func() error { return s.tryPublish("2", "stable", trust.Info{}) },
			"refresh": func() error {
				p, err := trust.OpenPublisher(context.Background(), s.options())
				if err == nil {
					err = p.Refresh(context.Background())
				}
				return err
			},
		} {
			if err := do(); !errors.Is(err, trust.ErrMalformed) || !strings.Contains(err.Error(), fmt.Sprint(most)) {
				t.Errorf("%s: %s: %v", what, act, err)
			}
			if s.read("metadata/timestamp.json") != before {
				t.Fatalf("%s: %s signed something", what, act)
			}
		}
	}
}

// TestLastSerial demands that nobody counts beyond the highest serial.
func TestLastSerial(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	s.signSerial(most)
	err := s.tryPublish("2", "stable", trust.Info{})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("serial %d with a minimum of 0: none beyond %d is possible", int64(most)+1, most)) {
		t.Errorf("one more: %v", err)
	}
	s.newTarget().wants("1")
}

// TestRoutineRotation demands that a target keeps what the new keys still sign: the serial of the
// installed release and the minimum that another release asked for. It reads the catalog once.
func TestRoutineRotation(t *testing.T) {
	for _, old := range []bool{false, true} {
		s := newSite(t, nil)
		s.publish("1", "stable", trust.Info{})
		s.publish("2", "stable", trust.Info{Minimum: "2"})
		server := faultserver.New(t, serve.Handler(s.dir))
		m := s.newTarget()
		m.reads(server.URL)
		m.installs("2")
		s.publish("3", "stable", trust.Info{})
		m.installs("3")
		if old {
			s.must(os.Remove(m.path("learnt.json")))
		}
		s.publish("4", "stable", trust.Info{})
		want := m.record()
		s.rotate(trust.Change{Role: "targets"})
		want.Root++
		m.wants("4")
		if got := m.record(); got != want {
			t.Errorf("old %t: %+v, want %+v", old, got, want)
		}
		s.rotate(trust.Change{}) // the same keys
		server.Reset()
		m.wants("4")
		for _, l := range server.Log() {
			if strings.Contains(fmt.Sprint(l), "catalogs/") {
				t.Errorf("old %t: the catalog was read for a root with the same keys", old)
			}
		}
		r, err := m.refresh()
		s.must(err)
		one, err := r.Find(t.Context(), "1")
		s.must(err)
		two, err := r.Find(t.Context(), "2")
		s.must(err)
		if err := r.Permit(one); !errors.Is(err, trust.ErrWithdrawn) {
			t.Errorf("old %t: below the minimum: %v", old, err)
		}
		if err := r.Permit(two); !errors.Is(err, trust.ErrDowngrade) {
			t.Errorf("old %t: older: %v", old, err)
		}
	}
}

// TestNoCatalog demands that a target without the catalog keeps what it remembers, and says so.
func TestNoCatalog(t *testing.T) {
	s, m := newVictim(t, numbers{serial: 9, minimum: "thief", minimumSerial: 9}, false)
	s.rotateAll()
	whole := s.copyOf()
	s.must(os.RemoveAll(filepath.Join(s.dir, "catalogs")))
	want := m.record()
	want.Root = 4
	r, err := m.refresh()
	s.must(err)
	if w := strings.Join(r.Warnings(), "\n"); !strings.Contains(w, "could not be held against the list of all releases") {
		t.Errorf("warnings: %q", w)
	}
	if got := m.record(); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	m.reads(whole)
	m.installs("2")
}

// TestLearntFile demands that a healthy machine stays as it is, whatever learnt.json holds.
func TestLearntFile(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	s.publish("2", "stable", trust.Info{Minimum: "2"})
	m := s.newTarget()
	m.installs("2")
	want := m.record()
	good, err := os.ReadFile(m.path("learnt.json"))
	s.must(err)
	for _, text := range []string{
		"", "{}", "null", "[", strings.Repeat("x", 1000), `{"format":2}`, `{"format":1,"release_root":-1}`,
		strings.Replace(string(good), `"release_root": 1`, `"release_root": 99`, 1),
		strings.Replace(string(good), `"metadata_root": 1`, `"metadata_root": 99`, 1),
		strings.Replace(string(good), `"installed": "2"`, `"installed": "1"`, 1),
	} {
		s.must(os.WriteFile(m.path("learnt.json"), []byte(text), 0o644))
		m.wants("2")
		if got := m.record(); got != want {
			t.Errorf("%.40q: %+v, want %+v", text, got, want)
		}
		if strings.Contains(text, `"installed": "1"`) {
			continue // it is about another record, whose file is not known
		}
		if again, err := os.ReadFile(m.path("learnt.json")); err != nil || string(again) != string(good) {
			t.Errorf("%.40q: it became %s, %v", text, again, err)
		}
	}
}

// TestOneOfTwoKeysReplaced demands that a target drops both timestamp and snapshot when the key of
// one was replaced, since the thief had both.
func TestOneOfTwoKeysReplaced(t *testing.T) {
	for _, role := range []string{"timestamp", "snapshot"} {
		s := newSite(t, nil)
		s.publish("1", "stable", trust.Info{})
		m := s.newTarget()
		m.wants("1")
		thief := s.thief()
		thief.publish("2", "stable", trust.Info{})
		thief.signs(numbers{targets: most, snapshot: most, timestamp: most})
		m.reads(thief.dir)
		m.wants("2")
		m.reads(s.dir)
		if _, err := m.refresh(); !errors.Is(err, trust.ErrRollback) {
			t.Errorf("%s: before: %v", role, err)
		}
		s.rotate(trust.Change{Role: role})
		m.wants("1")
	}
}

// TestWithoutCopy: a thief has written to the mirror, of which the publisher has no copy. The
// publisher signs anew, from nothing, those releases on the mirror that are his.
func TestWithoutCopy(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	s.publish("2", "stable", trust.Info{})
	healthy, poor := s.newTarget(), s.newTarget()
	healthy.installs("2")
	poor.installs("2")
	thief := &site{t: t, dir: s.dir, keys: s.keys, now: s.now, image: "evil "}
	thief.publish("thief", "stable", trust.Info{})
	poor.installs("thief")
	n := numbers{serial: top, minimum: "thief", minimumSerial: top, targets: top, snapshot: top, timestamp: top}
	thief.signs(n)
	poor.leftByEarlierVersion(thief, n)

	s.must(os.Remove(filepath.Join(s.dir, "metadata/timestamp.json")))
	s.rotateAll()
	for _, v := range []string{"1", "2"} {
		s.publish(v, "stable", trust.Info{})
	}
	s.publish("3", "stable", trust.Info{Minimum: "3"})
	for _, m := range []*target{healthy, poor} {
		m.installs("3")
	}
}

// TestRecoveryCrash cuts the power at each step of the refresh that forgets what a thief signed,
// and of the note that the good release was installed.
func TestRecoveryCrash(t *testing.T) {
	s, base := newVictim(t, numbers{serial: top, minimum: "thief", minimumSerial: top, timestamp: top}, true)
	s.rotateAll()
	s.publish("3", "stable", trust.Info{Minimum: "3"})
	for _, keep := range []bool{false, true} {
		for n := 1; ; n++ {
			m := *base
			m.o.State = filepath.Join(t.TempDir(), "state")
			copyTree(t, m.o.State, base.o.State)
			cut := durabletest.CrashAt(t, n)
			r, err := m.refresh()
			if err == nil {
				var rel *trust.SignedRelease
				if rel, err = r.Newest("stable"); err == nil {
					err = r.Installed(rel)
				}
			}
			over := false
			if keep {
				over = !cut.Keep()
			} else {
				over = !cut.Restart()
			}
			if over {
				s.must(err)
				if n < 30 {
					t.Errorf("the recovery took %d steps", n)
				}
				break
			}
			if !errors.Is(err, durabletest.ErrCrash) {
				t.Fatalf("step %d: %v", n, err)
			}
			m.installs("3")
			if got, want := m.record(), (record{1, 4, "3", 3, 3, "3"}); got != want {
				t.Fatalf("step %d: %+v, want %+v", n, got, want)
			}
		}
	}
}
