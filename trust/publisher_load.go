//go:build !target

package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"deltaup/mirror"
)

// load reads and verifies the mirror's metadata, beginning with the root beside the keys.
func (p *Publisher) load(ctx context.Context) error {
	root, err := p.ring.readRoot()
	if err != nil {
		return err
	}
	return p.loadFrom(ctx, root)
}

// loadFrom reads and verifies the mirror's metadata. It begins with a root and follows those after
// it.
func (p *Publisher) loadFrom(ctx context.Context, newest []byte) error {
	set, err := newSet(newest)
	if err != nil {
		return fmt.Errorf("the root to begin with: %w", err)
	}
	files := [][]byte{newest}
	p.roots = append(p.roots, set.Root)
	for {
		name := mirror.MetadataPath(metadata.ROOT, set.Root.Signed.Version+1)
		b, err := p.read(ctx, name, metadata.ROOT, maxRoot)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err == nil {
			_, err = set.UpdateRoot(b)
			err = judge(set, metadata.ROOT, b, err)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, b)
		p.roots = append(p.roots, set.Root)
	}
	// A rotation that was interrupted after the new root leaves files that only the root before it
	// has signed.
	first := max(len(files)-2, 0)
	files, p.roots = files[first:], p.roots[first:]
	err = p.loadBelow(ctx, files[len(files)-1])
	if len(files) == 2 && (errors.Is(err, ErrSignature) || errors.Is(err, ErrThreshold)) {
		err = p.loadBelow(ctx, files[0])
	}
	return err
}

// loadBelow reads and verifies what the root signs: timestamp, snapshot, targets, catalog. A mirror
// without a timestamp has none of them yet.
func (p *Publisher) loadBelow(ctx context.Context, root []byte) error {
	set, err := trustedmetadata.New(root)
	if err != nil {
		return judge(nil, metadata.ROOT, root, err)
	}
	set.RefTime = time.Unix(0, 0) // a publisher signs anew what has expired
	p.catalog = &catalog{}
	p.targets = metadata.Targets()
	p.targets.Signed.Version = 0
	p.snapshot = metadata.Snapshot()
	p.snapshot.Signed.Version = 0
	p.timestamp = metadata.Timestamp()
	p.timestamp.Signed.Version = 0
	name := mirror.TimestampPath
	b, err := p.read(ctx, name, metadata.TIMESTAMP, maxTimestamp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		_, err = set.UpdateTimestamp(b)
		err = judge(set, metadata.TIMESTAMP, b, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	name = mirror.MetadataPath(metadata.SNAPSHOT, set.Timestamp.Signed.Meta[snapshotName].Version)
	if b, err = p.read(ctx, name, metadata.SNAPSHOT, maxSnapshot); err == nil {
		_, err = set.UpdateSnapshot(b, false)
		err = judge(set, metadata.SNAPSHOT, b, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	snapshot := mirror.Bundled{Name: name, Bytes: b}
	name = mirror.MetadataPath(metadata.TARGETS, set.Snapshot.Signed.Meta[targetsName].Version)
	if b, err = p.read(ctx, name, metadata.TARGETS, maxTargets); err == nil {
		_, err = set.UpdateTargets(b)
		err = judge(set, metadata.TARGETS, b, err)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p.files = mirror.Bundle{snapshot, {Name: name, Bytes: b}}
	p.timestamp, p.snapshot, p.targets = set.Timestamp, set.Snapshot, set.Targets[metadata.TARGETS]
	return p.loadCatalog(ctx)
}

func (p *Publisher) read(ctx context.Context, name, role string, limit int64) ([]byte, error) {
	b, err := mirror.ReadFile(ctx, p.o.Mirror, name, limit)
	if err == nil {
		err = sound(b, role)
	}
	return b, err
}

func (p *Publisher) loadCatalog(ctx context.Context) error {
	_, object, err := listed(&p.targets.Signed)
	if err != nil || object == nil {
		return err
	}
	name := mirror.CatalogPath(object.ID)
	b, err := mirror.ReadFile(ctx, p.o.Mirror, name, maxCatalog)
	if err == nil {
		err = p.targets.Signed.Targets[name].VerifyLengthHashes(b)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p.catalog, err = parseCatalog(b)
	return err
}
