package trust_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"testing"

	"filippo.io/age"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/trust"
)

type (
	timestamp = metadata.TimestampType
	snapshot  = metadata.SnapshotType
	targets   = metadata.TargetsType
)

// thief has all online keys of a site, as they are now, and a copy of its mirror, which machines
// are made to read.
func (s *site) thief() *site {
	s.t.Helper()
	keys := filepath.Join(s.t.TempDir(), "stolen")
	copyTree(s.t, keys, s.keys)
	return &site{t: s.t, dir: s.copyOf(), keys: keys, now: s.now, anyClock: true, image: "evil "}
}

// numbers replace those that a publisher counts up; 0 leaves a number as it is.
type numbers struct {
	serial                       int64 // of the newest release
	minimum                      string
	minimumSerial                int64
	targets, snapshot, timestamp int64 // versions
}

// signs puts these numbers into the mirror's metadata and signs it.
func (s *site) signs(n numbers) {
	s.t.Helper()
	ts := read[timestamp](s, mirror.TimestampPath)
	snap := read[snapshot](s, mirror.MetadataPath(metadata.SNAPSHOT, ts.Signed.Meta["snapshot.json"].Version))
	tg := read[targets](s, mirror.MetadataPath(metadata.TARGETS, snap.Signed.Meta["targets.json"].Version))
	for _, file := range tg.Signed.Targets {
		var r trust.SignedRelease
		if json.Unmarshal(*file.Custom, &r) != nil || r.Version == "" {
			continue
		}
		if n.serial != 0 {
			r.Serial = n.serial
		}
		if n.minimum != "" {
			r.Minimum, r.MinimumSerial = n.minimum, n.minimumSerial
		}
		b, err := json.Marshal(&r)
		s.must(err)
		*file.Custom = b
	}
	s.signAll(ts, snap, tg, n)
}

// signAll signs the three with the versions in n.
func (s *site) signAll(ts *metadata.Metadata[timestamp], snap *metadata.Metadata[snapshot], tg *metadata.Metadata[targets], n numbers) {
	s.t.Helper()
	next := func(version *int64, to int64) int64 {
		if *version++; to != 0 {
			*version = to
		}
		return *version
	}
	v := next(&tg.Signed.Version, n.targets)
	snap.Signed.Meta["targets.json"] = sign(s, metadata.TARGETS, mirror.MetadataPath(metadata.TARGETS, v), tg, v)
	v = next(&snap.Signed.Version, n.snapshot)
	ts.Signed.Meta["snapshot.json"] = sign(s, metadata.SNAPSHOT, mirror.MetadataPath(metadata.SNAPSHOT, v), snap, v)
	v = next(&ts.Signed.Version, n.timestamp)
	sign(s, metadata.TIMESTAMP, mirror.TimestampPath, ts, v)
}

// forgeTimestamp signs a newer timestamp, changed by change.
func (s *site) forgeTimestamp(change func(*timestamp)) {
	s.t.Helper()
	ts := read[timestamp](s, mirror.TimestampPath)
	ts.Signed.Version++
	change(&ts.Signed)
	sign(s, metadata.TIMESTAMP, mirror.TimestampPath, ts, ts.Signed.Version)
}

// read gives a file of the mirror.
func (s *site) read(name string) string {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, filepath.FromSlash(name)))
	s.must(err)
	return string(b)
}

func read[T metadata.Roles](s *site, name string) *metadata.Metadata[T] {
	s.t.Helper()
	m, err := new(metadata.Metadata[T]).FromBytes([]byte(s.read(name)))
	s.must(err)
	return m
}

// sign signs metadata with the keys of a role and writes it to the mirror. It returns the
// description by which other metadata names it.
func sign[T metadata.Roles](s *site, role, name string, m *metadata.Metadata[T], version int64) *metadata.MetaFiles {
	s.t.Helper()
	m.ClearSignatures()
	root, err := metadata.Root().FromBytes(s.root())
	s.must(err)
	for _, id := range root.Signed.Roles[role].KeyIDs {
		signer, err := signature.LoadSigner(private(s.t, filepath.Join(s.keys, role+"-"+id[:16]+".age")), crypto.Hash(0))
		s.must(err)
		_, err = m.Sign(signer)
		s.must(err)
	}
	b, err := m.ToBytes(false)
	s.must(err)
	s.must(os.WriteFile(filepath.Join(s.dir, filepath.FromSlash(name)), b, 0o644))
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{Version: version, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

// private opens a private key.
func private(t testing.TB, path string) ed25519.PrivateKey {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(f, id)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return key.(ed25519.PrivateKey)
}

// signSerial gives the last release of the catalog a serial and signs the catalog.
func (s *site) signSerial(serial int64) {
	s.t.Helper()
	ts := read[timestamp](s, mirror.TimestampPath)
	snap := read[snapshot](s, mirror.MetadataPath(metadata.SNAPSHOT, ts.Signed.Meta["snapshot.json"].Version))
	tg := read[targets](s, mirror.MetadataPath(metadata.TARGETS, snap.Signed.Meta["targets.json"].Version))
	old := tg.Signed.UnrecognizedFields["x-catalog"].(string)
	var c struct {
		Format   int                   `json:"format"`
		Releases []trust.SignedRelease `json:"releases"`
	}
	s.must(json.Unmarshal([]byte(s.read(old)), &c))
	c.Releases[len(c.Releases)-1].Serial = serial
	b, err := json.Marshal(&c)
	s.must(err)
	object := mirror.Object{ID: chunkstore.Sum(b), Size: int64(len(b))}
	name := mirror.CatalogPath(object.ID)
	s.must(os.MkdirAll(filepath.Dir(filepath.Join(s.dir, name)), 0o755))
	s.must(os.WriteFile(filepath.Join(s.dir, name), b, 0o644))
	custom, err := json.Marshal(map[string]any{"file": object})
	s.must(err)
	raw, sum := json.RawMessage(custom), sha256.Sum256(b)
	delete(tg.Signed.Targets, old)
	tg.Signed.Targets[name] = &metadata.TargetFiles{Length: object.Size, Hashes: metadata.Hashes{"sha256": sum[:]}, Custom: &raw}
	tg.Signed.UnrecognizedFields["x-catalog"] = name
	s.signAll(ts, snap, tg, numbers{})
}
