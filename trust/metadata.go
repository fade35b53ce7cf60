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
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/mirror"
)

// Sizes, in bytes, that no file of a role may exceed; a reader allocates up to them.
const (
	maxRoot      = 64 << 10
	maxTimestamp = 16 << 10
	maxSnapshot  = 64 << 10
	maxTargets   = 1 << 20
)

// maxRotations is how many new roots a target follows in one refresh.
const maxRotations = 256

// Members of our own in signed metadata, which TUF lets everybody add.
const (
	signedMember    = "x-signed"        // of root and timestamp: when it was signed
	lifetimesMember = "x-lifetime-days" // of root: how long the publisher's signatures hold, by role
	catalogMember   = "x-catalog"       // of targets: which target is the catalog
)

// The names by which signed metadata calls other metadata.
const (
	snapshotName = metadata.SNAPSHOT + ".json"
	targetsName  = metadata.TARGETS + ".json"
)

// wellFormed looks at what comes from a mirror before go-tuf does, which takes some malformed members for pointers that it follows.
// Neither its size nor its depth is of concern here: both are bounded, by the reader and by encoding/json.
func wellFormed(b []byte, role string) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("%w: more after its end", ErrMalformed)
	}
	if hasNull(v) {
		return fmt.Errorf("%w: null in it", ErrMalformed)
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
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	m := meta.Signed.Meta[refers]
	if m.Version < 1 || m.Length < 1 || m.Hashes["sha256"] == "" {
		return fmt.Errorf("%w: it does not name version, length and SHA-256 of %s", ErrMalformed, refers)
	}
	return nil
}

// wellFormedKeys looks at the keys of a root: crypto/ed25519 panics over a public key of another length.
func wellFormedKeys(b []byte) error {
	var root struct {
		Signed struct {
			Keys map[string]metadata.Key
		}
	}
	if err := json.Unmarshal(b, &root); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for id, key := range root.Signed.Keys {
		public, err := hex.DecodeString(key.Value.PublicKey)
		if key.Type == metadata.KeyTypeEd25519 && (err != nil || len(public) != ed25519.PublicKeySize) {
			return fmt.Errorf("%w: key %.80q is none of Ed25519", ErrMalformed, id)
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

// verdict puts go-tuf's judgement of a file in the words of this package.
func verdict(err error) error {
	says := func(is error) error { return fmt.Errorf("%w: %w", is, err) }
	switch {
	case err == nil, errors.Is(err, ErrMalformed):
		return err
	case errors.Is(err, &metadata.ErrExpiredMetadata{}):
		return says(ErrExpired)
	case errors.Is(err, &metadata.ErrUnsignedMetadata{}):
		return says(ErrSignature)
	case errors.Is(err, &metadata.ErrBadVersionNumber{}):
		return says(ErrRollback)
	case errors.Is(err, &metadata.ErrLengthOrHashMismatch{}):
		return says(ErrMixed)
	case errors.Is(err, &metadata.ErrRepository{}):
		return says(ErrRollback) // a snapshot without a file that an earlier one had
	}
	return says(ErrMalformed)
}

// signedAt reads when a root or a timestamp was signed; zero when it does not say.
func signedAt(members map[string]any) time.Time {
	s, _ := members[signedMember].(string)
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t
}

// metaFile names a file of metadata by version, length and hash.
func metaFile(version int64, b []byte) *metadata.MetaFiles {
	sum := sha256.Sum256(b)
	return &metadata.MetaFiles{Version: version, Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

// targetFile names a file of the mirror, for us by BLAKE3 and for every other reader of TUF by SHA-256.
func targetFile(b []byte, custom any) (*metadata.TargetFiles, error) {
	sum := sha256.Sum256(b)
	raw, err := json.Marshal(custom)
	if err != nil {
		return nil, err
	}
	m := json.RawMessage(raw)
	return &metadata.TargetFiles{Length: int64(len(b)), Hashes: metadata.Hashes{"sha256": sum[:]}, Custom: &m}, nil
}

// customObject is the custom member of the catalog's target.
type customObject struct {
	File mirror.Object `json:"file"`
}

// listed reads the releases that targets metadata lists, and where the catalog is.
func listed(t *metadata.TargetsType) (releases []Release, cat *mirror.Object, err error) {
	catalogPath, _ := t.UnrecognizedFields[catalogMember].(string)
	for name, file := range t.Targets {
		if file.Custom == nil {
			continue // of no concern to us
		}
		if name == catalogPath {
			var c customObject
			if err := decodeStrict(*file.Custom, &c); err != nil {
				return nil, nil, fmt.Errorf("target %.100q: %w: %w", name, ErrMalformed, err)
			}
			if mirror.CatalogPath(c.File.ID) != name || c.File.Size != file.Length {
				return nil, nil, fmt.Errorf("target %.100q: %w: it is not what it is named by", name, ErrMalformed)
			}
			cat = &c.File
			continue
		}
		r, err := parseRelease(*file.Custom)
		if err != nil {
			return nil, nil, fmt.Errorf("target %.100q: %w: %w", name, ErrMalformed, err)
		}
		if mirror.ReleasePath(r.Version) != name || r.File.Size != file.Length {
			return nil, nil, fmt.Errorf("target %.100q: %w: it is not what it is named by", name, ErrMalformed)
		}
		releases = append(releases, *r)
	}
	return releases, cat, nil
}
