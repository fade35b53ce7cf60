//go:build !target

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/internal/test/effort"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/trust"
)

// attack is what somebody can try who has the mirror in his hands, or the line to it, and for some
// attacks some of the publisher's keys.
type attack struct {
	// what is tried; a machine tells what differs here apart, and each has an exit code of its own
	what    string
	how     string // a way to try it
	code    int
	message string                          // without what differs from run to run
	try     func(m *victim) (args []string) // of the update that is to be refused
}

// TestHostileMirror holds each attack to its message and exit code. None may write to a slot,
// activate one or be remembered.
func TestHostileMirror(t *testing.T) {
	for i, a := range attacks() {
		if testing.Short() && !effort.Takes(i) {
			continue
		}
		t.Run(a.what+"/"+a.how, func(t *testing.T) {
			t.Parallel()
			m := newVictim(t)
			m.refuses(a.code, a.message, a.try(m)...)
		})
	}
}

// TestAttackCodes holds attacks that a machine tells apart to exit codes of their own.
func TestAttackCodes(t *testing.T) {
	codes, whats := map[string]int{}, map[int]string{}
	messages := map[string]string{}
	for _, a := range attacks() {
		if code, ok := codes[a.what]; ok && code != a.code {
			t.Errorf("%s: exit codes %d and %d", a.what, code, a.code)
		}
		if what, ok := whats[a.code]; ok && what != a.what {
			t.Errorf("exit code %d: %s and %s", a.code, what, a.what)
		}
		if what, ok := messages[a.message]; ok && what != a.what {
			t.Errorf("%q: %s and %s", a.message, what, a.what)
		}
		codes[a.what], whats[a.code], messages[a.message] = a.code, a.what, a.what
	}
}

// TestHonestMirror is what the attacks are tried on, and what looks like one and is none.
func TestHonestMirror(t *testing.T) {
	for name, prepare := range map[string]func(m *victim){
		"untouched": func(*victim) {},
		"root rotated twice while the machine slept": func(m *victim) {
			keys := filepath.Join(m.TempDir(), "keys")
			must(m.T, os.CopyFS(keys, os.DirFS(m.p.keys)))
			for range 2 {
				mustDeltaup(m.T, "keys", "rotate", "--role", "root", "--keys", keys, "--mirror", m.mirror, "--passphrase-file", m.p.secret, "--work", "1")
			}
		},
		"patch sets of other steps, and chunks that are right": func(m *victim) { m.swap("patches") },
	} {
		t.Run(name, func(t *testing.T) {
			m := newVictim(t)
			prepare(m)
			m.pulls(m.p.image[3])
		})
	}
}

func attacks() []attack {
	return slices.Concat(signatureAttacks(), rollbackAttacks(), metadataAttacks(), contentAttacks(), nameAttacks())
}

// signatureAttacks are by somebody who lacks keys.
func signatureAttacks() []attack {
	return []attack{
		{"unsigned mirror", "metadata removed", exitUnsigned, `the mirror is not signed: it has no metadata/timestamp.json (--insecure pulls from it all the same)`, func(m *victim) []string {
			must(m.T, os.RemoveAll(m.path("metadata")))
			return nil
		}},
		{"arbitrary software", "mirror of somebody else", exitForged, `metadata/timestamp.json: signed by none of the publisher's keys: root 1 asks for 1 of 1 keys of role timestamp (another mirror; tell the publisher)`, func(m *victim) []string {
			evil := m.TempDir()
			at := filepath.Join(evil, "mirror")
			mustDeltaup(m.T, "keys", "init", "--keys", filepath.Join(evil, "keys"), "--mirror", at, "--passphrase-file", m.p.secret, "--work", "1")
			mustDeltaup(m.T, "publish", "--mirror", at, "--version", "9", "--keys", filepath.Join(evil, "keys"), "--passphrase-file", m.p.secret, m.p.image[1])
			m.copyDir(at)
			return nil
		}},
		{"arbitrary software", "targets signed with another key, the rest with stolen ones", exitForged, `metadata/5.targets.json: signed by none of the publisher's keys: root 1 asks for 2 of 2 keys of role targets (another mirror; tell the publisher)`, func(m *victim) []string {
			m.forgeTargets(func(*metadata.TargetsType) {}, evilKey())
			return nil
		}},
		{"one of two keys stolen", "and those of snapshot and timestamp", exitThreshold, `metadata/5.targets.json: signed by too few of the publisher's keys: by 1, and root 1 asks for 2 of 2 keys of role targets (another mirror; tell the publisher)`, func(m *victim) []string {
			m.forgeTargets(func(*metadata.TargetsType) {}, m.p.private(m.T, metadata.TARGETS)[0])
			return nil
		}},
		{"wrong threshold", "lowered with one of three keys, of which two are needed", exitRootThreshold, `metadata/2.root.json: signed by too few of the publisher's keys: by 1, and root 1 asks for 2 of 3 keys of role root (another mirror; tell the publisher)`, func(m *victim) []string {
			m.forgeRoot(func(r *metadata.RootType) {
				r.Roles[metadata.ROOT].Threshold, r.Roles[metadata.TARGETS].Threshold = 1, 1
			}, m.p.private(m.T, metadata.ROOT)[0])
			return nil
		}},
		{"root that its own keys do not carry", "signed with all old keys", exitRootKeys, `metadata/2.root.json: not signed by enough of the keys that it names itself: by 0, and root 2 asks for 1 of 1 keys of role root (another mirror; tell the publisher)`, func(m *victim) []string {
			m.forgeRoot(func(r *metadata.RootType) { replaceAll(m, r) }, m.p.private(m.T, metadata.ROOT)...)
			return nil
		}},
		{"root rotation forged", "all keys replaced by the attacker's", exitForgedRoot, `metadata/2.root.json: signed by none of the publisher's keys: root 1 asks for 2 of 3 keys of role root (another mirror; tell the publisher)`, func(m *victim) []string {
			m.forgeRoot(func(r *metadata.RootType) { replaceAll(m, r) }, evilKey())
			return nil
		}},
	}
}

// rollbackAttacks show a machine what was good once.
func rollbackAttacks() []attack {
	return []attack{
		{"root rolled back", "served again under a later name", exitOldRoot, `metadata/2.root.json: older than what was trusted before: it is root 1, and 1 is trusted`, func(m *victim) []string {
			m.write(mirror.MetadataPath(metadata.ROOT, 2), m.read(mirror.MetadataPath(metadata.ROOT, 1)))
			return nil
		}},
		{"timestamp rolled back", "an old one", exitOldTimestamp, `metadata/timestamp.json: older than what was trusted before: it is timestamp 2, and 3 was trusted`, func(m *victim) []string {
			m.write(mirror.TimestampPath, m.old(1, mirror.TimestampPath))
			return nil
		}},
		{"snapshot rolled back", "with the key of timestamp", exitOldSnapshot, `metadata/timestamp.json: older than what was trusted before: it names snapshot 2, and 3 was trusted`, func(m *victim) []string {
			old, err := metadata.Timestamp().FromBytes(m.old(1, mirror.TimestampPath))
			must(m.T, err)
			m.forgeTimestamp(old.Signed.Meta[snapshotJSON])
			return nil
		}},
		{"targets rolled back", "with the keys of snapshot and timestamp", exitOldTargets, `metadata/5.snapshot.json: older than what was trusted before: it names targets 2, and 3 was trusted`, func(m *victim) []string {
			b := m.read(mirror.MetadataPath(metadata.TARGETS, 2))
			sum := sha256.Sum256(b)
			m.forgeSnapshot(&metadata.MetaFiles{Version: 2, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}})
			return nil
		}},
		{"release file rolled back", "that of release 1 in the place of release 3's", exitOtherRelease, `releases/3.json: damaged on the mirror: MIRROR: the file of another release: it is of version 1 and has the hash HASH, not HASH`, func(m *victim) []string {
			m.write(mirror.ReleasePath("3"), m.read(mirror.ReleasePath("1")))
			return nil
		}},
		{"release rolled back", "signed as the newest with all keys", exitDowngrade, `release 1: the release is older than the installed one: 2, which is newer, was installed here (--allow-downgrade permits it)`, func(m *victim) []string {
			old, err := metadata.Targets().FromBytes(m.old(1, mirror.MetadataPath(metadata.TARGETS, 2)))
			must(m.T, err)
			m.forgeTargets(func(t *metadata.TargetsType) {
				delete(t.Targets, mirror.ReleasePath("3"))
				t.Targets[mirror.ReleasePath("1")] = old.Signed.Targets[mirror.ReleasePath("1")]
			}, m.p.private(m.T, metadata.TARGETS)...)
			return nil
		}},
		{"withdrawn release", "asked for on the machine", exitWithdrawn, `release 1: the release was withdrawn: nothing older than 2 is permitted here any more`, func(m *victim) []string {
			state := filepath.Join(m.state(), "trust", "state.json")
			b, err := os.ReadFile(state)
			must(m.T, err)
			b = bytes.Replace(b, []byte("{"), []byte(`{"minimum": "2", "minimum_serial": 2,`), 1) // as release 2 could have said
			must(m.T, os.WriteFile(state, b, 0o644))
			return []string{"--version", "1", "--allow-downgrade"}
		}},
		{"freeze", "the timestamp of 30 days ago, signed anew by nobody since", exitFrozen, `metadata/timestamp.json: expired on DATE; by this machine's clock it is DATE (is the clock right? --accept-expired takes it for some time longer)`, func(m *victim) []string {
			p, err := trust.OpenPublisher(m.T.Context(), trust.PublisherOptions{
				Mirror: folder.At(m.mirror), Keys: []string{m.p.keys},
				Passphrases: func(string) ([]string, error) { return []string{"correct horse"}, nil },
				Now:         func() time.Time { return time.Now().Add(-30 * 24 * time.Hour) }, AnyClock: true,
			})
			must(m.T, err)
			must(m.T, p.Refresh(m.T.Context()))
			return nil
		}},
		{"expired below a fresh timestamp", "root, its successor withheld", exitExpired, `the root: expired on DATE; by this machine's clock it is DATE (is the clock right? --accept-expired takes it for some time longer)`, func(m *victim) []string {
			m.forgeRoot(func(r *metadata.RootType) { r.Expires = time.Now().Add(-time.Hour) }, m.p.private(m.T, metadata.ROOT)...)
			return nil
		}},
		{"expired below a fresh timestamp", "snapshot, with the key of timestamp", exitExpired, `metadata/5.snapshot.json: expired on DATE; by this machine's clock it is DATE (is the clock right? --accept-expired takes it for some time longer)`, func(m *victim) []string {
			m.expired = time.Now().Add(-time.Hour)
			m.forgeTargets(func(*metadata.TargetsType) {}, m.p.private(m.T, metadata.TARGETS)...)
			return nil
		}},
		{"expired below a fresh timestamp", "targets, with the keys of snapshot and timestamp", exitExpired, `metadata/5.targets.json: expired on DATE; by this machine's clock it is DATE (is the clock right? --accept-expired takes it for some time longer)`, func(m *victim) []string {
			m.forgeTargets(func(t *metadata.TargetsType) { t.Expires = time.Now().Add(-time.Hour) }, m.p.private(m.T, metadata.TARGETS)...)
			return nil
		}},
	}
}

// metadataAttacks put signed metadata together wrongly, or are none.
func metadataAttacks() []attack {
	swapped := func(role string) func(m *victim) []string {
		return func(m *victim) []string {
			m.write(mirror.MetadataPath(role, 4), m.read(mirror.MetadataPath(role, 3)))
			return nil
		}
	}
	write := func(name, content string) func(m *victim) []string {
		return func(m *victim) []string {
			m.write(name, []byte(content))
			return nil
		}
	}
	root2 := mirror.MetadataPath(metadata.ROOT, 2)
	return []attack{
		{"mix of two states", "snapshot", exitMixed, `metadata/4.snapshot.json: not the file that the signed metadata names: its length or its hash is another`, swapped(metadata.SNAPSHOT)},
		{"mix of two states", "targets", exitMixed, `metadata/4.targets.json: not the file that the signed metadata names: its length or its hash is another`, swapped(metadata.TARGETS)},
		{"mix of two states", "a root too far ahead", exitMixed, `metadata/2.root.json: not the file that the signed metadata names: it is root 7, and 2 follows`, func(m *victim) []string {
			m.forgeRoot(func(r *metadata.RootType) { r.Version = 7 }, m.p.private(m.T, metadata.ROOT)...)
			return nil
		}},
		{"no metadata", "nested", exitMalformed, `metadata/timestamp.json: not well-formed metadata: unexpected EOF`, write(mirror.TimestampPath, string(bytes.Repeat([]byte(`{"signed":`), 1500)))},
		{"no metadata", "an error page", exitMalformed, `metadata/timestamp.json: a web page came in its place, as where a network or a server asks for a login: MIRROR: a web page`, write(mirror.TimestampPath, "<html>Please log in</html>")},
		{"no metadata", "null where go-tuf follows a pointer", exitMalformed, `metadata/2.root.json: not well-formed metadata: null in it`, write(root2, `{"signed":{"_type":"root","keys":{"x":null},"roles":{"root":null}},"signatures":[]}`)},
		{"no metadata", "a snapshot in the place of the timestamp", exitMalformed, `metadata/timestamp.json: not well-formed metadata: it does not name version, length and SHA-N of snapshot.json`, func(m *victim) []string {
			m.write(mirror.TimestampPath, m.read(mirror.MetadataPath(metadata.SNAPSHOT, 4)))
			return nil
		}},
		{"no metadata", "a root with a threshold of none, signed with all keys", exitMalformed, `metadata/timestamp.json: not well-formed metadata: value error: insufficient threshold (0) configured for timestamp`, func(m *victim) []string {
			m.forgeRoot(func(r *metadata.RootType) { r.Roles[metadata.TIMESTAMP].Threshold = 0 }, m.p.private(m.T, metadata.ROOT)...)
			return nil
		}},
		{"no metadata", "one of two keys signs twice", exitMalformed, `metadata/5.targets.json: not well-formed metadata: value error: multiple signatures found for key ID HASH`, func(m *victim) []string {
			key := m.p.private(m.T, metadata.TARGETS)[0]
			m.forgeTargets(func(*metadata.TargetsType) {}, key, key)
			return nil
		}},
	}
}

// nameAttacks are by somebody who has all keys, and wants to write outside of where a target
// writes.
func nameAttacks() []attack {
	custom := func(old, by string) func(m *victim) []string {
		return func(m *victim) []string {
			m.forgeTargets(func(t *metadata.TargetsType) {
				file := t.Targets[mirror.ReleasePath("3")]
				*file.Custom = bytes.Replace(*file.Custom, []byte(old), []byte(by), 1)
			}, m.p.private(m.T, metadata.TARGETS)...)
			return nil
		}
	}
	release := func(old, by string) func(m *victim) []string {
		return func(m *victim) []string {
			b := bytes.Replace(m.read(mirror.ReleasePath("3")), []byte(old), []byte(by), 1)
			m.signRelease(b)
			return nil
		}
	}
	return []attack{
		{"path trick", "in a version", exitName, `signed targets: target "releases/3.json": not well-formed metadata: version "../../3": not an allowed name`, custom(`"version":"3"`, `"version":"../../3"`)},
		{"path trick", "in a channel", exitName, `signed targets: target "releases/3.json": not well-formed metadata: channel "../x": not an allowed name`, custom(`["stable"]`, `["stable","../x"]`)},
		{"path trick", "in the name of a target", exitName, `signed targets: target "../../../etc/passwd": not an allowed name`, func(m *victim) []string {
			m.forgeTargets(func(t *metadata.TargetsType) {
				t.Targets["../../../etc/passwd"] = t.Targets[mirror.ReleasePath("3")]
				delete(t.Targets, mirror.ReleasePath("3"))
			}, m.p.private(m.T, metadata.TARGETS)...)
			return nil
		}},
		{"path trick", "in the name of an artifact", exitName, `releases/3.json: damaged on the mirror: release "3": corrupt: artifact "../image": not an allowed name`, release(`"name": "image"`, `"name": "../image"`)},
		{"path trick", "in the version that a patch set leads from", exitName, `releases/3.json: damaged on the mirror: release "3": corrupt: patch set: version "../2": not an allowed name`, release(`"from": "2"`, `"from": "../2"`)},
		{"path trick", "in the version before", exitName, `releases/3.json: damaged on the mirror: release "3": corrupt: version "/2": not an allowed name`, release(`"previous": "2"`, fmt.Sprintf(`"previous": %q`, "/2"))},
	}
}
