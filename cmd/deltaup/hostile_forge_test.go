package main

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"filippo.io/age"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/trust"
)

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

// signed reads a role's metadata of the mirror.
func signed[T metadata.Roles](m *victim, name string) *metadata.Metadata[T] {
	m.Helper()
	meta, err := new(metadata.Metadata[T]).FromBytes(m.read(name))
	must(m.T, err)
	return meta
}

// forge signs metadata with these keys and puts it on the mirror. It gives how other metadata has
// to name it.
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

// forgeSnapshot signs, with stolen keys, a newer snapshot that names these targets, and the
// timestamp to it.
func (m *victim) forgeSnapshot(targets *metadata.MetaFiles) {
	m.Helper()
	old := signed[metadata.TimestampType](m, mirror.TimestampPath).Signed.Meta[snapshotJSON].Version
	snap := signed[metadata.SnapshotType](m, mirror.MetadataPath(metadata.SNAPSHOT, old))
	snap.Signed.Version++
	snap.Signed.Meta[targetsJSON] = targets
	if !m.expired.IsZero() {
		snap.Signed.Expires = m.expired
	}
	m.forgeTimestamp(forge(m, mirror.MetadataPath(metadata.SNAPSHOT, snap.Signed.Version), snap, snap.Signed.Version, m.p.private(m.T, metadata.SNAPSHOT)...))
}

// forgeTargets signs with these keys newer targets, changed by change, and all that leads to them
// with stolen keys.
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

// forgeRoot changes the trusted root and signs it as the next with these keys.
func (m *victim) forgeRoot(change func(*metadata.RootType), keys ...ed25519.PrivateKey) {
	m.Helper()
	root := signed[metadata.RootType](m, mirror.MetadataPath(metadata.ROOT, 1))
	root.Signed.Version = 2
	change(&root.Signed)
	forge(m, mirror.MetadataPath(metadata.ROOT, 2), root, 2, keys...)
}

// replaceAll makes the attacker's key the only one of each role.
func replaceAll(m *victim, root *metadata.RootType) {
	m.Helper()
	evil, err := metadata.KeyFromPublicKey(evilKey().Public())
	must(m.T, err)
	for _, role := range trust.Roles {
		for _, id := range slices.Clone(root.Roles[role].KeyIDs) {
			must(m.T, root.RevokeKey(id, role))
		}
		must(m.T, root.AddKey(evil, role))
		root.Roles[role].Threshold = 1
	}
}

// signRelease puts the file of release 3 on the mirror, and signs it with all keys.
func (m *victim) signRelease(b []byte) {
	m.Helper()
	m.write(mirror.ReleasePath("3"), b)
	m.forgeTargets(func(t *metadata.TargetsType) {
		file := t.Targets[mirror.ReleasePath("3")]
		file.Length = int64(len(b))
		*file.Custom = []byte(fmt.Sprintf(`{"version":"3","serial":3,"file":{"blake3":"%s","size":%d},"channels":["stable"]}`, chunkstore.Sum(b), len(b)))
	}, m.p.private(m.T, metadata.TARGETS)...)
}
