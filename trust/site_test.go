package trust_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"deltaup/mirror"
	"deltaup/mirror/client"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
	"deltaup/trust"
)

// epoch is the time at which the tests' publishers begin.
var epoch = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

const passphrase = "correct horse"

func passphrases(string) ([]string, error) { return []string{passphrase}, nil }

// site is a publisher with a mirror.
type site struct {
	t    testing.TB
	dir  string // the mirror's folder
	keys string
	now  time.Time

	anyClock bool // sign by whatever clock

	image string // the beginning of each image's content
}

// newSite makes keys and an empty signed mirror.
func newSite(t testing.TB, quorums map[string]trust.Quorum) *site {
	t.Helper()
	s := &site{t: t, dir: filepath.Join(t.TempDir(), "mirror"), keys: filepath.Join(t.TempDir(), "keys"), now: epoch, image: "image "}
	if _, err := trust.Init(context.Background(), s.options(), trust.InitOptions{Quorums: quorums, Passphrase: passphrase, Work: 1}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) options() trust.PublisherOptions {
	return trust.PublisherOptions{Mirror: folder.At(s.dir), Keys: []string{s.keys}, Passphrases: passphrases, AnyClock: s.anyClock, Now: func() time.Time { return s.now }}
}

func (s *site) open() *trust.Publisher {
	s.t.Helper()
	p, err := trust.OpenPublisher(context.Background(), s.options())
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// publish publishes and signs a version. The version's name decides its content.
func (s *site) publish(version, channel string, info trust.Info) {
	s.t.Helper()
	if err := s.tryPublish(version, channel, info); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) tryPublish(version, channel string, info trust.Info) error {
	s.t.Helper()
	p, err := trust.OpenPublisher(context.Background(), s.options())
	if err != nil {
		return err
	}
	file := filepath.Join(s.t.TempDir(), "image")
	s.must(os.WriteFile(file, []byte(s.image+version), 0o644))
	_, err = publish.Add(s.t.Context(), folder.At(s.dir), publish.Publication{
		Version: version, Channel: channel, Artifacts: []publish.File{{Name: mirror.ImageName, Path: file}},
		Seal: func(ctx context.Context, r *mirror.Release) error { return p.Add(ctx, channel, r, info) },
	})
	return err
}

func (s *site) refresh() {
	s.t.Helper()
	s.must(s.open().Refresh(context.Background()))
}

func (s *site) rotate(c trust.Change) {
	s.t.Helper()
	c.Passphrase, c.Work = passphrase, 1
	s.must(s.open().Rotate(context.Background(), c))
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// root gives the newest root, in the form that targets read.
func (s *site) root() []byte {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.keys, "root.json"))
	s.must(err)
	return b
}

// target is a machine that trusts a site.
type target struct {
	t testing.TB
	o trust.Options
}

// newTarget makes a machine that was given the site's present root.
func (s *site) newTarget() *target {
	s.t.Helper()
	m := &target{t: s.t, o: trust.Options{State: s.t.TempDir(), Root: s.root(), Now: func() time.Time { return s.now }}}
	m.reads(s.dir)
	return m
}

// reads makes a machine ask other mirrors, each a folder or a URL.
func (m *target) reads(where ...string) {
	m.t.Helper()
	c, err := client.New(where, client.Options{Retries: -1, Timeout: 2 * time.Second})
	if err != nil {
		m.t.Fatal(err)
	}
	m.o.Client = c
}

func (m *target) refresh() (*trust.Repository, error) { return trust.Refresh(m.t.Context(), m.o) }

// newest refreshes and gives the version that stable points to.
func (m *target) newest() string {
	m.t.Helper()
	r, err := m.refresh()
	if err != nil {
		m.t.Fatal(err)
	}
	rel, err := r.Newest("stable")
	if err != nil {
		m.t.Fatal(err)
	}
	return rel.Version
}

// wants refreshes and demands that stable points to a version.
func (m *target) wants(version string) {
	m.t.Helper()
	if got := m.newest(); got != version {
		m.t.Errorf("stable points to %s, not %s", got, version)
	}
}

// copyTree copies a folder of files.
func copyTree(t testing.TB, to, from string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// copyOf copies the mirror and gives the copy's folder.
func (s *site) copyOf() string {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "copy")
	copyTree(s.t, dir, s.dir)
	return dir
}

func versions(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(i+1))
	}
	return all
}
