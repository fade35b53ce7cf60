package trust

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"deltaup/mirror"
)

// Options say what a target trusts, and how far.
type Options struct {
	Client *mirror.Client
	State  string // the target's state folder
	// Channel is the one whose pointer an unsigned mirror would have: without it too, there is no
	// mirror. Its default is stable.
	Channel string
	Root    []byte // a root that its owner vouches for; nil: what it has trusted before
	// Grace is how long after its expiry metadata is still accepted, as on a stick that was written
	// long ago.
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
	floor    time.Time      // when what is trusted was signed, by its publisher's clock
	// why what is remembered of installed releases was not held against the catalog
	unlearnt error
	rtt      time.Duration // that asking for the timestamp took
}

// RTT is how long the timestamp took to come, about a round trip to the mirror.
func (r *Repository) RTT() time.Duration { return r.rtt }

// Refresh reads what the publisher says now: newer roots, the timestamp, and what of snapshot and
// targets has changed. Each file is verified before it is kept, and kept before the next is asked
// for. When nothing has changed it asks twice: whether there is a newer root, and for the
// timestamp.
func Refresh(ctx context.Context, o Options) (*Repository, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Channel == "" {
		o.Channel = "stable"
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
	for _, step := range []func(context.Context) error{r.openRoot, r.followRoots, r.forget, r.timestamp, r.snapshot, r.targets, r.relearn} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return r, nil
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

// Find gives the release of a version, of all that were ever signed; for one that is no channel's
// newest it reads the catalog first.
func (r *Repository) Find(ctx context.Context, version string) (*Release, error) {
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

// readCatalog reads the catalog unless it was read. A mirror without one has an empty one.
func (r *Repository) readCatalog(ctx context.Context) error {
	if r.catalog != nil {
		return nil
	}
	if r.where == nil {
		r.catalog = &catalog{}
		return nil
	}
	name := mirror.CatalogPath(r.where.ID)
	b, err := r.o.Client.Fetch(ctx, name, *r.where, maxCatalog)
	if err != nil {
		return err
	}
	if r.catalog, err = parseCatalog(b); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// Permit refuses, with ErrDowngrade, a release that is older than the one that was installed last,
// unless the options permit it; and in any case, with ErrWithdrawn, one that is older than an
// installed release permits.
func (r *Repository) Permit(rel *Release) error {
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

// Installed remembers, durably, that a release was installed.
func (r *Repository) Installed(rel *Release) error {
	root := r.set.Root.Signed.Version
	err := r.state.change(func(rec *record, l *learnt) {
		rec.Installed, rec.Serial, l.File = rel.Version, rel.Serial, rel.File.ID
		if rel.MinimumSerial >= rec.MinimumSerial {
			rec.Minimum, rec.MinimumSerial = rel.Minimum, rel.MinimumSerial
			l.Release = root
		}
		// under which the minimum was learnt that stays, if that was earlier
		l.Release = min(l.Release, root)
	})
	if err != nil {
		return fmt.Errorf("state folder: %w", err)
	}
	return nil
}
