package trust

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/mirror"
)

// PublisherOptions say with what a mirror is signed.
type PublisherOptions struct {
	Mirror      string   // folder
	Keys        []string // folders of private keys; the first gets new ones
	Passphrases Passphrases
	Now         func() time.Time // nil: time.Now
	// sign by a clock that is in doubt: somebody has made sure that it is right
	AnyClock bool
}

// Publisher signs one mirror. Its methods change the mirror: the caller holds its lock
// ([mirror.Lock]), as [mirror.Publication].Seal has it. It is for one goroutine.
type Publisher struct {
	o    PublisherOptions
	ring *keyRing

	// What the mirror has, verified from the root that lies beside the keys on.
	// the last is the newest; at most the one before it
	roots     []*metadata.Metadata[metadata.RootType]
	targets   *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]
	catalog   *catalog
}

// OpenPublisher reads what the mirror has and verifies it. Whatever is there was signed with the
// mirror's keys, or it fails. No key is opened yet.
func OpenPublisher(o PublisherOptions) (*Publisher, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Keys) == 0 {
		return nil, fmt.Errorf("no folder of keys: %w", ErrKeys)
	}
	p := &Publisher{o: o, ring: newKeyRing(o.Keys, o.Passphrases)}
	if err := p.Reload(); err != nil {
		return nil, err
	}
	return p, nil
}

// Reload reads the mirror again: another publisher may have signed something since. Keys that were
// opened stay open.
func (p *Publisher) Reload() error {
	fresh := &Publisher{o: p.o, ring: p.ring}
	if err := fresh.load(); err != nil {
		return fmt.Errorf("signed metadata of %s: %w", p.o.Mirror, err)
	}
	*p = *fresh
	return nil
}

// root is the newest.
func (p *Publisher) root() *metadata.Metadata[metadata.RootType] { return p.roots[len(p.roots)-1] }

func (p *Publisher) path(name string) string {
	return filepath.Join(p.o.Mirror, filepath.FromSlash(name))
}

// Ready makes sure, before anything costly is done, that a release can be signed: it looks at the
// clock and opens the keys of targets, snapshot and timestamp.
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

// Add signs a release, and with a channel that it is that channel's newest. A release that was
// signed before keeps its serial, and what is said of it is replaced. Everything is durable before
// timestamp.json leads to it.
func (p *Publisher) Add(_ context.Context, channel string, r *mirror.Release, info Info) error {
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
	object, err := r.Object()
	if err != nil {
		return err
	}
	entry := Release{
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
	if err := p.enter(entry); err != nil {
		return err
	}
	entry.Notes = info.Notes
	if err := p.point(channel, entry, file); err != nil {
		return err
	}
	return p.seal(true)
}

// minimum fills in the oldest version that a machine may go back to.
func (p *Publisher) minimum(r *Release, version string) error {
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

// enter puts a release into the catalog, and writes and lists that.
func (p *Publisher) enter(r Release) error {
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
	object := objectOf(b)
	name := mirror.CatalogPath(object.ID)
	if err := p.write(name, b); err != nil {
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

// point makes a release its channel's newest, and leaves out releases that are no channel's.
func (p *Publisher) point(channel string, r Release, file []byte) error {
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
		return nil // in the catalog only
	}
	if err := r.validate(); err != nil {
		return err
	}
	t[mirror.ReleasePath(r.Version)], err = targetFile(file, r)
	return err
}
