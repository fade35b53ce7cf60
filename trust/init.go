//go:build !target

package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/internal/durable"
	"deltaup/mirror"
)

// InitOptions say what [Init] makes. A role absent from Quorums has one key; one absent from
// Lifetimes has its default.
type InitOptions struct {
	Quorums   map[string]Quorum
	Lifetimes map[string]int // days, by role
	// Passphrase protects all new keys.
	Passphrase string
	Work       int // scrypt's work factor, as the exponent of two; 0 is DefaultWork
}

func (o *InitOptions) validate() error {
	if o.Work == 0 {
		o.Work = DefaultWork
	}
	if o.Work < 1 || o.Work > 22 {
		return fmt.Errorf("a work factor of %d", o.Work)
	}
	if o.Passphrase == "" {
		return fmt.Errorf("an empty passphrase: %w", ErrPassphrase)
	}
	for role, days := range o.Lifetimes {
		if !slices.Contains(Roles, role) || days < 1 || days > maxLifetime {
			return fmt.Errorf("role %q: a lifetime of %d days", role, days)
		}
	}
	for role, q := range o.Quorums {
		if !slices.Contains(Roles, role) {
			return fmt.Errorf("role %q is none of %v", role, Roles)
		}
		if err := q.validate(role); err != nil {
			return err
		}
	}
	return nil
}

// Init makes the keys of all roles and the first root of a mirror, and signs that the mirror is
// still empty. The caller holds the mirror's lock. Init writes the root to the mirror and to the
// first folder of keys, from which people take it to targets. When either place has a root already,
// the error wraps ErrInitialized.
func Init(ctx context.Context, o PublisherOptions, how InitOptions) (*Publisher, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := how.validate(); err != nil {
		return nil, err
	}
	p := &Publisher{o: o, ring: newKeyRing(o.Keys, o.Passphrases)}
	if err := p.first(ctx); err != nil {
		return nil, err
	}
	root := metadata.Root()
	root.Signed.Version = 0 // newRoot makes it 1
	p.roots = []*metadata.Metadata[metadata.RootType]{root}
	p.targets, p.snapshot = metadata.Targets(), metadata.Snapshot()
	p.timestamp, p.catalog = metadata.Timestamp(), &catalog{}
	p.targets.Signed.Version, p.snapshot.Signed.Version, p.timestamp.Signed.Version = 0, 0, 0
	if err := p.checkClock(); err != nil {
		return nil, err
	}
	if err := durable.MkdirSecret(o.Keys[0]); err != nil {
		return nil, err
	}
	for _, role := range Roles {
		q := how.Quorums[role]
		if q == (Quorum{}) {
			q = Quorum{1, 1}
		}
		root.Signed.Roles[role].Threshold = q.Threshold
		for range q.Keys {
			key, _, err := p.ring.add(role, how.Passphrase, how.Work)
			if err != nil {
				return nil, err
			}
			if err := root.Signed.AddKey(key, role); err != nil {
				return nil, err
			}
		}
	}
	setLifetimes(root, how.Lifetimes)
	b, err := p.newRoot(root)
	if err != nil {
		return nil, err
	}
	if err := p.sealFor(ctx, true, root); err != nil {
		return nil, err
	}
	// The copy beside the keys comes first: with it the publisher can sign, and no target asks the
	// mirror for its first root.
	if err := writeFile(o.Keys[0], filepath.Join(o.Keys[0], rootFile), b); err != nil {
		return nil, err
	}
	return p, p.o.Mirror.Write(ctx, mirror.MetadataPath(metadata.ROOT, root.Signed.Version), b)
}

// first refuses a mirror or a folder of keys that has a root already.
func (p *Publisher) first(ctx context.Context) error {
	name := mirror.MetadataPath(metadata.ROOT, 1)
	f, err := p.o.Mirror.Open(ctx, name)
	if err == nil {
		_ = f.Close() // nothing was read
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s/%s: %w", p.o.Mirror, name, ErrInitialized), err)
	}
	path := filepath.Join(p.o.Keys[0], rootFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s: %w", path, ErrInitialized), err)
	}
	return nil
}
