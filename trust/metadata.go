package trust

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/mirror"
)

// The largest sizes of a role's files, in bytes. A reader allocates up to them.
const (
	maxRoot      = 64 << 10
	maxTimestamp = 16 << 10
	maxSnapshot  = 64 << 10
	maxTargets   = 1 << 20
)

// Roles are the names of all roles, each before those that it vouches for.
var Roles = []string{metadata.ROOT, metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP}

// maxRotations is how many new roots a target follows in one refresh.
const maxRotations = 256

// Members that deltaup adds to signed metadata, as TUF permits.
const (
	signedMember = "x-signed" // in root and timestamp: when it was signed
	// in root: for how many days the publisher's signatures hold, by role
	lifetimesMember = "x-lifetime-days"
	catalogMember   = "x-catalog" // in targets: the path of the catalog
	bundlesMember   = "x-bundles" // in timestamp: by channel, what its bundle has
)

// The names of other metadata in signed metadata.
const (
	snapshotName = metadata.SNAPSHOT + ".json"
	targetsName  = metadata.TARGETS + ".json"
)

// wellFormed checks a file from a mirror before go-tuf reads it, which panics over some malformed
// members: it follows pointers that they leave nil. The reader has bounded the file's size, and
// encoding/json bounds its depth. The error is a [Refusal].
func wellFormed(b []byte, role string) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return refuse(role, ErrMalformed, ": %v", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return refuse(role, ErrMalformed, ": more after its end")
	}
	if hasNull(v) {
		return refuse(role, ErrMalformed, ": null in it")
	}
	if role == metadata.ROOT {
		return wellFormedKeys(b)
	}
	refers := map[string]string{metadata.TIMESTAMP: snapshotName, metadata.SNAPSHOT: targetsName}[role]
	if refers == "" {
		return nil
	}
	var meta struct {
		Signed struct {
			Meta map[string]struct {
				Version int64
				Length  int64
				Hashes  map[string]string
			}
		}
	}
	if err := json.Unmarshal(b, &meta); err != nil {
		return refuse(role, ErrMalformed, ": %v", err)
	}
	m := meta.Signed.Meta[refers]
	if m.Version < 1 || m.Length < 1 || m.Hashes["sha256"] == "" {
		return refuse(role, ErrMalformed, ": it does not name version, length and SHA-256 of %s",
			refers)
	}
	return nil
}

// sound checks a file that is not yet trusted: it is wellFormed and bounded. The error is a
// [Refusal].
func sound(b []byte, role string) error {
	if err := wellFormed(b, role); err != nil {
		return err
	}
	return bounded(b, role)
}

// bounded checks the versions in a file, its own and those of other files, before anybody adds to
// them. Kept files need not pass, since earlier versions of this program trusted higher numbers.
// The error is a [Refusal].
func bounded(b []byte, role string) error {
	type numbered struct{ Version int64 }
	var file struct {
		Signed struct {
			Version int64
			Meta    map[string]numbered
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		return refuse(role, ErrMalformed, ": %v", err)
	}
	all := map[string]numbered{role: {file.Signed.Version}}
	maps.Copy(all, file.Signed.Meta)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if v := all[name].Version; v < 1 || v > maxNumber {
			return refuse(role, ErrMalformed, ": version %d of %.80q, from 1 to %d are possible", v,
				strings.TrimSuffix(name, ".json"), maxNumber)
		}
	}
	return nil
}

// wellFormedKeys checks the keys of a root, since crypto/ed25519 panics over a public key of
// another length.
func wellFormedKeys(b []byte) error {
	var root struct {
		Signed struct {
			Keys map[string]metadata.Key
		}
	}
	if err := json.Unmarshal(b, &root); err != nil {
		return refuse(metadata.ROOT, ErrMalformed, ": %v", err)
	}
	for id, key := range root.Signed.Keys {
		public, err := hex.DecodeString(key.Value.PublicKey)
		if key.Type == metadata.KeyTypeEd25519 &&
			(err != nil || len(public) != ed25519.PublicKeySize) {
			return refuse(metadata.ROOT, ErrMalformed, ": key %.80q is none of Ed25519", id)
		}
	}
	return nil
}

func hasNull(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		for _, e := range v {
			if hasNull(e) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if hasNull(e) {
				return true
			}
		}
	}
	return false
}

// signedAt reads when a root or a timestamp was signed: zero when it does not say, or says that it
// was signed after it expired.
func signedAt(members map[string]any, expires time.Time) time.Time {
	s, _ := members[signedMember].(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.After(expires) {
		return time.Time{}
	}
	return t
}

// metaFile describes a file of metadata by version, length and SHA-256.
func metaFile(version int64, b []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{
		Version: version,
		Length:  int64(len(b)),
		Hashes:  metadata.Hashes{"sha256": sum[:]},
	}
}

// targetFile describes a file of the mirror: custom holds what deltaup reads, the SHA-256 is for
// every other reader of TUF.
func targetFile(b []byte, custom any) (*metadata.TargetFiles, error) {
	sum := sha256.Sum256(b)
	raw, err := json.Marshal(custom)
	if err != nil {
		return nil, err
	}
	m := json.RawMessage(raw)
	return &metadata.TargetFiles{
		Length: int64(len(b)),
		Hashes: metadata.Hashes{"sha256": sum[:]},
		Custom: &m,
	}, nil
}

// customObject is the custom member of the catalog's target.
type customObject struct {
	File mirror.Object `json:"file"`
}

// listed reads the releases in targets metadata, and the id and size of the catalog: nil when there
// is none. The error wraps a [Refusal] or mirror.ErrName.
func listed(t *metadata.TargetsType) (releases []SignedRelease, cat *mirror.Object, err error) {
	catalogPath, _ := t.UnrecognizedFields[catalogMember].(string)
	for name, file := range t.Targets {
		if !fs.ValidPath(name) {
			return nil, nil, fmt.Errorf("target %.100q: %w", name, mirror.ErrName)
		}
		if file.Custom == nil {
			continue // no file of deltaup's
		}
		refused := func(err error) error {
			return fmt.Errorf("target %.100q: %w: %w", name,
				refuse(metadata.TARGETS, ErrMalformed, ""), err)
		}
		if name == catalogPath {
			var c customObject
			if err := decodeStrict(*file.Custom, &c); err != nil {
				return nil, nil, refused(err)
			}
			if mirror.CatalogPath(c.File.ID) != name || c.File.Size != file.Length {
				return nil, nil, refused(errMisnamed)
			}
			cat = &c.File
			continue
		}
		r, err := parseRelease(*file.Custom)
		if err != nil {
			return nil, nil, refused(err)
		}
		if mirror.ReleasePath(r.Version) != name || r.File.Size != file.Length {
			return nil, nil, refused(errMisnamed)
		}
		releases = append(releases, *r)
	}
	return releases, cat, nil
}

var errMisnamed = errors.New("it is not what it is named by")
