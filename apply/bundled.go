package apply

import (
	"errors"
	"fmt"

	"deltaup/apply/internal/nospace"
	"deltaup/delta"
	"deltaup/mirror"
)

// bundled gives the bytes of a file of the mirror that came with the signed metadata; nil: none
// did.
func (m *metadata) bundled(name string) []byte {
	if m.trust == nil {
		return nil
	}
	return m.trust.Bundled(name)
}

// takeBundled puts into the state folder what came with the signed metadata of the release's patch
// sets. Like all there it is verified when it is used. A run that is killed later has it.
func (u *Update) takeBundled() error {
	take := func(patches []mirror.Patch) error {
		for i := range patches {
			s := u.fetcher.newSet(&patches[i], u.release)
			if err := u.fetcher.takeStart(s.file(), s.patch.Set.Size,
				u.meta.bundled(s.name())); err != nil {
				return err
			}
		}
		return nil
	}
	err := take(u.release.Patches)
	for _, a := range u.release.Beside() {
		err = errors.Join(err, take(a.Patches))
	}
	if err != nil {
		return nospace.Mark(fmt.Errorf("state folder: %w", err))
	}
	return nil
}

// takeStart puts b, with which a file of so many bytes begins, into the cache, unless that has
// something of it. What is longer than the file is none of it.
func (f *fetcher) takeStart(file delta.File, size int64, b []byte) error {
	if len(b) == 0 || int64(len(b)) > size || len(f.cache.Extents(file.ID)) > 0 {
		return nil
	}
	part, err := f.cache.Create(file.ID, 0)
	if err != nil {
		return err
	}
	_, err = part.Write(b)
	return errors.Join(err, part.Close())
}
