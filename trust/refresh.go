package trust

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"deltaup/chunkstore"
	"deltaup/mirror"
	"deltaup/mirror/client"
)

// The names of kept files in stateDir.
const (
	timestampFile = "timestamp.json"
	snapshotFile  = "snapshot.json"
	targetsFile   = "targets.json"
)

// openRoot begins with the root that the options give or with the kept one, whichever is newer.
func (r *Repository) openRoot() error {
	s := r.state
	var kept []byte
	if s.record.Root > 0 {
		var err error
		if kept, err = s.read(rootName(s.record.Root), maxRoot); err != nil {
			return err
		}
	}
	if r.o.Root != nil {
		set, err := newSet(r.o.Root)
		if err != nil {
			return fmt.Errorf("the root that was given: %w", err)
		}
		version := set.Root.Signed.Version
		if kept == nil || version > s.record.Root { // the options know more than the state folder
			r.set = set
			return r.keepRoot(r.o.Root)
		}
		// The state folder has no root from before the first one that this machine was given.
		same, err := s.read(rootName(version), maxRoot)
		if err != nil {
			return err
		}
		if !bytes.Equal(same, r.o.Root) {
			return fmt.Errorf("%w: what was given is not its root %d", ErrOtherRoot, version)
		}
	}
	if kept == nil {
		return fmt.Errorf("%w: nothing says which publisher this machine trusts", ErrNoRoot)
	}
	set, err := newSet(kept)
	if err != nil {
		return fmt.Errorf("%s: %w", s.path(rootName(s.record.Root)), err)
	}
	r.set = set
	return nil
}

func newSet(root []byte) (*trustedmetadata.TrustedMetadata, error) {
	if err := sound(root, metadata.ROOT); err != nil {
		return nil, err
	}
	set, err := trustedmetadata.New(root)
	return set, judge(nil, metadata.ROOT, root, err)
}

// keepRoot writes the newest root durably, then the note that it is the newest.
func (r *Repository) keepRoot(b []byte) error {
	version := r.set.Root.Signed.Version
	if err := r.state.write(rootName(version), b); err != nil {
		return err
	}
	r.state.record.Root = version
	return r.state.save()
}

// followRoots reads root after root, each signed by the one before it, up to the newest.
func (r *Repository) followRoots(ctx context.Context) error {
	for range maxRotations {
		var file []byte
		err := r.fetch(
			ctx,
			metadata.ROOT,
			mirror.MetadataPath(metadata.ROOT, r.set.Root.Signed.Version+1),
			maxRoot,
			func(b []byte) error {
				file = b
				_, err := r.set.UpdateRoot(b)
				return judge(r.set, metadata.ROOT, b, err)
			},
		)
		// When a mirror hides a root, the old root's timestamp expires.
		if errors.Is(err, client.ErrMissing) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.keepRoot(file); err != nil {
			return err
		}
	}
	return refuse(metadata.ROOT, ErrMalformed, ": more than %d new roots", maxRotations)
}

// fetch reads a file, out of the bundle or from the mirror, and has verify judge it. Its error
// names the file and says what is wrong with it; where it asked several mirrors, what is wrong with
// the last one's.
func (r *Repository) fetch(ctx context.Context, role, name string, limit int64,
	verify func([]byte) error) error {
	var refused error
	if b := r.bundle.Get(name); b != nil && sound(b, role) == nil && verify(b) == nil {
		return nil
	}
	get := r.o.Client.FetchLatest
	if role == metadata.ROOT { // the next root exists only when the publisher has changed something
		get = r.o.Client.FetchOptional
	}
	err := get(ctx, name, limit, func(b []byte) error {
		if refused = sound(b, role); refused == nil {
			refused = verify(b)
		}
		return refused
	})
	if errors.Is(err, client.ErrPage) {
		return &pageError{err, refuse(role, ErrMalformed, "")}
	}
	if err != nil && refused != nil && errors.Is(err, refused) {
		return fmt.Errorf("%s: %w", name, refused)
	}
	return err
}

// timestamp reads the timestamp, which must not be older than the kept one.
func (r *Repository) timestamp(ctx context.Context) error {
	r.judgeBy(nil)
	if err := r.rootExpired(); err != nil {
		return err
	}
	kept, err := r.state.read(timestampFile, maxTimestamp)
	if err != nil {
		return err
	}
	if kept != nil && wellFormed(kept, metadata.TIMESTAMP) == nil {
		// Either the kept timestamp has expired, and its version counts all the same, or its keys
		// were replaced, and it does not count.
		_, _ = r.set.UpdateTimestamp(kept)
	}
	var file []byte
	err = r.fetch(
		ctx,
		metadata.TIMESTAMP,
		mirror.TimestampPath,
		maxTimestamp,
		func(b []byte) error {
			before := r.set.Timestamp
			r.judgeBy(nil) // the kept timestamp's signed time does not count for a newer one
			_, err := r.set.UpdateTimestamp(b)
			if r.set.Timestamp != before {
				file = b
			}
			r.judgeBy(r.set.Timestamp)
			switch {
			case errors.Is(err, &metadata.ErrEqualVersionNumber{}),
				errors.Is(err, &metadata.ErrExpiredMetadata{}):
			case err != nil:
				return judge(r.set, metadata.TIMESTAMP, b, err)
			}
			if r.set.Timestamp.Signed.IsExpired(r.set.RefTime) {
				return r.expired(metadata.TIMESTAMP, r.set.Timestamp.Signed.Expires)
			}
			return nil
		},
	)
	if errors.Is(err, client.ErrMissing) {
		return r.noTimestamp(ctx)
	}
	if file != nil { // keep even an expired one, so that nothing older is trusted after it
		err = errors.Join(err, r.state.write(timestampFile, file))
	}
	if err == nil {
		err = r.rootExpired() // with the timestamp's signed time
	}
	return err
}

// noTimestamp is the error for a mirror without a timestamp. It is unsigned only if it has the
// channel's pointer, in whatever state.
func (r *Repository) noTimestamp(ctx context.Context) error {
	_, err := r.o.Client.Pointer(ctx, cmp.Or(r.o.Channel, "stable"))
	damaged := errors.Is(err, mirror.ErrDamaged) && !errors.Is(err, client.ErrPage)
	if err == nil || damaged || errors.Is(err, chunkstore.ErrVersion) {
		return fmt.Errorf("%w: it has no %s", ErrUnsigned, mirror.TimestampPath)
	}
	return err
}

// snapshot takes the kept snapshot if the timestamp still names it, otherwise the mirror's.
func (r *Repository) snapshot(ctx context.Context) error {
	kept, err := r.state.read(snapshotFile, maxSnapshot)
	if err != nil {
		return err
	}
	if kept != nil && wellFormed(kept, metadata.SNAPSHOT) == nil {
		// Either there is a newer snapshot, which must not be older than the kept one in any
		// version, or the keys were replaced, and the kept one does not count.
		if _, err := r.set.UpdateSnapshot(kept, true); err == nil {
			return nil
		}
	}
	r.fetchBundle(ctx)
	want := r.set.Timestamp.Signed.Meta[snapshotName]
	var file []byte
	err = r.fetch(
		ctx,
		metadata.SNAPSHOT,
		mirror.MetadataPath(metadata.SNAPSHOT, want.Version),
		min(want.Length, maxSnapshot),
		func(b []byte) error {
			_, err := r.set.UpdateSnapshot(b, false)
			if errors.Is(err, &metadata.ErrExpiredMetadata{}) && r.set.Snapshot != nil {
				return r.expired(metadata.SNAPSHOT, r.set.Snapshot.Signed.Expires)
			}
			file = b
			return judge(r.set, metadata.SNAPSHOT, b, err)
		},
	)
	if err != nil {
		return err
	}
	return r.state.write(snapshotFile, file)
}

// targets takes the kept targets if the snapshot still names them, otherwise the mirror's.
func (r *Repository) targets(ctx context.Context) error {
	kept, err := r.state.read(targetsFile, maxTargets)
	if err != nil {
		return err
	}
	if kept != nil && wellFormed(kept, metadata.TARGETS) == nil {
		if _, err := r.set.UpdateTargets(kept); err == nil {
			return r.list()
		}
	}
	want := r.set.Snapshot.Signed.Meta[targetsName]
	var file []byte
	err = r.fetch(
		ctx,
		metadata.TARGETS,
		mirror.MetadataPath(metadata.TARGETS, want.Version),
		min(want.Length, maxTargets),
		func(b []byte) error {
			file = b
			_, err := r.set.UpdateTargets(b)
			if errors.Is(err, &metadata.ErrExpiredMetadata{}) {
				if m, wrong := metadata.Targets().FromBytes(b); wrong == nil {
					return r.expired(metadata.TARGETS, m.Signed.Expires)
				}
			}
			return judge(r.set, metadata.TARGETS, b, err)
		},
	)
	if err != nil {
		return err
	}
	if err := r.state.write(targetsFile, file); err != nil {
		return err
	}
	return r.list()
}

func (r *Repository) list() error {
	var err error
	if r.releases, r.catalogFile, err = listed(&r.set.Targets[metadata.TARGETS].Signed); err != nil {
		return fmt.Errorf("signed targets: %w", err)
	}
	return nil
}
