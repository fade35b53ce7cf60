package trust_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/trust"
)

func TestFollow(t *testing.T) {
	s := newSite(t, nil)
	m := s.newTarget()
	if r, err := m.refresh(); err != nil {
		t.Fatal(err)
	} else if _, err := r.Newest("stable"); !errors.Is(err, trust.ErrUnknown) {
		t.Errorf("a mirror without releases: %v", err)
	}
	s.publish("1", "stable", trust.Info{KernelArguments: "quiet", Notes: "first"})
	m.o.Root = nil // the state folder has a root by now
	m.wants("1")
	s.publish("2", "testing", trust.Info{})
	m.wants("1")
	s.publish("2", "stable", trust.Info{Minimum: "1"})
	m.wants("2")
	s.now = s.now.Add(13 * 24 * time.Hour)
	s.refresh()
	s.now = s.now.Add(13 * 24 * time.Hour)
	m.wants("2")

	r, err := m.refresh()
	s.must(err)
	old, err := r.Find(t.Context(), "1")
	s.must(err)
	if old.Serial != 1 || old.KernelArguments != "quiet" {
		t.Errorf("the catalog has %+v", old)
	}
	two, err := r.Newest("testing")
	s.must(err)
	if two.Version != "2" || two.MinimumSerial != 1 || strings.Join(two.Channels, " ") != "stable testing" {
		t.Errorf("testing has %+v", two)
	}
	if _, err := r.Find(t.Context(), "3"); !errors.Is(err, trust.ErrUnknown) {
		t.Errorf("an unknown version: %v", err)
	}
	if w := r.Warnings(); len(w) > 0 {
		t.Errorf("warnings: %q", w)
	}
}

func TestSetBack(t *testing.T) {
	s := newSite(t, nil)
	for _, v := range versions(3) {
		s.publish(v, "stable", trust.Info{Minimum: map[string]string{"3": "2"}[v]})
	}
	m := s.newTarget()
	r, err := m.refresh()
	s.must(err)
	three, err := r.Newest("stable")
	s.must(err)
	s.must(r.Permit(three))
	s.must(r.Installed(three))

	s.publish("2", "stable", trust.Info{})
	r, err = m.refresh()
	s.must(err)
	two, err := r.Newest("stable")
	s.must(err)
	if err := r.Permit(two); two.Version != "2" || !errors.Is(err, trust.ErrDowngrade) {
		t.Errorf("going back to %s: %v", two.Version, err)
	}
	m.o.Downgrade = true
	r, err = m.refresh()
	s.must(err)
	s.must(r.Permit(two))
	one, err := r.Find(t.Context(), "1")
	s.must(err)
	if err := r.Permit(one); !errors.Is(err, trust.ErrWithdrawn) || !strings.Contains(err.Error(), "older than 2") {
		t.Errorf("below the minimum: %v", err)
	}
	st, err := trust.ReadStatus(m.o.State)
	s.must(err)
	if st.Installed != "3" || st.Minimum != "2" || st.Root != 1 || st.Signed == nil || st.Insecure != nil {
		t.Errorf("status %+v", st)
	}
}

func TestRotations(t *testing.T) {
	quorums := map[string]trust.Quorum{"root": {Threshold: 2, Keys: 3}, "targets": {Threshold: 2, Keys: 2}}
	for _, role := range trust.Roles {
		t.Run(role, func(t *testing.T) {
			s := newSite(t, quorums)
			s.publish("1", "stable", trust.Info{})
			awake, asleep := s.newTarget(), s.newTarget()
			awake.wants("1")
			asleep.wants("1")
			s.rotate(trust.Change{Role: role})
			awake.wants("1")
			s.rotate(trust.Change{Role: role})
			s.publish("2", "stable", trust.Info{})
			awake.wants("2")
			asleep.wants("2")
			s.newTarget().wants("2")
			st, err := trust.ReadStatus(asleep.o.State)
			s.must(err)
			if st.Root != 3 {
				t.Errorf("root %d", st.Root)
			}
		})
	}
}

func TestRevoke(t *testing.T) {
	s := newSite(t, map[string]trust.Quorum{"targets": {Threshold: 1, Keys: 2}})
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	m.wants("1")
	roles, _, err := s.open().Keys()
	s.must(err)
	key := roles[1].Keys[0]
	s.rotate(trust.Change{Revoke: key.ID[:12]})
	roles, unused, err := s.open().Keys()
	s.must(err)
	if len(roles[1].Keys) != 2 || len(unused) != 1 || unused[0].ID != key.ID[:16] {
		t.Errorf("after the revocation: %+v, unused %+v", roles[1], unused)
	}
	s.must(os.Remove(unused[0].File))
	s.publish("2", "stable", trust.Info{})
	m.wants("2")
	if err := s.open().Rotate(context.Background(), trust.Change{Revoke: key.ID[:12], Passphrase: passphrase, Work: 1}); !errors.Is(err, trust.ErrUnknown) {
		t.Errorf("revoked twice: %v", err)
	}
}

// TestRevokeBeside: a key is replaced although another role's keys are, too.
func TestRevokeBeside(t *testing.T) {
	s := newSite(t, nil)
	roles, _, err := s.open().Keys()
	s.must(err)
	for i, role := range trust.Roles {
		for j, other := range trust.Roles {
			if i == j {
				continue
			}
			key := roles[j].Keys[0].ID
			s.rotate(trust.Change{Role: role, Revoke: key})
			if roles, _, err = s.open().Keys(); err != nil {
				t.Fatal(err)
			}
			if roles[j].Keys[0].ID == key {
				t.Errorf("with new keys of %s, %s keeps a revoked one", role, other)
			}
		}
	}
}

// TestLostKeys replaces keys whose private halves are lost.
func TestLostKeys(t *testing.T) {
	s := newSite(t, map[string]trust.Quorum{"root": {Threshold: 1, Keys: 2}})
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	m.wants("1")
	for _, role := range []string{"targets", "snapshot", "timestamp"} {
		lost, err := filepath.Glob(filepath.Join(s.keys, role+"-*.age"))
		s.must(err)
		s.must(os.Remove(lost[0]))
	}
	if err := s.tryPublish("2", "stable", trust.Info{}); !errors.Is(err, trust.ErrKeys) {
		t.Errorf("without keys: %v", err)
	}
	m.wants("1")
}

func TestWrongPassphrase(t *testing.T) {
	s := newSite(t, nil)
	o := s.options()
	o.Passphrases = func(string) ([]string, error) { return []string{"a", "b"}, nil }
	p, err := trust.OpenPublisher(context.Background(), o)
	s.must(err)
	if err := p.Ready(); !errors.Is(err, trust.ErrPassphrase) {
		t.Errorf("a wrong passphrase: %v", err)
	}
}

// TestSignedOnce demands that a publisher refuses to sign a version with other bytes, though its
// release file is gone, and to make keys anew.
func TestSignedOnce(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	s.must(os.Remove(filepath.Join(s.dir, "releases/1.json")))
	s.image = "another image "
	if err := s.tryPublish("1", "stable", trust.Info{}); !errors.Is(err, trust.ErrSigned) {
		t.Errorf("signed twice: %v", err)
	}
	s.newTarget().wants("1")
	if _, err := trust.Init(context.Background(), s.options(), trust.InitOptions{Passphrase: passphrase, Work: 1}); !errors.Is(err, trust.ErrInitialized) {
		t.Errorf("keys made twice: %v", err)
	}
}

// TestPublisherBelievesItsKeys demands that a publisher refuses to sign on top of what somebody
// else put on the mirror.
func TestPublisherBelievesItsKeys(t *testing.T) {
	s, other := newSite(t, nil), newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	other.publish("1", "stable", trust.Info{})
	good := s.copyOf()
	for what, damage := range map[string]struct {
		name string
		is   error
	}{
		"timestamp": {"metadata/timestamp.json", trust.ErrSignature},
		"snapshot":  {"metadata/2.snapshot.json", trust.ErrMixed},
		"targets":   {"metadata/2.targets.json", trust.ErrMixed},
	} {
		copyTree(t, s.dir, good)
		b, err := os.ReadFile(filepath.Join(other.dir, damage.name))
		s.must(err)
		s.must(os.WriteFile(filepath.Join(s.dir, damage.name), b, 0o644))
		if _, err := trust.OpenPublisher(context.Background(), s.options()); !errors.Is(err, damage.is) || !strings.Contains(err.Error(), damage.name) {
			t.Errorf("%s of another publisher: %v", what, err)
		}
	}
}

// TestOtherRoot demands that a target refuses another publisher's root, and takes a newer root of
// its own publisher.
func TestOtherRoot(t *testing.T) {
	s, other := newSite(t, nil), newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	m.wants("1")
	m.o.Root = other.root()
	if _, err := m.refresh(); !errors.Is(err, trust.ErrOtherRoot) {
		t.Errorf("another root: %v", err)
	}
	m.o.Root = []byte("no root")
	if _, err := m.refresh(); !errors.Is(err, trust.ErrMalformed) {
		t.Errorf("no root: %v", err)
	}
	s.rotate(trust.Change{Role: "root"})
	m.o.Root = s.root()
	m.wants("1")
	m.o = trust.Options{State: t.TempDir(), Client: m.o.Client}
	if _, err := m.refresh(); !errors.Is(err, trust.ErrNoRoot) {
		t.Errorf("no root at all: %v", err)
	}
}

// TestInsecure demands that a target remembers an unverified pull for ever.
func TestInsecure(t *testing.T) {
	s := newSite(t, nil)
	s.publish("1", "stable", trust.Info{})
	m := s.newTarget()
	s.must(trust.MarkInsecure(m.o.State, epoch))
	m.wants("1")
	st, err := trust.ReadStatus(m.o.State)
	s.must(err)
	if st.Insecure == nil || !st.Insecure.Equal(epoch) || st.Root != 1 {
		t.Errorf("status %+v", st)
	}
	if st, err := trust.ReadStatus(t.TempDir()); err != nil || st != (trust.Status{}) {
		t.Errorf("an empty folder: %+v, %v", st, err)
	}
}
