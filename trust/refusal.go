package trust

import (
	"errors"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// Refusal is the error for a file of signed metadata that is not believed. It wraps one of this
// package's errors.
type Refusal struct {
	// Role is the role that the refusal is about. It is the file's role, or that of another file
	// that it names wrongly: a timestamp that names an older snapshot is refused for the role
	// snapshot.
	Role  string
	cause error
	text  string
}

func (r *Refusal) Error() string { return r.text }
func (r *Refusal) Unwrap() error { return r.cause }

// refuse makes a Refusal that wraps cause. Its text is cause's, followed by the formatted text.
func refuse(role string, cause error, format string, args ...any) *Refusal {
	return &Refusal{Role: role, cause: cause, text: cause.Error() + fmt.Sprintf(format, args...)}
}

// pageError says that a web page came instead of metadata. Its text is that of error alone.
type pageError struct {
	error
	refusal *Refusal
}

func (e *pageError) Unwrap() []error { return []error{e.error, e.refusal} }

// judge turns go-tuf's error about a file into an error of this package, as precisely as the file
// permits. b is the file; set is what was trusted when go-tuf refused it, or nil when b was to be
// the first root.
func judge(set *trustedmetadata.TrustedMetadata, role string, b []byte, err error) error {
	var known *Refusal
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case errors.Is(err, &metadata.ErrLengthOrHashMismatch{}):
		return refuse(role, ErrMixed, ": its length or its hash is another")
	}
	file, wrong := decode(role, b)
	if wrong != nil {
		return refuse(role, ErrMalformed, ": %v", wrong)
	}
	switch {
	case errors.Is(err, &metadata.ErrUnsignedMetadata{}):
		return judgeSignatures(set, role, file)
	case errors.Is(err, &metadata.ErrExpiredMetadata{}):
		return refuse(role, ErrExpired, "")
	case errors.Is(err, &metadata.ErrBadVersionNumber{}):
		return judgeVersion(set, file)
	}
	return refuse(role, ErrMalformed, ": %v", err)
}

// decode decodes a role's metadata without verifying it.
func decode(role string, b []byte) (any, error) {
	switch role {
	case metadata.ROOT:
		return metadata.Root().FromBytes(b)
	case metadata.TARGETS:
		return metadata.Targets().FromBytes(b)
	case metadata.SNAPSHOT:
		return metadata.Snapshot().FromBytes(b)
	}
	return metadata.Timestamp().FromBytes(b)
}

// judgeSignatures tells a file that none of the publisher's keys has signed from one that too few
// have signed.
func judgeSignatures(set *trustedmetadata.TrustedMetadata, role string, file any) error {
	root, own := (*metadata.Metadata[metadata.RootType])(nil), false
	if set != nil {
		root = set.Root
	}
	if next, ok := file.(*metadata.Metadata[metadata.RootType]); ok &&
		(root == nil || root.VerifyDelegate(role, next) == nil) {
		root, own = next, true
	}
	r := root.Signed.Roles[role]
	n := signatures(root, role, file)
	wants := fmt.Sprintf("root %d asks for %d of %d keys of role %s", root.Signed.Version,
		r.Threshold, len(r.KeyIDs), role)
	switch {
	case own:
		return refuse(role, ErrRootKeys, ": by %d, and %s", n, wants)
	case n == 0:
		return refuse(role, ErrSignature, ": %s", wants)
	}
	return refuse(role, ErrThreshold, ": by %d, and %s", n, wants)
}

// signatures counts the keys of a role that have signed a file.
func signatures(root *metadata.Metadata[metadata.RootType], role string, file any) int {
	r := root.Signed.Roles[role]
	for n := range r.KeyIDs {
		probe := *root
		probe.Signed.Roles = map[string]*metadata.Role{role: {KeyIDs: r.KeyIDs, Threshold: n + 1}}
		if probe.VerifyDelegate(role, file) != nil {
			return n
		}
	}
	return len(r.KeyIDs)
}

// judgeVersion finds out which version is wrong. A version that differs from the one that other
// metadata names, without being older than what was trusted, is no rollback.
func judgeVersion(set *trustedmetadata.TrustedMetadata, file any) error {
	switch m := file.(type) {
	case *metadata.Metadata[metadata.RootType]:
		if trusted := set.Root.Signed.Version; m.Signed.Version <= trusted {
			return refuse(metadata.ROOT, ErrRollback, ": it is root %d, and %d is trusted",
				m.Signed.Version, trusted)
		}
		return refuse(metadata.ROOT, ErrMixed, ": it is root %d, and %d follows",
			m.Signed.Version, set.Root.Signed.Version+1)
	case *metadata.Metadata[metadata.TimestampType]:
		trusted := &set.Timestamp.Signed
		if m.Signed.Version < trusted.Version {
			return refuse(metadata.TIMESTAMP, ErrRollback,
				": it is timestamp %d, and %d was trusted", m.Signed.Version, trusted.Version)
		}
		return refuse(metadata.SNAPSHOT, ErrRollback, ": it names snapshot %d, and %d was trusted",
			m.Signed.Meta[snapshotName].Version, trusted.Meta[snapshotName].Version)
	case *metadata.Metadata[metadata.SnapshotType]:
		names := m.Signed.Meta[targetsName].Version
		trusted := set.Snapshot.Signed.Meta[targetsName].Version
		if names < trusted {
			return refuse(metadata.TARGETS, ErrRollback,
				": it names targets %d, and %d was trusted", names, trusted)
		}
		return refuse(metadata.SNAPSHOT, ErrMixed, ": it is snapshot %d, and the timestamp names %d",
			m.Signed.Version, set.Timestamp.Signed.Meta[snapshotName].Version)
	case *metadata.Metadata[metadata.TargetsType]:
		return refuse(metadata.TARGETS, ErrMixed, ": it is targets %d, and the snapshot names %d",
			m.Signed.Version, set.Snapshot.Signed.Meta[targetsName].Version)
	}
	return refuse("", ErrMalformed, "")
}
