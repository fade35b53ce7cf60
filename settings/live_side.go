package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"deltaup/chunkstore"
	"deltaup/settings/list"
)

// Side is the settings of one time: what differs from an image, above that image.
type Side struct {
	entries  []Entry // sorted by path
	image    chunkstore.ID
	defaults *Source // nil: the image is not at hand
	open     func(*Entry) (io.ReadCloser, error)
}

// Now is how the machine is.
func (r *Running) Now() *Side {
	return &Side{r.View.Entries, r.View.Image, r.Image, r.View.open}
}

// Shipped is the image without settings.
func (r *Running) Shipped() *Side { return &Side{image: r.View.Image, defaults: r.Image} }

// Generation is how the machine was. The number 0 is the image without settings. Errors are those of
// Store.Generation.
func (r *Running) Generation(number int) (*Side, error) {
	if number == 0 {
		return r.Shipped(), nil
	}
	g, err := r.Store.Generation(number)
	if err != nil {
		return nil, err
	}
	s := &Side{entries: g.Entries, image: g.Image, open: func(e *Entry) (io.ReadCloser, error) {
		return r.Store.OpenObject(e.Content)
	}}
	if g.Image == r.View.Image {
		s.defaults = r.Image
	}
	return s, nil
}

// entry is what is at the path: Gone where nothing is, nil for the default of an image that is not at
// hand.
func (s *Side) entry(path string) (*Entry, error) {
	if e := find(s.entries, path); e != nil {
		return e, nil
	}
	if s.defaults == nil {
		return nil, nil
	}
	e, err := s.defaults.entry(path)
	if errors.Is(err, fs.ErrNotExist) {
		return none(path), nil
	}
	return e, err
}

// Open opens the content of an entry of this side that is a file.
func (s *Side) Open(e *Entry) (io.ReadCloser, error) {
	if find(s.entries, e.Path) != nil {
		return s.open(e)
	}
	if s.defaults == nil {
		return nil, fmt.Errorf("%s: %w: the image's default", e.Path, ErrNone)
	}
	return s.defaults.open(e.Path)
}

// Difference is a path that two sides have in different ways.
type Difference struct {
	Path          string
	What          Change
	Before, After *Entry // Gone: nothing was, or is, there. nil: the default of an image that is not at hand
}

// Compare gives the differences between two sides at the paths that match, sorted by path.
func Compare(before, after *Side, match func(path string) bool) ([]Difference, error) {
	var all []Difference
	for path := range union(before.entries, after.entries) {
		if !match(path) {
			continue
		}
		a, err := before.entry(path)
		if err != nil {
			return nil, err
		}
		b, err := after.entry(path)
		if err != nil {
			return nil, err
		}
		if d := differ(path, a, b); d != nil {
			all = append(all, *d)
		}
	}
	return all, nil
}

// differ compares what two sides have at a path; nil when that is the same.
func differ(path string, before, after *Entry) *Difference {
	d := &Difference{path, Changed, before, after}
	switch {
	case before == nil || after == nil:
		return d // perhaps the same; nobody knows
	case before.same(after):
		return nil
	case before.Kind == Gone:
		d.What = Added
	case after.Kind == Gone:
		d.What = Deleted
	}
	return d
}

// union goes through the paths of two sorted lists of entries.
func union(a, b []Entry) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for len(a) > 0 || len(b) > 0 {
			var path string
			switch {
			case len(b) == 0 || len(a) > 0 && a[0].Path < b[0].Path:
				path, a = a[0].Path, a[1:]
			case len(a) == 0 || b[0].Path < a[0].Path:
				path, b = b[0].Path, b[1:]
			default:
				path, a, b = a[0].Path, a[1:], b[1:]
			}
			if !yield(path) {
				return
			}
		}
	}
}

// Match gives a function that tells which paths are one of those given, or below one of them. Without
// any, all are. Paths are absolute.
func Match(paths []string) func(path string) bool {
	return func(path string) bool {
		for _, p := range paths {
			if path == p || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/") {
				return true
			}
		}
		return len(paths) == 0
	}
}

// secret tells of a path whether a list marks it so: the generation's own, or that of the image that
// runs, which may know better.
type secret struct{ lists []*list.List }

func (s *secret) is(path string) bool {
	for _, l := range s.lists {
		if o, ok := l.Keep(path); ok && o.Secret {
			return true
		}
	}
	return false
}

// Has tells whether the store has the content of a file.
func (s *Store) Has(id chunkstore.ID) bool { return s.has(id) }

// Between is the difference between two entries of a path; nil when they are the same.
func Between(before, after *Entry) *Difference { return differ(after.Path, before, after) }
