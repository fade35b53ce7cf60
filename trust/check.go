//go:build !target

package trust

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/mirror"
)

// Check verifies the signed metadata of a mirror: each root is signed by the root before it,
// everything else by the last root, each release file is the one that was signed, and bundles have
// what the mirror has. Check ignores whose mirror it is, whether signatures have expired, and which
// release files were removed. The error for a mirror without metadata wraps [ErrUnsigned]. A mirror
// that has other metadata but lacks the first root is damaged.
func Check(ctx context.Context, m mirror.Store) error {
	p := &Publisher{o: PublisherOptions{Mirror: m}}
	name := mirror.MetadataPath(metadata.ROOT, 1)
	root, err := mirror.ReadFile(ctx, p.o.Mirror, name, maxRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return p.rootless(ctx, name)
	}
	if err == nil {
		err = p.loadFrom(ctx, root)
	}
	if err != nil {
		return err
	}
	for i := range p.catalog.Releases {
		r := &p.catalog.Releases[i]
		name := mirror.ReleasePath(r.Version)
		b, err := mirror.ReadFile(ctx, p.o.Mirror, name, mirror.MaxReleaseSize)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if mirror.ObjectOf(b) != r.File {
			return fmt.Errorf("%s: %w", name, ErrMixed)
		}
	}
	return p.checkBundles(ctx)
}

// rootless gives the error for a mirror without the first root, whose path is name: it tells a
// mirror that was never signed from one that has lost its root.
func (p *Publisher) rootless(ctx context.Context, name string) error {
	others, err := p.o.Mirror.List(ctx, path.Dir(name))
	if err != nil {
		return err
	}
	for _, other := range others {
		if strings.HasSuffix(other.Name, ".json") {
			return fmt.Errorf("%s is missing, and %s is there", name, path.Base(other.Name))
		}
	}
	return fmt.Errorf("%w: it has no %s", ErrUnsigned, name)
}
