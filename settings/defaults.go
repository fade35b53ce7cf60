package settings

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/settings/list"
)

const (
	maxBase  = 1 << 20  // bytes of a default that is kept for later merges
	maxBases = 16 << 20 // bytes of all of them
	maxShown = 500      // files whose default no merge reads
)

// defaults is what an image has at the paths that its list keeps, and at those that may lead there.
type defaults struct {
	Generation
	list  *list.List // nil: nothing is known of the image
	fresh bool       // the store does not have them
}

// partial tells whether the defaults say nothing of a path, since their list does not keep it.
func (d *defaults) partial(path string) bool {
	if d.list == nil {
		return true
	}
	_, ok := d.list.Keep(path)
	return !ok
}

// defaultsOf gives the defaults of an image that is there: those in the store, or else new ones.
func (s *Store) defaultsOf(ctx context.Context, source *Source) (*defaults, error) {
	id := chunkstore.Sum(source.list.Text())
	g, err := s.read(s.defaults, source.image.String())
	if err == nil && g.Cause == shipped && g.Image == source.image && g.List == id {
		return &defaults{Generation: *g, list: source.list}, nil
	}
	d := &defaults{Generation: Generation{Image: source.image, List: id, Cause: shipped}, list: source.list, fresh: true}
	l := listed{source.list}
	want := func(path string) bool { return l.keeps(path) || l.below(path) }
	for _, place := range source.list.Places() {
		err := source.tree.walk(place, want, func(f *found) error { return d.add(ctx, f) })
		if err != nil {
			return nil, fmt.Errorf("defaults of the image: %w", err)
		}
	}
	sortEntries(d.Entries)
	return d, nil
}

func (d *defaults) add(ctx context.Context, f *found) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.other {
		return nil
	}
	if len(d.Entries) == maxDefaults {
		return fmt.Errorf("%w: more than %d paths are listed", ErrTooMuch, maxDefaults)
	}
	e, err := f.entry()
	if err == nil {
		d.Entries = append(d.Entries, *e)
	}
	return err
}

// oldDefaults gives the defaults of an image that ran before; those that know nothing when the store
// has none.
func (s *Store) oldDefaults(image chunkstore.ID) (*defaults, error) {
	g, err := s.read(s.defaults, image.String())
	if err == nil && (g.Cause != shipped || g.Image != image) {
		err = fmt.Errorf("%w: the defaults are those of another image", ErrDamaged)
	}
	if err == nil {
		var l *list.List
		if l, err = s.oldList(g.List); err == nil {
			return &defaults{Generation: *g, list: l}, nil
		}
	}
	if errors.Is(err, ErrNone) || errors.Is(err, ErrDamaged) {
		return &defaults{}, err
	}
	return nil, err
}

// oldList reads a list out of the store.
func (s *Store) oldList(id chunkstore.ID) (*list.List, error) {
	text, err := s.readObject(id, maxText)
	if err != nil {
		return nil, err
	}
	l, err := list.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w: %w", id, ErrDamaged, err)
	}
	return l, nil
}

// bases gives the defaults whose contents are kept: first those that a later merge or rollback reads,
// then some that are only shown beside a conflict.
func (d *defaults) bases(fn func(*Entry) error) error {
	bytes, shown := int64(maxBases), maxShown
	for _, first := range []bool{true, false} {
		for i := range d.Entries {
			e := &d.Entries[i]
			o, kept := d.list.Keep(e.Path)
			read := o.Newest || o.Merge == list.Lines || o.Merge == list.Users
			if !kept || read != first || e.Kind != File || e.Size > maxBase || e.Size > bytes || shown == 0 {
				continue
			}
			if !read {
				shown--
			}
			bytes -= e.Size
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// bytesOf opens bytes.
func bytesOf(p []byte) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p)), nil }
}
