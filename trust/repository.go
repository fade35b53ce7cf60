package trust

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"deltaup/mirror"
	"deltaup/mirror/client"
)

// Options say what a target trusts, and within what bounds.
type Options struct {
	Client *client.Client
	State  string // the target's state folder
	// Channel is the one whose newest release is wanted; "": another release is. Where metadata is
	// missing, its pointer, or that of stable, tells an unsigned mirror from a place without a
	// mirror.
	Channel string
	// Blockmap fetches the block map of that release in the same request, for a machine that is
	// likely to need it.
	Blockmap bool
	// Found is called, unless it is nil, when the channel turns out to have a new release, before
	// anything of that is fetched.
	Found func()
	Root  []byte // a root that the machine's owner vouches for; nil: the kept one
	// Grace is for how long after its expiry metadata is still accepted, as on a stick that
	// somebody wrote long ago.
	Grace time.Duration
	// Downgrade permits releases older than the installed one.
	Downgrade bool
	Now       func() time.Time // nil: time.Now
}

// Repository is the verified metadata of a mirror: what its publisher says now, as far as a target
// can know.
type Repository struct {
	o           Options
	state       *state
	set         *trustedmetadata.TrustedMetadata
	releases    []SignedRelease
	catalog     *catalog       // nil: not read yet
	catalogFile *mirror.Object // the catalog's id and size; nil: the mirror has none
	now         time.Time      // what this machine's clock said
	floor       time.Time      // when root or timestamp was signed, by the publisher's clock
	// why relearn could not read the catalog
	relearnErr error
	// what came in one request with all that the timestamp leads to
	bundle    mirror.Bundle
	bundleErr error // what is wrong with it
}

// Refresh reads what the publisher says now: newer roots, the timestamp, and snapshot and targets
// if they have changed. It verifies each file before it keeps it, and keeps it before it verifies
// the next. When nothing has changed it makes two requests, at once: for a newer root and for the
// timestamp. When the channel has a new release, it makes one more, for a bundle. Errors wrap those
// of this package or of the client.
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
	if err := s.load(); err != nil { // another process may have changed it
		return nil, err
	}
	r := &Repository{o: o, state: s, now: o.Now().UTC()}
	if err := r.openRoot(); err != nil {
		return nil, err
	}
	// It is judged by the newest root, and takes no part before its turn.
	defer o.Client.Ahead(ctx, mirror.TimestampPath, maxTimestamp)()
	for _, step := range []func(context.Context) error{
		r.followRoots, r.forget, r.timestamp, r.snapshot, r.targets, r.relearn,
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Newest gives a channel's newest release. Its error wraps ErrUnknown when there is no such
// channel.
func (r *Repository) Newest(channel string) (*SignedRelease, error) {
	for i := range r.releases {
		if slices.Contains(r.releases[i].Channels, channel) {
			return &r.releases[i], nil
		}
	}
	return nil, fmt.Errorf("channel %.140q: %w", channel, ErrUnknown)
}

// Find gives the release of a version, among all that were ever signed. It reads the catalog unless
// the release is some channel's newest. Its error wraps ErrUnknown when there is no such version.
func (r *Repository) Find(ctx context.Context, version string) (*SignedRelease, error) {
	for i := range r.releases {
		if r.releases[i].Version == version {
			return &r.releases[i], nil
		}
	}
	if err := r.readCatalog(ctx); err != nil {
		return nil, err
	}
	if found := r.catalog.find(version); found != nil {
		return found, nil
	}
	return nil, fmt.Errorf("version %.140q: %w", version, ErrUnknown)
}

// readCatalog reads the catalog once. A mirror without one counts as having an empty one.
func (r *Repository) readCatalog(ctx context.Context) error {
	if r.catalog != nil {
		return nil
	}
	if r.catalogFile == nil {
		r.catalog = &catalog{}
		return nil
	}
	name := mirror.CatalogPath(r.catalogFile.ID)
	b, err := r.o.Client.Fetch(ctx, name, *r.catalogFile, maxCatalog)
	if err != nil {
		return err
	}
	if r.catalog, err = parseCatalog(b); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Permit refuses two kinds of releases: with ErrDowngrade those older than the one that was
// installed last, unless the options permit them, and with ErrWithdrawn, in any case, those older
// than an installed release permits.
func (r *Repository) Permit(rel *SignedRelease) error {
	rec := &r.state.record
	switch {
	case rel.Serial < rec.MinimumSerial:
		return fmt.Errorf("release %s: %w: nothing older than %s is permitted here any more",
			rel.Version, ErrWithdrawn, rec.Minimum)
	case rel.Serial < rec.Serial && !r.o.Downgrade:
		return fmt.Errorf("release %s: %w: %s, which is newer, was installed here", rel.Version,
			ErrDowngrade, rec.Installed)
	}
	return nil
}

// Installed notes durably that a release was installed.
func (r *Repository) Installed(rel *SignedRelease) error {
	root := r.set.Root.Signed.Version
	err := r.state.change(func(rec *record, l *learnt) {
		rec.Installed, rec.Serial, l.File = rel.Version, rel.Serial, rel.File.ID
		if rel.MinimumSerial >= rec.MinimumSerial {
			rec.Minimum, rec.MinimumSerial = rel.Minimum, rel.MinimumSerial
			l.Release = root
		}
		// a minimum that stays was learnt under an earlier root, which then counts for all claims
		l.Release = min(l.Release, root)
	})
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	return nil
}
