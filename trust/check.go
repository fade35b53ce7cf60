package trust

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/mirror"
)

// Check holds the signed metadata of a mirror's folder together: each root is signed by the one before it, all else by the last, and
// each release is the one that was signed. It does not tell whose mirror it is, nor whether signatures have expired, nor what has been
// removed of old releases. A mirror without metadata is ErrUnsigned.
func Check(dir string) error {
	p := &Publisher{o: PublisherOptions{Mirror: dir}}
	name := mirror.MetadataPath(metadata.ROOT, 1)
	root, err := readSmall(p.path(name), maxRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: it has no %s", ErrUnsigned, name)
	}
	if err == nil {
		err = p.loadFrom(root)
	}
	if err != nil {
		return err
	}
	for i := range p.catalog.Releases {
		r := &p.catalog.Releases[i]
		name := mirror.ReleasePath(r.Version)
		b, err := readSmall(p.path(name), mirror.MaxReleaseSize)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if objectOf(b) != r.File {
			return fmt.Errorf("%s: %w", name, ErrMixed)
		}
	}
	return nil
}
