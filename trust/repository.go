package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"deltaup/mirror"
)

// clockSkew is how far behind the publisher's clock a target's may be and still be believed.
const clockSkew = 10 * time.Minute

// Options say what a target trusts, and how far.
type Options struct {
	Client *mirror.Client
	State  string // the target's state folder
	Root   []byte // a root that its owner vouches for; nil: what it has trusted before
	// Grace is how long after its expiry metadata is still accepted, as on a stick that was written long ago.
	Grace time.Duration
	// Downgrade permits releases older than the one that was installed.
	Downgrade bool
	Now       func() time.Time // nil: time.Now
}

// Repository is what a mirror's publisher says at this moment, as far as a target can know.
type Repository struct {
	o        Options
	state    *state
	set      *trustedmetadata.TrustedMetadata
	releases []Release
	catalog  *catalog       // nil: not read
	where    *mirror.Object // of the catalog
	now      time.Time      // by this machine's clock
	floor    time.Time      // the newest signed time that was ever trusted
	rtt      time.Duration  // that asking for the timestamp took
}

// RTT is how long the timestamp took to come, about a round trip to the mirror.
func (r *Repository) RTT() time.Duration { return r.rtt }

// Refresh reads what the publisher says now: newer roots, the timestamp, and what of snapshot and targets has
// changed. Each file is verified before it is kept, and kept before the next is asked for. When nothing has
// changed it asks twice: whether there is a newer root, and for the timestamp.
func Refresh(ctx context.Context, o Options) (*Repository, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s, err := openState(o.State)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	unlock, err := s.lock()
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	defer unlock()
	if err := s.load(); err != nil { // another process may have been at work
		return nil, err
	}
	r := &Repository{o: o, state: s, now: o.Now().UTC()}
	for _, step := range []func(context.Context) error{r.openRoot, r.followRoots, r.timestamp, r.snapshot, r.targets} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// openRoot finds the root to begin with.
func (r *Repository) openRoot(context.Context) error {
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
		if kept == nil || version > s.record.Root { // its owner knows more than this machine
			r.set = set
			return r.keepRoot(r.o.Root)
		}
		// Roots before the first that this machine was given are not there to compare with.
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
	if err := wellFormed(root, metadata.ROOT); err != nil {
		return nil, err
	}
	set, err := trustedmetadata.New(root)
	return set, verdict(err)
}

// keepRoot makes the newest root durable, then the note that it is the newest.
func (r *Repository) keepRoot(b []byte) error {
	version := r.set.Root.Signed.Version
	if err := r.state.write(rootName(version), b); err != nil {
		return err
	}
	r.state.record.Root = version
	return r.state.save()
}

// followRoots follows the publisher's roots to the newest.
func (r *Repository) followRoots(ctx context.Context) error {
	for range maxRotations {
		var file []byte
		err := r.fetch(ctx, metadata.ROOT, mirror.MetadataPath(metadata.ROOT, r.set.Root.Signed.Version+1), maxRoot, func(b []byte) error {
			file = b
			_, err := r.set.UpdateRoot(b)
			return verdict(err)
		})
		if errors.Is(err, mirror.ErrMissing) {
			r.floor = signedAt(r.set.Root.Signed.UnrecognizedFields)
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.keepRoot(file); err != nil {
			return err
		}
	}
	return fmt.Errorf("more than %d new roots: %w", maxRotations, ErrMalformed)
}

// fetch reads a file that verify judges. Its error names the file and says what is wrong with it; where several mirrors
// were asked, what was wrong with the last.
func (r *Repository) fetch(ctx context.Context, role, name string, limit int64, verify func([]byte) error) error {
	var refused error
	err := r.o.Client.FetchLatest(ctx, name, limit, func(b []byte) error {
		if refused = wellFormed(b, role); refused == nil {
			refused = verify(b)
		}
		return refused
	})
	if err != nil && refused != nil && errors.Is(err, refused) {
		return fmt.Errorf("%s: %w", name, refused)
	}
	return err
}

// trusts sets the time by which expiry is judged: what the clock says, but never before what was once signed.
func (r *Repository) trusts(floor time.Time) {
	if floor.After(r.floor) {
		r.floor = floor
	}
	ref := r.now
	if r.floor.After(ref) {
		ref = r.floor
	}
	r.set.RefTime = ref.Add(-r.o.Grace)
}

// timestamp reads the timestamp, against the one that was trusted last.
func (r *Repository) timestamp(ctx context.Context) error {
	r.trusts(r.floor)
	if r.set.Root.Signed.IsExpired(r.set.RefTime) {
		return r.expired("the root", r.set.Root.Signed.Expires)
	}
	kept, err := r.state.read(timestampFile, maxTimestamp)
	if err != nil {
		return err
	}
	if kept != nil && wellFormed(kept, metadata.TIMESTAMP) == nil {
		// An error means that it has expired, and still counts, or that its keys were replaced, and it does not.
		_, _ = r.set.UpdateTimestamp(kept)
		if r.set.Timestamp != nil {
			r.trusts(signedAt(r.set.Timestamp.Signed.UnrecognizedFields))
		}
	}
	var file []byte
	start := time.Now()
	err = r.fetch(ctx, metadata.TIMESTAMP, mirror.TimestampPath, maxTimestamp, func(b []byte) error {
		before := r.set.Timestamp
		_, err := r.set.UpdateTimestamp(b)
		if errors.Is(err, &metadata.ErrEqualVersionNumber{}) {
			err = nil
		}
		if r.set.Timestamp != before {
			file = b
			r.trusts(signedAt(r.set.Timestamp.Signed.UnrecognizedFields))
		}
		if err == nil && r.set.Timestamp.Signed.IsExpired(r.set.RefTime) || errors.Is(err, &metadata.ErrExpiredMetadata{}) {
			return r.expired("", r.set.Timestamp.Signed.Expires)
		}
		return verdict(err)
	})
	r.rtt = time.Since(start)
	if errors.Is(err, mirror.ErrMissing) {
		return fmt.Errorf("%w: it has no %s", ErrUnsigned, mirror.TimestampPath)
	}
	if file != nil { // an expired one, too: nothing older will be trusted after it
		err = errors.Join(err, r.state.write(timestampFile, file))
	}
	return err
}

// The names of kept files.
const (
	timestampFile = "timestamp.json"
	snapshotFile  = "snapshot.json"
	targetsFile   = "targets.json"
)

// expired says since when nobody has vouched for what.
func (r *Repository) expired(what string, at time.Time) error {
	if what != "" {
		what += ": "
	}
	if now := r.set.RefTime.Add(r.o.Grace); now.After(r.now) {
		return fmt.Errorf("%s%w on %s, and it was later than that when the publisher signed what was trusted last", what, ErrExpired, day(at))
	}
	if r.o.Grace > 0 {
		return fmt.Errorf("%s%w on %s, longer ago than is accepted; by this machine's clock it is %s", what, ErrExpired, day(at), day(r.now))
	}
	return fmt.Errorf("%s%w on %s; by this machine's clock it is %s", what, ErrExpired, day(at), day(r.now))
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") }

// snapshot takes the kept snapshot when the timestamp still names it, and the mirror's otherwise.
func (r *Repository) snapshot(ctx context.Context) error {
	kept, err := r.state.read(snapshotFile, maxSnapshot)
	if err != nil {
		return err
	}
	if kept != nil && wellFormed(kept, metadata.SNAPSHOT) == nil {
		// An error means that there is a newer one, against which it is still held, or that its keys were replaced.
		if _, err := r.set.UpdateSnapshot(kept, true); err == nil {
			return nil
		}
	}
	want := r.set.Timestamp.Signed.Meta[snapshotName]
	var file []byte
	err = r.fetch(ctx, metadata.SNAPSHOT, mirror.MetadataPath(metadata.SNAPSHOT, want.Version), min(want.Length, maxSnapshot), func(b []byte) error {
		_, err := r.set.UpdateSnapshot(b, false)
		if errors.Is(err, &metadata.ErrExpiredMetadata{}) && r.set.Snapshot != nil {
			return r.expired("", r.set.Snapshot.Signed.Expires)
		}
		file = b
		return verdict(err)
	})
	if err != nil {
		return err
	}
	return r.state.write(snapshotFile, file)
}

// targets takes the kept targets when the snapshot still names them, and the mirror's otherwise.
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
	err = r.fetch(ctx, metadata.TARGETS, mirror.MetadataPath(metadata.TARGETS, want.Version), min(want.Length, maxTargets), func(b []byte) error {
		file = b
		_, err := r.set.UpdateTargets(b)
		return verdict(err)
	})
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
	if r.releases, r.where, err = listed(&r.set.Targets[metadata.TARGETS].Signed); err != nil {
		return fmt.Errorf("signed targets: %w", err)
	}
	return nil
}

// Newest gives a channel's newest release.
func (r *Repository) Newest(channel string) (*Release, error) {
	for i := range r.releases {
		if slices.Contains(r.releases[i].Channels, channel) {
			return &r.releases[i], nil
		}
	}
	return nil, fmt.Errorf("channel %.140q: %w", channel, ErrUnknown)
}

// Find gives the release of a version, of all that were ever signed; for one that is no channel's newest it reads the
// catalog first.
func (r *Repository) Find(ctx context.Context, version string) (*Release, error) {
	for i := range r.releases {
		if r.releases[i].Version == version {
			return &r.releases[i], nil
		}
	}
	if r.catalog == nil && r.where != nil {
		name := mirror.CatalogPath(r.where.ID)
		b, err := r.o.Client.Fetch(ctx, name, *r.where, maxCatalog)
		if err != nil {
			return nil, err
		}
		if r.catalog, err = parseCatalog(b); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if r.catalog != nil {
		if found := r.catalog.find(version); found != nil {
			return found, nil
		}
	}
	return nil, fmt.Errorf("version %.140q: %w", version, ErrUnknown)
}

// Permit refuses, with ErrDowngrade, a release that is older than the one that was installed last, unless the options
// permit it, and in any case one that is older than an installed release permits.
func (r *Repository) Permit(rel *Release) error {
	rec := &r.state.record
	switch {
	case rel.Serial < rec.MinimumSerial:
		return fmt.Errorf("release %s: %w: nothing older than %s is permitted here any more", rel.Version, ErrDowngrade, rec.Minimum)
	case rel.Serial < rec.Serial && !r.o.Downgrade:
		return fmt.Errorf("release %s: %w: %s, which is newer, was installed here", rel.Version, ErrDowngrade, rec.Installed)
	}
	return nil
}

// Installed remembers, durably, that a release was installed.
func (r *Repository) Installed(rel *Release) error {
	err := r.state.change(func(rec *record) {
		rec.Installed, rec.Serial = rel.Version, rel.Serial
		if rel.MinimumSerial > rec.MinimumSerial {
			rec.Minimum, rec.MinimumSerial = rel.Minimum, rel.MinimumSerial
		}
	})
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	return nil
}

// Warnings tells what of this machine's trust is not proven.
func (r *Repository) Warnings() []string {
	var all []string
	if r.now.Add(clockSkew).Before(r.floor) {
		all = append(all, fmt.Sprintf("freshness is unproven: this machine's clock says %s, and the publisher signed at %s; a mirror that hides newer releases would not be noticed",
			day(r.now), day(r.floor)))
	}
	ref := r.set.RefTime.Add(r.o.Grace)
	for _, m := range []struct {
		role    string
		expires time.Time
	}{
		{metadata.ROOT, r.set.Root.Signed.Expires},
		{metadata.TIMESTAMP, r.set.Timestamp.Signed.Expires},
		{metadata.SNAPSHOT, r.set.Snapshot.Signed.Expires},
		{metadata.TARGETS, r.set.Targets[metadata.TARGETS].Signed.Expires},
	} {
		if ref.After(m.expires) {
			all = append(all, fmt.Sprintf("the signed %s expired on %s and is accepted all the same, as was asked for", m.role, day(m.expires)))
		}
	}
	return all
}

// readTimes reads from kept metadata when what was trusted last was signed, and when it expires.
func readTimes(dir string, root int64) (signed, expires time.Time, err error) {
	s := &state{dir: dir}
	if root > 0 {
		b, err := s.read(rootName(root), maxRoot)
		if err != nil || b == nil {
			return signed, expires, errors.Join(err, os.ErrNotExist)
		}
		m, err := metadata.Root().FromBytes(b)
		if err != nil {
			return signed, expires, err
		}
		signed = signedAt(m.Signed.UnrecognizedFields)
	}
	b, err := s.read(timestampFile, maxTimestamp)
	if err != nil || b == nil {
		return signed, expires, err
	}
	m, err := metadata.Timestamp().FromBytes(b)
	if err != nil {
		return signed, expires, err
	}
	if at := signedAt(m.Signed.UnrecognizedFields); at.After(signed) {
		signed = at
	}
	return signed, m.Signed.Expires, nil
}
