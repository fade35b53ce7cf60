package trust

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"deltaup/mirror"
	"deltaup/mirror/folder"
)

// signedFiles makes the metadata of an empty mirror, by role, and the root that follows.
func signedFiles(tb testing.TB) (files map[string][]byte, next []byte) {
	tb.Helper()
	dir := filepath.Join(tb.TempDir(), "mirror")
	o := PublisherOptions{Mirror: folder.At(dir), Keys: []string{filepath.Join(tb.TempDir(), "keys")},
		Passphrases: func(string) ([]string, error) { return []string{"x"}, nil }}
	p, err := Init(context.Background(), o, InitOptions{Passphrase: "x", Work: 1})
	if err != nil {
		tb.Fatal(err)
	}
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	files = map[string][]byte{
		metadata.ROOT: read(mirror.MetadataPath(metadata.ROOT, 1)), metadata.TARGETS: read(mirror.MetadataPath(metadata.TARGETS, 1)),
		metadata.SNAPSHOT: read(mirror.MetadataPath(metadata.SNAPSHOT, 1)), metadata.TIMESTAMP: read(mirror.TimestampPath),
	}
	if err := p.Rotate(context.Background(), Change{Role: metadata.ROOT, Passphrase: "x", Work: 1}); err != nil {
		tb.Fatal(err)
	}
	return files, read(mirror.MetadataPath(metadata.ROOT, 2))
}

// trustedBefore gives what a target trusts when it comes to read a role's file. It verifies the
// files before that one once and gives each run a copy, since verifying takes longer than the code
// that the fuzzer tries.
func trustedBefore(f *testing.F, files map[string][]byte) func(role string) *trustedmetadata.TrustedMetadata {
	f.Helper()
	sets := map[string]trustedmetadata.TrustedMetadata{}
	set, err := trustedmetadata.New(files[metadata.ROOT])
	if err != nil {
		f.Fatal(err)
	}
	set.RefTime = time.Unix(0, 0)
	sets[metadata.ROOT], sets[metadata.TIMESTAMP] = *set, *set
	if _, err := set.UpdateTimestamp(files[metadata.TIMESTAMP]); err != nil {
		f.Fatal(err)
	}
	sets[metadata.SNAPSHOT] = *set
	if _, err := set.UpdateSnapshot(files[metadata.SNAPSHOT], false); err != nil {
		f.Fatal(err)
	}
	sets[metadata.TARGETS] = *set
	return func(role string) *trustedmetadata.TrustedMetadata {
		set := sets[role]
		set.Targets = maps.Clone(set.Targets)
		return &set
	}
}

// FuzzMetadata gives a target any bytes as each role's file. The target must not panic, and must
// believe only what was signed. It is slow, since go-tuf reads the JSON of a file several times and
// verifies signatures: that takes half a millisecond, and more while a fuzzer counts.
func FuzzMetadata(f *testing.F) {
	files, next := signedFiles(f)
	trusted := trustedBefore(f, files)
	for i, role := range Roles {
		f.Add(uint8(i), files[role])
		f.Add(uint8(i), bytes.ReplaceAll(files[role], []byte(`{"keyids"`), []byte(`null,"x":{"keyids"`)))
		f.Add(uint8(i), bytes.ReplaceAll(files[role], []byte(`"version":1`), []byte(`"version":2`)))
	}
	f.Add(uint8(0), next)
	f.Add(uint8(0), regexp.MustCompile(`"public":"[0-9a-f]{64}"`).ReplaceAll(files[metadata.ROOT], []byte(`"public":""`)))
	f.Add(uint8(1), []byte(`{"signed":{"_type":"targets","targets":{"a":null}},"signatures":[]}`))
	f.Fuzz(func(t *testing.T, n uint8, b []byte) {
		role := Roles[int(n)%len(Roles)]
		if wellFormed(b, role) != nil {
			return
		}
		var refusal *Refusal
		if err := bounded(b, role); err != nil && !errors.As(err, &refusal) {
			t.Errorf("bounded: %v", err)
		}
		judged := func(set *trustedmetadata.TrustedMetadata, err error) {
			t.Helper()
			var refusal *Refusal
			if err := judge(set, role, b, err); err != nil && (!errors.As(err, &refusal) || refusal.Role == "") {
				t.Errorf("a judgement about no role: %v", err)
			}
		}
		set := trusted(role)
		if role == metadata.ROOT {
			got, err := set.UpdateRoot(b)
			if err == nil && got.Signed.Version != 2 {
				t.Errorf("believed root %d", got.Signed.Version)
			}
			judged(set, err)
			_, err = newSet(b)
			judged(nil, err)
			return
		}
		if role == metadata.TIMESTAMP {
			for range 2 { // with no timestamp trusted before, and with one
				got, err := set.UpdateTimestamp(b)
				if err == nil && got.Signed.Version != 1 {
					t.Errorf("believed timestamp %d", got.Signed.Version)
				}
				judged(set, err)
				if set.Timestamp == nil {
					_, err = set.UpdateTimestamp(files[metadata.TIMESTAMP])
					judged(set, err)
				}
			}
			return
		}
		if role == metadata.SNAPSHOT {
			_, err := set.UpdateSnapshot(b, false)
			if err == nil && !bytes.Equal(b, files[role]) {
				t.Error("believed another snapshot")
			}
			judged(set, err)
			_, err = set.UpdateSnapshot(b, true)
			judged(set, err)
			return
		}
		_, err := set.UpdateTargets(b)
		if err == nil && !bytes.Equal(b, files[role]) {
			t.Error("believed other targets")
		}
		judged(set, err)
		if targets, err := metadata.Targets().FromBytes(b); err == nil {
			_, _, _ = listed(&targets.Signed)
		}
	})
}

var exampleRelease = `{"version":"2","serial":2,"file":{"blake3":"af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262","size":9},` +
	`"compatible":"board","minimum":"1","minimum_serial":1,"kernel_arguments":"quiet","notes":"n","channels":["stable"]}`

func TestExampleRelease(t *testing.T) {
	if _, err := parseRelease([]byte(exampleRelease)); err != nil {
		t.Fatal(err)
	}
}

// FuzzRelease demands that what parses as a release is the same after it is written and read again.
func FuzzRelease(f *testing.F) {
	f.Add([]byte(exampleRelease))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRelease(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseRelease(again)
		if err != nil || back.Version != r.Version || back.Serial != r.Serial || back.File != r.File || back.MinimumSerial != r.MinimumSerial {
			t.Errorf("%s became %s: %v", b, again, err)
		}
	})
}

// FuzzCatalog demands the same of catalogs.
func FuzzCatalog(f *testing.F) {
	c := catalog{Releases: []SignedRelease{{Version: "1", Serial: 1, File: mirror.ObjectOf([]byte("1"))}, {Version: "2", Serial: 4, File: mirror.ObjectOf([]byte("2"))}}}
	seed, err := c.marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCatalog(b)
		if err != nil {
			return
		}
		again, err := c.marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := parseCatalog(again)
		if err != nil || len(back.Releases) != len(c.Releases) || len(c.Releases) > 0 && !reflect.DeepEqual(back.Releases[0].File, c.Releases[0].File) {
			t.Errorf("%s became %s: %v", b, again, err)
		}
	})
}

// FuzzRecord gives a target any state.json.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"format":1,"root":2,"installed":"1","installed_serial":1,"insecure":"2030-01-01T00:00:00Z"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := parseRecord(b); err == nil && (r.Root < 0 || r.Format != recordFormat) {
			t.Errorf("%+v", r)
		}
	})
}

// FuzzLearnt gives a target any learnt.json.
func FuzzLearnt(f *testing.F) {
	f.Add([]byte(`{"format":1,"metadata_root":2,"release_root":1,"release_file":"-","claims":{"installed":"1","installed_serial":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := parseLearnt(b)
		if l.Metadata < 0 || l.Release < 0 || l != (learnt{}) && l.Format != learntFormat {
			t.Errorf("%+v", l)
		}
		again, err := json.Marshal(&l)
		if err != nil {
			t.Fatal(err)
		}
		if back := parseLearnt(again); back != l {
			t.Errorf("%s became %+v", again, back)
		}
	})
}
