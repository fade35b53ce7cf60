package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"deltaup/internal/test/faultserver"
	"deltaup/mirror/serve"
	"deltaup/trust"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// victim is a machine that runs release 2 in slot b, has release 1 in slot a, and is about to
// install what a mirror in other hands serves.
type victim struct {
	*testing.T
	p       *publisher
	mirror  string // the attacker's copy of the newest state
	server  *faultserver.Server
	root    string // the machine's root folder
	before  map[string]string
	expired time.Time // when snapshots that are forged do; zero: as the publisher's
}

func newVictim(t *testing.T) *victim {
	p := newPublisher(t)
	dir := t.TempDir()
	m := &victim{T: t, p: p, mirror: filepath.Join(dir, "mirror"), root: filepath.Join(dir, "root")}
	m.put(3)
	m.server = faultserver.New(t, serve.Handler(m.mirror))
	must(t, os.CopyFS(m.root, os.DirFS(p.root)))
	m.before = m.kept()
	return m
}

// state is the machine's state folder, in which refused metadata, too, may leave a trace.
func (m *victim) state() string { return filepath.Join(m.root, "var/lib/deltaup") }

// slot is the file of the slot that is about to be written.
func (m *victim) slot() string { return filepath.Join(m.root, "data/a") }

// kept is all that no attack may change: every file of the machine but its state folder, with
// slots, kernels and the boot environment.
func (m *victim) kept() map[string]string {
	m.Helper()
	files := map[string]string{}
	must(m.T, filepath.WalkDir(m.root, func(path string, d fs.DirEntry, err error) error {
		if path == m.state() {
			return fs.SkipDir
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	}))
	return files
}

// put makes the mirror what it was after so many releases.
func (m *victim) put(state int) { m.copyDir(m.p.states[state]) }

// copyDir makes the mirror a copy of another one but for its bundles: what a machine finds in those
// it does not ask the attacker for.
func (m *victim) copyDir(from string) {
	m.Helper()
	must(m.T, os.RemoveAll(m.mirror))
	must(m.T, os.CopyFS(m.mirror, os.DirFS(from)))
	bundles, err := filepath.Glob(m.path("metadata/*.bundle"))
	must(m.T, err)
	for _, b := range bundles {
		must(m.T, os.Remove(b))
	}
}

func (m *victim) path(name string) string { return filepath.Join(m.mirror, filepath.FromSlash(name)) }

func (m *victim) read(name string) []byte {
	m.Helper()
	b, err := os.ReadFile(m.path(name))
	must(m.T, err)
	return b
}

func (m *victim) write(name string, b []byte) {
	m.Helper()
	must(m.T, os.MkdirAll(filepath.Dir(m.path(name)), 0o755))
	must(m.T, os.WriteFile(m.path(name), b, 0o644))
}

// old is a file of the mirror as it was after so many releases.
func (m *victim) old(state int, name string) []byte {
	m.Helper()
	b, err := os.ReadFile(filepath.Join(m.p.states[state], filepath.FromSlash(name)))
	must(m.T, err)
	return b
}

// install is what the machine does.
func (m *victim) install(args ...string) (code int, stderr string) {
	m.Helper()
	args = append([]string{"install", m.server.URL, "--sysroot", m.root, "--timeout", "500ms"}, args...)
	code, _, stderr = deltaup(m.T, args...)
	return code, strings.TrimSpace(stderr)
}

// What differs from run to run in a message.
var passing = []struct {
	is   *regexp.Regexp
	name string
}{
	{regexp.MustCompile(`http://127\.0\.0\.1:\d+`), "MIRROR"},
	{regexp.MustCompile(`\b([0-9a-f]{2}/)?[0-9a-f]{64}\b`), "HASH"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d`), "DATE"},
	{regexp.MustCompile(`\d+ bytes in \d+ms`), "N bytes in TIME"},
	{regexp.MustCompile(`\b\d+( of \d+)? bytes\b`), "N bytes"},
	{regexp.MustCompile(`\bat \d+:`), "at N:"},
	{regexp.MustCompile(`\b\d{3,}\b`), "N"},
}

// plain is the last line of what was printed, without what differs from run to run.
func plain(stderr string) string {
	line := strings.TrimPrefix(stderr[strings.LastIndexByte(stderr, '\n')+1:], "deltaup: ")
	for _, p := range passing {
		line = p.is.ReplaceAllString(line, p.name)
	}
	return line
}

// refuses demands that an update ends with this code and this message, and that nothing was
// written, and nothing activated or remembered as installed.
func (m *victim) refuses(code int, message string, args ...string) {
	m.Helper()
	got, stderr := m.install(args...)
	if line := plain(stderr); got != code || line != message {
		m.Errorf("exit code %d, want %d; it printed\n%s\nwant\n%s\nof\n%s", got, code, line, message, stderr)
	}
	m.Logf("%d  %s", got, plain(stderr))
	after := m.kept()
	for path, was := range m.before {
		if after[path] != was {
			m.Errorf("%s was written to", path)
		}
		delete(after, path)
	}
	for path := range after {
		m.Errorf("%s was made", path)
	}
	status, err := trust.ReadStatus(m.state())
	must(m.T, err)
	if status.Installed != "2" {
		m.Errorf("release %s is remembered as installed", status.Installed)
	}
}

// pulls demands that an update goes well, and what the slot then holds.
func (m *victim) pulls(image string, args ...string) {
	m.Helper()
	code, stderr := m.install(args...)
	if code != exitOK {
		m.Fatalf("exit code %d: %s", code, stderr)
	}
	m.Logf("%d  %s", code, plain(stderr))
	want, err := os.ReadFile(image)
	must(m.T, err)
	got, err := os.ReadFile(m.slot())
	must(m.T, err)
	if !bytes.HasPrefix(got, want) {
		m.Fatalf("the slot does not hold %s", image)
	}
}

// names are the files of one kind on the mirror, sorted.
func (m *victim) names(kind string) (names []string) {
	m.Helper()
	must(m.T, fs.WalkDir(os.DirFS(m.mirror), kind, func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, name)
		}
		return err
	}))
	slices.Sort(names)
	return names
}
