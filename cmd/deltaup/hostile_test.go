package main

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/chunkstore"
	"deltaup/internal/faultserver"
	"deltaup/mirror"
	"deltaup/trust"
)

// publisher is a signed mirror as it was after each of three releases, and its keys.
type publisher struct {
	dir    string
	states [4]string // the mirror after so many releases; 0 is none
	image  [4]string
	keys   string
	secret string
}

var (
	makePublisher  sync.Once
	thePublisher   publisher
	publisherError error
)

// newPublisher makes the publisher once; nobody changes it.
func newPublisher(t *testing.T) *publisher {
	t.Helper()
	makePublisher.Do(func() {
		var err error
		if thePublisher.dir, err = os.MkdirTemp("", "deltaup-hostile"); err == nil {
			err = thePublisher.make(t)
		}
		publisherError = err
	})
	if publisherError != nil {
		t.Fatal(publisherError)
	}
	return &thePublisher
}

func (p *publisher) make(t *testing.T) error {
	p.keys, p.secret = filepath.Join(p.dir, "keys"), filepath.Join(p.dir, "secret")
	if err := os.WriteFile(p.secret, []byte("correct horse\n"), 0o600); err != nil {
		return err
	}
	at := filepath.Join(p.dir, "mirror")
	mustDeltaup(t, "keys", "init", "--keys", p.keys, "--mirror", at, "--passphrase-file", p.secret, "--work", "1", "--quorum", "root=2/3", "--quorum", "targets=2/2")
	for n := 1; n <= 3; n++ {
		tree := filepath.Join(p.dir, fmt.Sprint("tree", n))
		if err := os.MkdirAll(tree, 0o755); err != nil {
			return err
		}
		for i := range 4 {
			content := bytes.Repeat([]byte(fmt.Sprintf("file %d, ", i)), 20_000)
			for k := range 3000 { // not to be guessed, and other in each release
				content[k*7] = byte(k*k*(i+3*n)>>3 ^ k)
			}
			if err := os.WriteFile(filepath.Join(tree, fmt.Sprint("lib", i)), content, 0o644); err != nil {
				return err
			}
		}
		p.image[n] = filepath.Join(p.dir, fmt.Sprintf("v%d.squashfs", n))
		mustDeltaup(t, "mkimage", "-o", p.image[n], "--level", "fastest", "--mtime", "1700000000", "--owner", "0:0", tree)
		mustDeltaup(t, "publish", "--mirror", at, "--version", fmt.Sprint(n), "--keys", p.keys, "--passphrase-file", p.secret, p.image[n])
		p.states[n] = filepath.Join(p.dir, fmt.Sprint("state", n))
		if err := os.CopyFS(p.states[n], os.DirFS(at)); err != nil {
			return err
		}
	}
	return nil
}

// private opens all private keys of a role.
func (p *publisher) private(t *testing.T, role string) (keys []ed25519.PrivateKey) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.keys, role+"-*.age"))
	if err != nil || len(files) == 0 {
		t.Fatalf("keys of %s: %v", role, err)
	}
	for _, file := range files {
		sealed, err := os.Open(file)
		must(t, err)
		defer sealed.Close()
		id, err := age.NewScryptIdentity("correct horse")
		must(t, err)
		r, err := age.Decrypt(sealed, id)
		must(t, err)
		text, err := io.ReadAll(r)
		must(t, err)
		block, _ := pem.Decode(text)
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		must(t, err)
		keys = append(keys, key.(ed25519.PrivateKey))
	}
	return keys
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// victim is a machine that has installed release 2, and is about to pull what a mirror in other hands serves into its other slot.
type victim struct {
	*testing.T
	p      *publisher
	mirror string // the attacker's copy of the newest state
	server *faultserver.Server
	state  string
	slot   string
	before []byte // what the slot holds
}

func newVictim(t *testing.T) *victim {
	p := newPublisher(t)
	dir := t.TempDir()
	m := &victim{T: t, p: p, mirror: filepath.Join(dir, "mirror"), state: filepath.Join(dir, "state"), slot: filepath.Join(dir, "slot-b")}
	m.put(3)
	m.server = faultserver.New(t, mirror.Handler(m.mirror))
	mustDeltaup(t, "pull", p.states[2], "--root", filepath.Join(p.keys, "root.json"), "--slot", filepath.Join(dir, "slot-a"), "--state", m.state)
	var err error
	m.before, err = os.ReadFile(p.image[1])
	must(t, err)
	must(t, os.WriteFile(m.slot, m.before, 0o644))
	return m
}

// put makes the mirror what it was after so many releases.
func (m *victim) put(state int) { m.copyDir(m.p.states[state]) }

func (m *victim) copyDir(from string) {
	m.Helper()
	must(m.T, os.RemoveAll(m.mirror))
	must(m.T, os.CopyFS(m.mirror, os.DirFS(from)))
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
	must(m.T, os.WriteFile(m.path(name), b, 0o644))
}

// old is a file of the mirror as it was after so many releases.
func (m *victim) old(state int, name string) []byte {
	m.Helper()
	b, err := os.ReadFile(filepath.Join(m.p.states[state], filepath.FromSlash(name)))
	must(m.T, err)
	return b
}

// pull is what the machine does.
func (m *victim) pull(args ...string) (code int, stderr string) {
	m.Helper()
	args = append([]string{"pull", m.server.URL, "--slot", m.slot, "--seed", m.p.image[2], "--state", m.state, "--timeout", "500ms"}, args...)
	code, _, stderr = deltaup(m.T, args...)
	return code, strings.TrimSpace(stderr)
}

// refuses demands that a pull ends with this code and a message with this text, and that nothing was written, and nothing remembered as installed.
func (m *victim) refuses(code int, text string, args ...string) {
	m.Helper()
	got, stderr := m.pull(args...)
	last := stderr[strings.LastIndexByte(stderr, '\n')+1:]
	if got != code || !strings.Contains(last, text) {
		m.Errorf("exit code %d, want %d with %q:\n%s", got, code, text, stderr)
	}
	m.Logf("%d  %s", got, strings.ReplaceAll(last, m.server.URL, "MIRROR"))
	after, err := os.ReadFile(m.slot)
	must(m.T, err)
	if !bytes.Equal(after, m.before) {
		m.Error("the slot was written to")
	}
	status, err := trust.ReadStatus(m.state)
	must(m.T, err)
	if status.Installed != "2" {
		m.Errorf("release %s is remembered as installed", status.Installed)
	}
}

// pulls demands that a pull goes well, and what the slot then holds.
func (m *victim) pulls(image string, args ...string) {
	m.Helper()
	code, stderr := m.pull(args...)
	if code != exitOK {
		m.Fatalf("exit code %d: %s", code, stderr)
	}
	m.Logf("%d  %s", code, strings.ReplaceAll(stderr, m.server.URL, "MIRROR"))
	sameFile(m.T, m.slot, image)
}

// signed reads a role's metadata of the mirror.
func signed[T metadata.Roles](m *victim, name string) *metadata.Metadata[T] {
	m.Helper()
	meta, err := new(metadata.Metadata[T]).FromBytes(m.read(name))
	must(m.T, err)
	return meta
}

// forge signs metadata with these keys and puts it on the mirror. It gives how other metadata has to name it.
func forge[T metadata.Roles](m *victim, name string, meta *metadata.Metadata[T], version int64, keys ...ed25519.PrivateKey) *metadata.MetaFiles {
	m.Helper()
	meta.ClearSignatures()
	for _, key := range keys {
		s, err := signature.LoadSigner(key, crypto.Hash(0))
		must(m.T, err)
		_, err = meta.Sign(s)
		must(m.T, err)
	}
	b, err := meta.ToBytes(false)
	must(m.T, err)
	m.write(name, b)
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{Version: version, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

const (
	snapshotJSON = "snapshot.json"
	targetsJSON  = "targets.json"
)

// forgeTimestamp signs, with the stolen key, a newer timestamp that names this snapshot.
func (m *victim) forgeTimestamp(snapshot *metadata.MetaFiles) {
	m.Helper()
	ts := signed[metadata.TimestampType](m, mirror.TimestampPath)
	ts.Signed.Version++
	ts.Signed.Meta[snapshotJSON] = snapshot
	forge(m, mirror.TimestampPath, ts, ts.Signed.Version, m.p.private(m.T, metadata.TIMESTAMP)...)
}

// forgeSnapshot signs, with stolen keys, a newer snapshot that names these targets, and the timestamp to it.
func (m *victim) forgeSnapshot(targets *metadata.MetaFiles) {
	m.Helper()
	old := signed[metadata.TimestampType](m, mirror.TimestampPath).Signed.Meta[snapshotJSON].Version
	snap := signed[metadata.SnapshotType](m, mirror.MetadataPath(metadata.SNAPSHOT, old))
	snap.Signed.Version++
	snap.Signed.Meta[targetsJSON] = targets
	m.forgeTimestamp(forge(m, mirror.MetadataPath(metadata.SNAPSHOT, snap.Signed.Version), snap, snap.Signed.Version, m.p.private(m.T, metadata.SNAPSHOT)...))
}

// forgeTargets signs with these keys newer targets, changed by change, and all that leads to them with stolen keys.
func (m *victim) forgeTargets(change func(*metadata.TargetsType), keys ...ed25519.PrivateKey) {
	m.Helper()
	name := m.newest(metadata.TARGETS)
	t := signed[metadata.TargetsType](m, name)
	t.Signed.Version++
	change(&t.Signed)
	m.forgeSnapshot(forge(m, mirror.MetadataPath(metadata.TARGETS, t.Signed.Version), t, t.Signed.Version, keys...))
}

// newest is the path of a role's newest metadata.
func (m *victim) newest(role string) string {
	m.Helper()
	for n := int64(1); ; n++ {
		if _, err := os.Stat(m.path(mirror.MetadataPath(role, n+1))); err != nil {
			return mirror.MetadataPath(role, n)
		}
	}
}

// evilKey is the attacker's own.
func evilKey() ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{6}, ed25519.SeedSize))
}

// release3 is the release that the mirror offers.
func (m *victim) release3() *mirror.Release {
	m.Helper()
	r, err := mirror.ReadRelease(m.p.states[3], "3")
	must(m.T, err)
	return r
}

// swap serves, under the names of one kind, other valid files of that kind.
func (m *victim) swap(kind string) {
	m.Helper()
	var names []string
	must(m.T, filepath.WalkDir(m.path(kind), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	}))
	if len(names) < 2 {
		m.Fatalf("%d files in %s", len(names), kind)
	}
	slices.Sort(names)
	first, err := os.ReadFile(names[0])
	must(m.T, err)
	for i, name := range names {
		next := first
		if i+1 < len(names) {
			next, err = os.ReadFile(names[i+1])
			must(m.T, err)
		}
		must(m.T, os.WriteFile(name, next, 0o644))
	}
}

// bomb is a zstd frame of so many bytes that says it holds a gigabyte and more, and does, in blocks of one repeated byte.
func bomb(size int) []byte {
	b := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58} // magic, no sizes, window of 2 MiB
	for len(b)+4 <= size {
		b = append(b, 0x02, 0x00, 0x10, 0x00) // a block of 128 KiB: one byte, repeated
	}
	return append(b, make([]byte, size-len(b))...)
}

// endless answers everything with zeros that never end, asked for or not.
func endless(w http.ResponseWriter, r *http.Request, _ http.Handler) {
	zeros := make([]byte, 32<<10)
	for r.Context().Err() == nil {
		if _, err := w.Write(zeros); err != nil {
			return
		}
	}
}

func blake3Of(b []byte) string { return chunkstore.Sum(b).String() }

// TestHostileMirror is what somebody can try who has the mirror in his hands, or the line to it, and for some attacks some of the
// publisher's keys: one row for each. No row may write to the slot.
func TestHostileMirror(t *testing.T) {
	attacks := map[string]func(m *victim){
		"honest": func(m *victim) { m.pulls(m.p.image[3]) },
		"arbitrary software": func(m *victim) {
			evil := m.TempDir()
			at := filepath.Join(evil, "mirror")
			mustDeltaup(m.T, "keys", "init", "--keys", filepath.Join(evil, "keys"), "--mirror", at, "--passphrase-file", m.p.secret, "--work", "1")
			mustDeltaup(m.T, "publish", "--mirror", at, "--version", "9", "--keys", filepath.Join(evil, "keys"), "--passphrase-file", m.p.secret, m.p.image[1])
			m.copyDir(at)
			m.refuses(exitSignature, "metadata/timestamp.json: not signed by enough of the publisher's keys")
		},
		"unsigned mirror": func(m *victim) {
			must(m.T, os.RemoveAll(m.path("metadata")))
			m.refuses(exitUnsigned, "the mirror is not signed: it has no metadata/timestamp.json")
		},
		"rolled-back timestamp": func(m *victim) {
			m.write(mirror.TimestampPath, m.old(1, mirror.TimestampPath))
			m.refuses(exitRollback, "metadata/timestamp.json: older than what was trusted before")
		},
		"rolled-back snapshot": func(m *victim) { // with the timestamp's key
			old, err := metadata.Timestamp().FromBytes(m.old(1, mirror.TimestampPath))
			must(m.T, err)
			m.forgeTimestamp(old.Signed.Meta[snapshotJSON])
			m.refuses(exitRollback, "new snapshot version 2 must be >= 3")
		},
		"rolled-back targets": func(m *victim) { // with the keys of snapshot and timestamp
			name := mirror.MetadataPath(metadata.TARGETS, 2)
			sum := sha256.Sum256(m.read(name))
			m.forgeSnapshot(&metadata.MetaFiles{Version: 2, Length: int64(len(m.read(name))), Hashes: metadata.Hashes{"sha256": sum[:]}})
			m.refuses(exitRollback, "5.snapshot.json: older than what was trusted before")
		},
		"rolled-back release": func(m *victim) {
			m.write(mirror.ReleasePath("3"), m.read(mirror.ReleasePath("1")))
			m.refuses(exitMirror, "releases/3.json: damaged on the mirror")
		},
		"release asked for that was withdrawn": func(m *victim) {
			m.refuses(exitDowngrade, "release 1: the release is older than it may be", "--version", "1")
		},
		"freeze past expiry": func(m *victim) {
			p, err := trust.OpenPublisher(trust.PublisherOptions{
				Mirror: m.mirror, Keys: []string{m.p.keys},
				Passphrases: func(string) ([]string, error) { return []string{"correct horse"}, nil },
				Now:         func() time.Time { return time.Now().Add(-30 * 24 * time.Hour) },
			})
			must(m.T, err)
			must(m.T, p.Refresh())
			m.refuses(exitExpired, "metadata/timestamp.json: expired on ")
		},
		"mix of two states: snapshot": func(m *victim) {
			m.write(mirror.MetadataPath(metadata.SNAPSHOT, 4), m.read(mirror.MetadataPath(metadata.SNAPSHOT, 3)))
			m.refuses(exitMixed, "metadata/4.snapshot.json: not the file that the signed metadata names")
		},
		"mix of two states: targets": func(m *victim) {
			m.write(mirror.MetadataPath(metadata.TARGETS, 4), m.read(mirror.MetadataPath(metadata.TARGETS, 3)))
			m.refuses(exitMixed, "metadata/4.targets.json: not the file that the signed metadata names")
		},
		"endless timestamp": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: mirror.TimestampPath, Fault: endless})
			m.refuses(exitMirror, "metadata/timestamp.json: damaged on the mirror")
		},
		"endless root": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: "metadata/2.root.json", Fault: endless})
			m.refuses(exitMirror, "metadata/2.root.json: damaged on the mirror")
		},
		"endless snapshot": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: "metadata/4.snapshot.json", Fault: endless})
			m.refuses(exitMirror, "metadata/4.snapshot.json: damaged on the mirror")
		},
		"endless targets": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: "metadata/4.targets.json", Fault: endless})
			m.refuses(exitMirror, "metadata/4.targets.json: damaged on the mirror")
		},
		"endless release": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: "releases/", Fault: endless})
			m.refuses(exitMirror, "releases/3.json: damaged on the mirror")
		},
		"endless recipe": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: "recipes/", Fault: endless})
			m.refuses(exitMirror, ".recipe.zst: damaged on the mirror", "--route", "chunks")
		},
		"endless pack": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: "packs/", Fault: endless})
			m.refuses(exitMirror, ".pack: damaged on the mirror", "--route", "chunks")
		},
		"endless patch set": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: "patches/", Fault: endless})
			m.refuses(exitMirror, ".patch: damaged on the mirror", "--route", "patch")
		},
		"slow drip of metadata": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: mirror.TimestampPath, Fault: faultserver.Slow(50)})
			m.refuses(exitUnreachable, "sends too slowly to ever come to an end", "--min-rate", "10k")
		},
		"slow drip of content": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: "packs/", Fault: faultserver.Slow(50)})
			m.refuses(exitUnreachable, "sends too slowly to ever come to an end", "--route", "chunks", "--min-rate", "10k")
		},
		"one of two keys stolen": func(m *victim) { // and those of snapshot and timestamp
			m.forgeTargets(func(*metadata.TargetsType) {}, m.p.private(m.T, metadata.TARGETS)[0])
			m.refuses(exitSignature, "metadata/5.targets.json: not signed by enough of the publisher's keys")
		},
		"one of two keys signs twice": func(m *victim) {
			key := m.p.private(m.T, metadata.TARGETS)[0]
			m.forgeTargets(func(*metadata.TargetsType) {}, key, key)
			m.refuses(exitMalformed, "metadata/5.targets.json: not well-formed metadata")
		},
		"wrong threshold": func(m *victim) { // with one of three root keys, of which two are needed
			root := signed[metadata.RootType](m, mirror.MetadataPath(metadata.ROOT, 1))
			root.Signed.Version, root.Signed.Roles[metadata.ROOT].Threshold, root.Signed.Roles[metadata.TARGETS].Threshold = 2, 1, 1
			forge(m, mirror.MetadataPath(metadata.ROOT, 2), root, 2, m.p.private(m.T, metadata.ROOT)[0])
			m.refuses(exitSignature, "metadata/2.root.json: not signed by enough of the publisher's keys")
		},
		"root rotated twice while the machine slept": func(m *victim) {
			keys := filepath.Join(m.TempDir(), "keys")
			must(m.T, os.CopyFS(keys, os.DirFS(m.p.keys)))
			for range 2 {
				mustDeltaup(m.T, "keys", "rotate", "--role", "root", "--keys", keys, "--mirror", m.mirror, "--passphrase-file", m.p.secret, "--work", "1")
			}
			m.pulls(m.p.image[3])
		},
		"root rotation forged": func(m *victim) {
			root := signed[metadata.RootType](m, mirror.MetadataPath(metadata.ROOT, 1))
			root.Signed.Version = 2
			evil, err := metadata.KeyFromPublicKey(evilKey().Public())
			must(m.T, err)
			for _, role := range trust.Roles {
				for _, id := range slices.Clone(root.Signed.Roles[role].KeyIDs) {
					must(m.T, root.Signed.RevokeKey(id, role))
				}
				must(m.T, root.Signed.AddKey(evil, role))
				root.Signed.Roles[role].Threshold = 1
			}
			forge(m, mirror.MetadataPath(metadata.ROOT, 2), root, 2, evilKey())
			m.refuses(exitSignature, "metadata/2.root.json: not signed by enough of the publisher's keys")
		},
		"root served again under a later name": func(m *victim) {
			m.write(mirror.MetadataPath(metadata.ROOT, 2), m.read(mirror.MetadataPath(metadata.ROOT, 1)))
			m.refuses(exitRollback, "metadata/2.root.json: older than what was trusted before")
		},
		"patch set of another step": func(m *victim) {
			m.swap("patches")
			m.refuses(exitMirror, "its head has the hash", "--route", "patch")
		},
		"patch set of another step, and chunks that are right": func(m *victim) {
			m.swap("patches")
			m.pulls(m.p.image[3])
		},
		"pack of another release": func(m *victim) {
			m.swap("packs")
			m.refuses(exitMirror, ".pack: damaged on the mirror", "--route", "chunks")
		},
		"image of another release": func(m *victim) {
			m.swap("images")
			m.refuses(exitMirror, ".squashfs: damaged on the mirror", "--route", "whole") // no other route was permitted
		},
		"index of another release": func(m *victim) {
			m.swap("indexes")
			m.refuses(exitMirror, ".index: damaged on the mirror", "--route", "chunks")
		},
		"path trick in a signed name": func(m *victim) { // with all keys
			m.forgeTargets(func(t *metadata.TargetsType) {
				file := t.Targets[mirror.ReleasePath("3")]
				*file.Custom = bytes.Replace(*file.Custom, []byte(`"version":"3"`), []byte(`"version":"../../3"`), 1)
			}, m.p.private(m.T, metadata.TARGETS)...)
			m.refuses(exitMalformed, `not well-formed metadata: "../../3" is no valid version`)
		},
		"path trick in a target's name": func(m *victim) { // with all keys
			m.forgeTargets(func(t *metadata.TargetsType) {
				t.Targets["../../../etc/passwd"] = t.Targets[mirror.ReleasePath("3")]
				delete(t.Targets, mirror.ReleasePath("3"))
			}, m.p.private(m.T, metadata.TARGETS)...)
			m.refuses(exitMalformed, `target "../../../etc/passwd": not well-formed metadata`)
		},
		"path trick in an artifact's name": func(m *victim) { // with all keys
			b := bytes.Replace(m.read(mirror.ReleasePath("3")), []byte(`"name": "image"`), []byte(`"name": "../image"`), 1)
			m.write(mirror.ReleasePath("3"), b)
			m.forgeTargets(func(t *metadata.TargetsType) {
				file := t.Targets[mirror.ReleasePath("3")]
				file.Length = int64(len(b))
				*file.Custom = []byte(fmt.Sprintf(`{"version":"3","serial":3,"file":{"blake3":"%s","size":%d},"channels":["stable"]}`, blake3Of(b), len(b)))
			}, m.p.private(m.T, metadata.TARGETS)...)
			m.refuses(exitMirror, `releases/3.json: damaged on the mirror`)
		},
		"decompression bomb: recipe": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: "recipes/", Fault: faultserver.Replace(bomb(int(m.release3().Artifacts[0].Recipe.Size)))})
			m.refuses(exitMirror, ".recipe.zst: damaged on the mirror", "--route", "chunks")
		},
		"decompression bomb: metadata": func(m *victim) {
			m.server.Add(faultserver.Rule{Path: mirror.TimestampPath, Fault: faultserver.Header("Content-Encoding", "gzip")})
			m.refuses(exitMirror, "Content-Encoding")
		},
		"nested metadata": func(m *victim) {
			m.write(mirror.TimestampPath, bytes.Repeat([]byte(`{"signed":`), 1500))
			m.refuses(exitMalformed, "metadata/timestamp.json: not well-formed metadata")
		},
		"null where go-tuf follows a pointer": func(m *victim) {
			m.write(mirror.MetadataPath(metadata.ROOT, 2), []byte(`{"signed":{"_type":"root","keys":{"x":null},"roles":{"root":null}},"signatures":[]}`))
			m.refuses(exitMalformed, "metadata/2.root.json: not well-formed metadata: null in it")
		},
	}
	for _, name := range slices.Sorted(maps.Keys(attacks)) {
		t.Run(name, func(t *testing.T) { attacks[name](newVictim(t)) })
	}
}

// TestSignedCounts holds what a pull tells of bytes and requests, metadata included, to what the server saw; and a poll that finds nothing
// new to two requests.
func TestSignedCounts(t *testing.T) {
	m := newVictim(t)
	for _, requests := range []int{0, 2} { // 0: as many as it takes
		m.server.Reset()
		out := mustDeltaup(t, "pull", m.server.URL, "--slot", m.slot, "--seed", m.p.image[2], "--state", m.state, "--json")
		var result struct {
			Event    string `json:"event"`
			Requests int    `json:"requests"`
			Bytes    int64  `json:"bytes_fetched"`
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		must(t, json.Unmarshal([]byte(lines[len(lines)-1]), &result))
		sent := int64(0)
		for _, r := range m.server.Log() {
			if r.Status != http.StatusNotFound { // there is no newer root; what the server says of that is not read
				sent += r.Body
			}
		}
		if n := len(m.server.Log()); result.Event != "result" || result.Requests != n || requests > 0 && n != requests {
			t.Errorf("%d requests, the server saw %d: %s", result.Requests, n, out)
		}
		if result.Bytes != sent {
			t.Errorf("%d bytes, the server sent %d", result.Bytes, sent)
		}
		t.Logf("%d requests, %d bytes", result.Requests, result.Bytes)
	}
	sameFile(t, m.slot, m.p.image[3])
}
