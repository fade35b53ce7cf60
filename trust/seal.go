//go:build !target

package trust

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/mirror"
)

// defaultLifetimes is for how many days the signatures of each role hold unless a publisher says
// otherwise.
var defaultLifetimes = map[string]int{
	metadata.ROOT:      730,
	metadata.TARGETS:   365,
	metadata.SNAPSHOT:  90,
	metadata.TIMESTAMP: 14,
}

// maxLifetime is for how many days signatures may hold at most.
const maxLifetime = 36500

// lifetime is for how long a role's signatures hold, as the root says.
func lifetime(root *metadata.RootType, role string) time.Duration {
	days := defaultLifetimes[role]
	if all, ok := root.UnrecognizedFields[lifetimesMember].(map[string]any); ok {
		switch n := all[role].(type) {
		case float64: // encoding/json reads numbers as float64
			if n >= 1 && n <= maxLifetime {
				days = int(n)
			}
		case int:
			days = n
		}
	}
	return time.Duration(days) * 24 * time.Hour
}

// Refresh says again that nothing newer exists. It signs the timestamp anew. It signs the snapshot
// anew once half of its lifetime is over, or when it holds for longer than it should. As long as
// the snapshot stays the same, a target that polls reads the timestamp alone.
func (p *Publisher) Refresh(ctx context.Context) error {
	if p.timestamp.Signed.Version == 0 {
		return fmt.Errorf("%s: %w", mirror.TimestampPath, ErrUnsigned)
	}
	if err := p.checkClock(); err != nil {
		return err
	}
	return p.seal(ctx, false)
}

// seal signs and writes the files that have changed or that expire soon, then bundles of them, and
// the timestamp last. targets says that the targets have changed.
func (p *Publisher) seal(ctx context.Context, targets bool) error {
	return p.sealFor(ctx, targets, p.root())
}

// sealFor is seal for readers with any of the roots: it signs with the keys of each root. The keys
// of the last root must be at hand; those of the others may be lost.
func (p *Publisher) sealFor(ctx context.Context, targets bool,
	roots ...*metadata.Metadata[metadata.RootType]) error {
	now := p.o.Now().UTC().Truncate(time.Second)
	newest := roots[len(roots)-1]
	expires := func(role string) time.Time { return now.Add(lifetime(&newest.Signed, role)) }
	left, whole := p.snapshot.Signed.Expires.Sub(now), lifetime(&newest.Signed, metadata.SNAPSHOT)
	snapshot := targets || newest.VerifyDelegate(metadata.SNAPSHOT, p.snapshot) != nil ||
		// longer than it should: the clock was ahead when it was signed
		left < whole/2 || left > whole+clockSkew
	if newest.VerifyDelegate(metadata.TARGETS, p.targets) != nil {
		targets, snapshot = true, true
	}
	if targets {
		t := &p.targets.Signed
		t.Version, t.Expires = t.Version+1, expires(metadata.TARGETS)
		b, err := sign(p, metadata.TARGETS, p.targets, roots)
		if err != nil {
			return err
		}
		name := mirror.MetadataPath(metadata.TARGETS, t.Version)
		if err := p.o.Mirror.Write(ctx, name, b); err != nil {
			return err
		}
		p.files = mirror.Bundle{{}, {Name: name, Bytes: b}} // a new snapshot follows
		p.snapshot.Signed.Meta[targetsName] = metaFile(t.Version, b)
	}
	if snapshot {
		s := &p.snapshot.Signed
		s.Version, s.Expires = s.Version+1, expires(metadata.SNAPSHOT)
		b, err := sign(p, metadata.SNAPSHOT, p.snapshot, roots)
		if err != nil {
			return err
		}
		name := mirror.MetadataPath(metadata.SNAPSHOT, s.Version)
		if err := p.o.Mirror.Write(ctx, name, b); err != nil {
			return err
		}
		p.files[0] = mirror.Bundled{Name: name, Bytes: b}
		p.timestamp.Signed.Meta[snapshotName] = metaFile(s.Version, b)
	}
	t := &p.timestamp.Signed
	t.Version, t.Expires = t.Version+1, expires(metadata.TIMESTAMP)
	t.UnrecognizedFields = map[string]any{signedMember: now.Format(time.RFC3339)}
	bundles, err := p.bundles(ctx)
	if err != nil {
		return err
	}
	if len(bundles) > 0 {
		t.UnrecognizedFields[bundlesMember] = bundles
	}
	b, err := sign(p, metadata.TIMESTAMP, p.timestamp, roots)
	if err != nil {
		return err
	}
	return p.o.Mirror.Write(ctx, mirror.TimestampPath, b)
}

// sign signs m anew with the role's keys of all roots and encodes it. It reads the result back as a
// target will.
func sign[T metadata.Roles](p *Publisher, role string, m *metadata.Metadata[T],
	roots []*metadata.Metadata[metadata.RootType]) ([]byte, error) {
	m.ClearSignatures()
	done := map[string]bool{}
	for i, root := range roots {
		signers, err := p.signers(role, root)
		if i < len(roots)-1 && errors.Is(err, ErrKeys) {
			continue // lost keys; targets with the old root first follow to the new one
		}
		if err != nil {
			return nil, err
		}
		for id, s := range signers {
			if done[id] {
				continue
			}
			done[id] = true
			if _, err := m.Sign(s); err != nil {
				return nil, fmt.Errorf("sign %s: %w", role, err)
			}
		}
	}
	b, err := m.ToBytes(false)
	if err != nil {
		return nil, err
	}
	if err := sound(b, role); err != nil {
		return nil, fmt.Errorf("read back %s: %w", role, err)
	}
	back, err := new(metadata.Metadata[T]).FromBytes(b)
	if err == nil {
		err = roots[len(roots)-1].VerifyDelegate(role, back)
	}
	if err != nil {
		return nil, fmt.Errorf("read back %s: %w", role, err)
	}
	return b, nil
}

// signers opens as many of a role's keys as its threshold demands, by id. Its error wraps ErrKeys
// when fewer are at hand.
func (p *Publisher) signers(role string,
	root *metadata.Metadata[metadata.RootType]) (map[string]signature.Signer, error) {
	r := root.Signed.Roles[role]
	if r == nil {
		return nil, fmt.Errorf("role %s: %w: the root has none", role, ErrMalformed)
	}
	signers := map[string]signature.Signer{}
	for _, id := range r.KeyIDs {
		if len(signers) == r.Threshold || !p.ring.has(id) {
			continue
		}
		s, err := p.ring.signer(id)
		if err != nil {
			return nil, err
		}
		signers[id] = s
	}
	if len(signers) < r.Threshold {
		return nil, fmt.Errorf("role %s: %w: %d of %d are needed, %d at hand", role, ErrKeys,
			r.Threshold, len(r.KeyIDs), len(signers))
	}
	return signers, nil
}
