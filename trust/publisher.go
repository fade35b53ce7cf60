//go:build !target

package trust

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/mirror"
)

// PublisherOptions say which mirror to sign, with which keys and by which clock.
type PublisherOptions struct {
	Mirror      mirror.Store
	Keys        []string // folders of private keys; the first gets new ones
	Passphrases Passphrases
	Now         func() time.Time // nil: time.Now
	// AnyClock permits a clock that ErrClock would refuse, once somebody has made sure that it is
	// right.
	AnyClock bool
}

// Publisher signs one mirror, which its methods change. The caller holds the mirror's lock
// as it does in the Seal of package publish. One goroutine uses it.
type Publisher struct {
	o    PublisherOptions
	ring *keyRing

	// The mirror's metadata, verified with the root beside the keys and those that follow it. The
	// last of roots is the newest; at most one comes before it.
	roots     []*metadata.Metadata[metadata.RootType]
	targets   *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]
	catalog   *catalog
	// snapshot and targets as they lie on the mirror
	files mirror.Bundle
}

// OpenPublisher reads the mirror's metadata. It fails unless all of it was signed with the mirror's
// keys. It does not open any private key.
func OpenPublisher(ctx context.Context, o PublisherOptions) (*Publisher, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Keys) == 0 {
		return nil, fmt.Errorf("no folder of keys: %w", ErrKeys)
	}
	p := &Publisher{o: o, ring: newKeyRing(o.Keys, o.Passphrases)}
	if err := p.Reload(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// Reload reads the mirror again, since another publisher may have signed something. Open keys stay
// open.
func (p *Publisher) Reload(ctx context.Context) error {
	fresh := &Publisher{o: p.o, ring: p.ring}
	if err := fresh.load(ctx); err != nil {
		return fmt.Errorf("signed metadata of %s: %w", p.o.Mirror, err)
	}
	*p = *fresh
	return nil
}

// root is the newest root.
func (p *Publisher) root() *metadata.Metadata[metadata.RootType] { return p.roots[len(p.roots)-1] }

// Ready checks the clock and opens the keys of targets, snapshot and timestamp. A caller learns
// from it, before it does anything costly, whether it can sign a release. Errors wrap ErrClock,
// ErrKeys or ErrPassphrase.
func (p *Publisher) Ready() error {
	if err := p.checkClock(); err != nil {
		return err
	}
	for _, role := range []string{metadata.TARGETS, metadata.SNAPSHOT, metadata.TIMESTAMP} {
		if _, err := p.signers(role, p.root()); err != nil {
			return err
		}
	}
	return nil
}

// Add signs a release, and, unless channel is "", that it is the channel's newest. A release that
// was signed before keeps its serial and gets the new info. Everything is durable before
// timestamp.json leads to it. An error wraps ErrSigned when the version was signed with other
// bytes, ErrUnknown when info.Minimum was never signed.
func (p *Publisher) Add(ctx context.Context, channel string, r *mirror.Release, info Info) error {
	if err := info.Validate(); err != nil {
		return err
	}
	if err := p.checkClock(); err != nil {
		return err
	}
	file, err := r.Marshal()
	if err != nil {
		return err
	}
	object := mirror.ObjectOf(file)
	entry := SignedRelease{
		Version:         r.Version,
		Serial:          p.catalog.next(),
		File:            object,
		Compatible:      r.Compatible,
		KernelArguments: info.KernelArguments,
	}
	if old := p.catalog.find(r.Version); old != nil {
		if old.File != object {
			return fmt.Errorf("version %s: %w", r.Version, ErrSigned)
		}
		entry.Serial = old.Serial
	}
	if err := p.minimum(&entry, info.Minimum); err != nil {
		return err
	}
	if err := p.enter(ctx, entry); err != nil {
		return err
	}
	entry.Notes = info.Notes
	if err := p.point(channel, entry, file); err != nil {
		return err
	}
	return p.seal(ctx, true)
}

// minimum fills in r.Minimum, the oldest version that a machine may go back to, and its serial.
func (p *Publisher) minimum(r *SignedRelease, version string) error {
	if version == "" {
		return nil
	}
	r.Minimum, r.MinimumSerial = version, r.Serial
	if version == r.Version {
		return nil
	}
	old := p.catalog.find(version)
	if old == nil {
		return fmt.Errorf("minimum version %s: %w", version, ErrUnknown)
	}
	if old.Serial > r.Serial {
		return fmt.Errorf("minimum version %s: %w: it is newer than %s", version, ErrUnknown,
			r.Version)
	}
	r.MinimumSerial = old.Serial
	return nil
}

// enter puts a release into the catalog, writes the catalog and lists it in targets.
func (p *Publisher) enter(ctx context.Context, r SignedRelease) error {
	if old := p.catalog.find(r.Version); old != nil {
		*old = r
	} else {
		p.catalog.Releases = append(p.catalog.Releases, r)
	}
	b, err := p.catalog.marshal()
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	if _, err := parseCatalog(b); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	object := mirror.ObjectOf(b)
	name := mirror.CatalogPath(object.ID)
	if err := p.o.Mirror.Write(ctx, name, b); err != nil {
		return err
	}
	t := &p.targets.Signed
	if old, ok := t.UnrecognizedFields[catalogMember].(string); ok {
		delete(t.Targets, old)
	}
	if t.Targets[name], err = targetFile(b, customObject{object}); err != nil {
		return err
	}
	if t.UnrecognizedFields == nil {
		t.UnrecognizedFields = map[string]any{}
	}
	t.UnrecognizedFields[catalogMember] = name
	return nil
}

// point makes r the newest release of channel in targets, and removes releases that are no
// channel's newest any more. file is the release file.
func (p *Publisher) point(channel string, r SignedRelease, file []byte) error {
	all, _, err := listed(&p.targets.Signed)
	if err != nil {
		return err
	}
	t := p.targets.Signed.Targets
	for _, other := range all {
		if other.Version == r.Version {
			r.Channels = other.Channels
			continue
		}
		i := slices.Index(other.Channels, channel)
		if i < 0 {
			continue
		}
		name := mirror.ReleasePath(other.Version)
		if other.Channels = slices.Delete(other.Channels, i, i+1); len(other.Channels) == 0 {
			delete(t, name)
			continue
		}
		old := t[name]
		changed, err := targetFile(nil, other)
		if err != nil {
			return err
		}
		old.Custom = changed.Custom
	}
	if channel != "" && !slices.Contains(r.Channels, channel) {
		r.Channels = append(r.Channels, channel)
		slices.Sort(r.Channels)
	}
	if len(r.Channels) == 0 {
		return nil // the release is in the catalog only
	}
	if err := r.validate(); err != nil {
		return err
	}
	t[mirror.ReleasePath(r.Version)], err = targetFile(file, r)
	return err
}
