package trust

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"deltaup/mirror"
)

// Check holds the signed metadata of a mirror's folder together: each root is signed by the one
// before it, all else by the last, and each release is the one that was signed. It does not tell
// whose mirror it is, nor whether signatures have expired, nor what has been removed of old
// releases. A mirror without metadata is ErrUnsigned; one that lacks the first root, and has other
// metadata, is damaged.
func Check(dir string) error {
	p := &Publisher{o: PublisherOptions{Mirror: dir}}
	name := mirror.MetadataPath(metadata.ROOT, 1)
	root, err := readSmall(p.path(name), maxRoot)
	if errors.Is(err, fs.ErrNotExist) {
		return p.rootless(name)
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

// rootless tells a mirror that was never signed from one that has lost the root that name is, the
// first.
func (p *Publisher) rootless(name string) error {
	others, err := os.ReadDir(p.path(path.Dir(name)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, other := range others {
		if strings.HasSuffix(other.Name(), ".json") {
			return fmt.Errorf("%s is missing, and %s is there", name, other.Name())
		}
	}
	return fmt.Errorf("%w: it has no %s", ErrUnsigned, name)
}
