//go:build !target

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/internal/test/effort"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/trust"
)

// pageSection gives the commands of one section of doc/keys.md.
func pageSection(t *testing.T, name string) (commands []string) {
	t.Helper()
	page, err := os.ReadFile("../../doc/keys.md")
	must(t, err)
	_, text, ok := strings.Cut(string(page), "\n### "+name+". ")
	if !ok {
		t.Fatalf("the page has no section %s", name)
	}
	text, _, _ = strings.Cut(text, "\n##")
	for _, c := range regexp.MustCompile(`(?m)^ {4,}deltaup (.+)$`).FindAllStringSubmatch(text, -1) {
		commands = append(commands, c[1])
	}
	return commands
}

// theft is what a thief with all online keys signs, on a machine that has taken it.
type theft struct {
	serial, minimum int64 // of his release
	version         int64 // of all metadata; 0: the next
	ahead           time.Duration
}

var thefts = map[string]theft{
	"serial 4":                  {serial: 4},
	"serial 2^53+1":             {serial: 1<<53 + 1},
	"serial 2^63-1":             {serial: math.MaxInt64},
	"minimum_serial 2^63-1":     {serial: math.MaxInt64, minimum: math.MaxInt64},
	"versions 2^31-1":           {serial: 4, version: 1<<31 - 1},
	"versions 2^63-1":           {serial: 4, version: math.MaxInt64},
	"14 years ahead":            {serial: 4, ahead: 14 * 365 * 24 * time.Hour},
	"all of it, as high as can": {serial: math.MaxInt64, minimum: math.MaxInt64, version: math.MaxInt64, ahead: 250 * 365 * 24 * time.Hour},
}

// TestKeysPageThieves runs the steps of section C, as they stand on the page, after each theft:
// with the mirror restored from a copy and without one. The machine took what the thief signed with
// a program that believed every number, so its state is planted. It then takes the good release,
// without options.
func TestKeysPageThieves(t *testing.T) {
	section := pageSection(t, "C")
	before := newRobbed(t)
	for i, what := range slices.Sorted(maps.Keys(thefts)) {
		stolen := thefts[what]
		for _, restored := range []bool{true, false} {
			if testing.Short() && !effort.Takes(i) {
				continue
			}
			t.Run(fmt.Sprintf("%s, a copy %t", what, restored), func(t *testing.T) {
				m := before.copy(t)
				m.steal(stolen)
				code, _, stderr := m.pullFrom("copy")
				t.Logf("before: %d %s", code, stderr)
				if code == exitOK {
					t.Error("the machine goes on from before the theft as if nothing were")
				}
				if restored {
					must(t, os.RemoveAll("mirror"))
					must(t, os.CopyFS("mirror", os.DirFS("copy")))
				} else {
					must(t, os.Remove("mirror/metadata/timestamp.json"))
				}
				var again string // what is for those without a copy, after step 3
				for _, c := range section {
					switch {
					case strings.Contains(c, "--version 2 "):
						again = c
						continue
					case c == "check mirror" && !restored:
						continue // it would tell of the signed metadata that lack
					case strings.HasPrefix(c, "publish ") && !restored:
						mustDeltaup(t, strings.Fields(again)...)
					}
					args := strings.Fields(c)
					if args[0] == "keys" {
						args = append(args, "--work", "1")
					}
					mustDeltaup(t, args...)
				}
				code, _, stderr = m.pull()
				if code != exitOK {
					t.Fatalf("after the page's steps: %d %s", code, stderr)
				}
				sameFile(t, "slot-b", "v3.squashfs")
				st, err := trust.ReadStatus("state")
				must(t, err)
				if st.Installed != "3" || st.Minimum != "3" {
					t.Errorf("status %+v", st)
				}
			})
		}
	}
}

// robbed is a publisher as the page makes one, a copy of his mirror, and a machine that has his
// release 2, all in the present folder.
type robbed struct {
	*victim
	dir string
}

// copy gives the same for another test, in a folder that becomes the present one.
func (m *robbed) copy(t *testing.T) *robbed {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(m.dir)))
	t.Chdir(dir)
	return robbedIn(t, dir)
}

func robbedIn(t *testing.T, dir string) *robbed {
	return &robbed{&victim{T: t, mirror: "mirror", p: &publisher{keys: "keys"}}, dir}
}

func newRobbed(t *testing.T) *robbed {
	t.Helper()
	images, dir := t.TempDir(), t.TempDir()
	t.Chdir(dir)
	must(t, os.WriteFile("secret", []byte("correct horse\n"), 0o600))
	for _, v := range []string{"v2", "v3", "evil"} {
		tree := filepath.Join(images, v)
		must(t, os.Mkdir(tree, 0o755))
		must(t, os.WriteFile(filepath.Join(tree, "version"), []byte(v), 0o644))
		mustDeltaup(t, "mkimage", "-o", v+".squashfs", "--level", "fastest", "--mtime", "1700000000", "--owner", "0:0", tree)
	}
	mustDeltaup(t, "keys", "init", "--keys", "keys", "--mirror", "mirror", "--passphrase-file", "secret", "--work", "1")
	mustDeltaup(t, "publish", "--keys", "keys", "--mirror", "mirror", "--passphrase-file", "secret", "--version", "2", "v2.squashfs")
	must(t, os.Mkdir("root", 0o700))
	moveKeys(t, "root")
	must(t, os.CopyFS("copy", os.DirFS("mirror")))
	m := robbedIn(t, dir)
	if code, _, stderr := m.pull("--root", "keys/root.json"); code != exitOK {
		t.Fatal(stderr)
	}
	return m
}

func (m *robbed) pull(args ...string) (code int, stdout, stderr string) {
	m.Helper()
	return m.pullFrom("mirror", args...)
}

func (m *robbed) pullFrom(mirror string, args ...string) (code int, stdout, stderr string) {
	m.Helper()
	return deltaup(m.T, append([]string{"pull", mirror, "--state", "state", "--slot", "slot-b"}, args...)...)
}

// steal publishes the thief's release on the mirror, changes what is signed of it, and leaves the
// machine as one that took it.
func (m *robbed) steal(s theft) {
	m.Helper()
	mustDeltaup(m.T, "publish", "--keys", "keys", "--mirror", "mirror", "--passphrase-file", "secret", "--version", "evil", "evil.squashfs")
	ts := signed[metadata.TimestampType](m.victim, mirror.TimestampPath)
	snap := signed[metadata.SnapshotType](m.victim, mirror.MetadataPath(metadata.SNAPSHOT, ts.Signed.Meta[snapshotJSON].Version))
	targets := signed[metadata.TargetsType](m.victim, mirror.MetadataPath(metadata.TARGETS, snap.Signed.Meta[targetsJSON].Version))
	var r trust.SignedRelease
	custom := targets.Signed.Targets[mirror.ReleasePath("evil")].Custom
	must(m.T, json.Unmarshal(*custom, &r))
	if r.Serial = s.serial; s.minimum > 0 {
		r.Minimum, r.MinimumSerial = "evil", s.minimum
	}
	b, err := json.Marshal(&r)
	must(m.T, err)
	*custom = b

	at := time.Now().UTC().Add(s.ahead).Truncate(time.Second)
	next := func(version *int64, expires *time.Time) int64 {
		if *version++; s.version > 0 {
			*version = s.version
		}
		*expires = expires.Add(s.ahead)
		return *version
	}
	v := next(&targets.Signed.Version, &targets.Signed.Expires)
	targetsFile := mirror.MetadataPath(metadata.TARGETS, v)
	snap.Signed.Meta[targetsJSON] = forge(m.victim, targetsFile, targets, v, m.p.private(m.T, metadata.TARGETS)...)
	v = next(&snap.Signed.Version, &snap.Signed.Expires)
	snapshotFile := mirror.MetadataPath(metadata.SNAPSHOT, v)
	ts.Signed.Meta[snapshotJSON] = forge(m.victim, snapshotFile, snap, v, m.p.private(m.T, metadata.SNAPSHOT)...)
	v = next(&ts.Signed.Version, &ts.Signed.Expires)
	ts.Signed.UnrecognizedFields["x-signed"] = at.Format(time.RFC3339)
	forge(m.victim, mirror.TimestampPath, ts, v, m.p.private(m.T, metadata.TIMESTAMP)...)

	record := map[string]any{"format": 1, "root": 1, "installed": "evil", "installed_serial": s.serial}
	if s.minimum > 0 {
		record["minimum"], record["minimum_serial"] = "evil", s.minimum
	}
	b, err = json.Marshal(record)
	must(m.T, err)
	must(m.T, os.Remove("state/trust/learnt.json"))
	for name, content := range map[string][]byte{
		"state.json": b, "timestamp.json": m.read(mirror.TimestampPath), "snapshot.json": m.read(snapshotFile), "targets.json": m.read(targetsFile),
	} {
		must(m.T, os.WriteFile(filepath.Join("state/trust", name), content, 0o644))
	}
	b, err = os.ReadFile("evil.squashfs")
	must(m.T, err)
	must(m.T, os.WriteFile("slot-b", b, 0o644))
}

// TestKeysPageClock runs the steps of section G after a timestamp and a root were signed by a clock
// that was 14 years ahead.
func TestKeysPageClock(t *testing.T) {
	for _, what := range []string{"timestamp", "root"} {
		t.Run(what, func(t *testing.T) {
			section := pageSection(t, "G")
			m := newRobbed(t)
			p, err := trust.OpenPublisher(t.Context(), trust.PublisherOptions{
				Mirror: folder.At("mirror"), Keys: []string{"keys", "root"}, AnyClock: true,
				Passphrases: func(string) ([]string, error) { return []string{"correct horse"}, nil },
				Now:         func() time.Time { return time.Now().AddDate(14, 0, 0) },
			})
			must(t, err)
			if what == "root" {
				must(t, p.Rotate(t.Context(), trust.Change{}))
			} else {
				must(t, p.Refresh(t.Context()))
			}
			for range 2 {
				code, _, stderr := m.pull()
				t.Logf("frozen: %d %s", code, stderr)
			}
			if code, _, stderr := m.pull(); code != exitExpired && code != exitFrozen {
				t.Errorf("frozen: %d %s", code, stderr)
			}
			refused := 0
			for _, c := range section {
				args := strings.Fields(c)
				if args[0] == "keys" && args[1] == "rotate" {
					args = append(args, "--work", "1")
				}
				code, _, stderr := deltaup(t, args...)
				t.Logf("deltaup %s: %d %s", c, code, stderr)
				switch {
				case code == exitClock && !strings.Contains(c, "--clock-is-right"):
					refused++
					if !strings.Contains(stderr, "was signed later") {
						t.Errorf("it says %s", stderr)
					}
				case args[0] == "pull":
				case code != exitOK:
					t.Errorf("deltaup %s: %d %s", c, code, stderr)
				}
				if what == "timestamp" && args[0] == "refresh" && code == exitOK {
					if code, _, stderr := m.pull(); code != exitOK {
						t.Errorf("after refresh: %d %s", code, stderr)
					}
				}
			}
			if refused == 0 {
				t.Error("a clock 14 years behind what was signed last was not doubted")
			}
			if code, _, stderr := m.pull(); code != exitOK {
				t.Errorf("after all of it: %d %s", code, stderr)
			}
		})
	}
}
