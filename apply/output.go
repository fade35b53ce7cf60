package apply

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"deltaup/apply/internal/nospace"
	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/durable"
	"deltaup/internal/medium"
	"deltaup/mirror"
)

// output is an artifact that is to be written to a file.
type output struct {
	path     string
	artifact mirror.Artifact
	content  *chunkstore.Content // of a raw artifact
	same     *seed               // that is the artifact; nil: none is

	// of an artifact that is rebuilt beside the image
	parts  *parts        // nil: not known yet
	pieces []delta.Piece // of its patch set
	closed bool          // no patch set gives it any more
}

// outputs is the artifacts that are to be written beside the image.
type outputs []output

// findOutputs looks the wanted artifacts up, by name, and drops those whose file is right already.
func findOutputs(release *mirror.Release, wanted map[string]string) (list outputs, err error) {
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		a := release.Artifact(name)
		if a == nil {
			return nil, fmt.Errorf("release %s: %s: %w", release.Version, name, ErrNoArtifact)
		}
		if a.Kind != mirror.KindRaw && a.Beside() == nil {
			return nil, fmt.Errorf("release %s: %s: %w of kind %s: it goes to a slot",
				release.Version, name, ErrNoArtifact, mirror.KindRaw)
		}
		o := output{path: wanted[name], artifact: *a}
		if o.check() != nil {
			list = append(list, o)
		}
	}
	return list, nil
}

// raw tells whether one has to be put together from chunks alone: not one that a seed is.
func (list outputs) raw() bool {
	return slices.ContainsFunc(list, func(o output) bool {
		return o.artifact.Kind == mirror.KindRaw && o.same == nil
	})
}

// rebuilt gives those that are to be rebuilt beside the image: not those that a seed is.
func (list outputs) rebuilt() (rebuilt []*output) {
	for i := range list {
		if o := &list[i]; o.artifact.Beside() != nil && o.same == nil {
			rebuilt = append(rebuilt, o)
		}
	}
	return rebuilt
}

// findSame finds the seeds that are the outputs as they are to be.
func (list outputs) findSame(seeds []*seed) {
	for i := range list {
		o := &list[i]
		for _, s := range seeds {
			if s.derived == nil && s.raw.ID == o.artifact.ID {
				o.same = s
			}
		}
	}
}

// pieces lists what is needed of the patch sets beside the image.
func (list outputs) pieces() (pieces []delta.Piece) {
	for _, o := range list {
		pieces = append(pieces, o.pieces...)
	}
	return pieces
}

func (list outputs) close() {
	for _, o := range list {
		if o.parts != nil {
			o.parts.set.close()
		}
	}
}

// write puts what content writes in the file's place, durably, once it has proved to be the
// artifact.
func (o *output) write(content func(w io.Writer) error) error {
	// A folder of its own for the temporary file: it must be on the file's file system, and what a
	// kill leaves there must be found again.
	tmp := o.path + ".new"
	if err := durable.RemoveTemps(tmp); err != nil {
		return err
	}
	err := durable.WriteFile(tmp, o.path, func(w io.Writer) error {
		h := chunkstore.NewHasher()
		err := content(io.MultiWriter(w, h))
		if err == nil && h.ID() != o.artifact.ID {
			err = fmt.Errorf("%w: its chunks or its recipe do not make its bytes: %w",
				mirror.ErrDamaged, chunkstore.ErrCorrupt)
		}
		return err
	})
	if err == nil {
		err = o.check()
	}
	return nospace.Mark(errors.Join(err, os.Remove(tmp)))
}

// check reads the file from the medium; nil means that it holds the artifact.
func (o *output) check() error {
	f, err := os.Open(o.path)
	if err != nil {
		return err
	}
	defer f.Close() // read only
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != o.artifact.Size {
		return fmt.Errorf("%w: %d bytes, not %d", ErrVerify, info.Size(), o.artifact.Size)
	}
	h := chunkstore.NewHasher()
	if err := medium.Copy(h, f); err != nil {
		return err
	}
	if h.ID() != o.artifact.ID {
		return fmt.Errorf("%w: %s", ErrVerify, o.path)
	}
	return nil
}
