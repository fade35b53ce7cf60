package settings

import (
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"deltaup/chunkstore"
	"deltaup/internal/folder"
	"deltaup/settings/overlay"
)

// Status is how the settings of the running machine are.
type Status struct {
	Unchanged []string     // settings that are as the generation has them
	Changed   []Difference // settings that changed since
	Conflicts []Conflict   // that nobody has resolved
	NotKept   []Lost       // changes that the next boot undoes
	Returned  *Returned    // nil: the image did not come back after another one
}

// Returned is what it meant for settings that an image boots again after another one.
type Returned struct {
	Image      chunkstore.ID // the image that ran in between
	Generation int           // its last generation
	Paths      []string      // that are not as that generation had them
}

// Status compares what there is now with the generation that the machine runs with.
func (r *Running) Status() (*Status, error) {
	laid := r.Shipped()
	if r.Laid != nil {
		laid = &Side{entries: r.Laid.Entries, image: r.Laid.Image, defaults: r.Image}
	}
	changed, err := Compare(laid, r.Now(), Match(nil))
	if err != nil {
		return nil, err
	}
	s := &Status{Changed: changed, Conflicts: r.conflicts(), NotKept: listed{r.View.List}.missed(r.View.notKept)}
	rest := changed // both are sorted
	for i := range r.View.Entries {
		path := r.View.Entries[i].Path
		for len(rest) > 0 && rest[0].Path < path {
			rest = rest[1:]
		}
		if len(rest) == 0 || rest[0].Path != path {
			s.Unchanged = append(s.Unchanged, path)
		}
	}
	s.Returned, err = r.returned()
	return s, err
}

// returned looks in the history whether the image had run before another one did.
func (r *Running) returned() (*Returned, error) {
	if r.Laid == nil {
		return nil, nil
	}
	numbers, err := r.Store.Generations()
	if err != nil {
		return nil, err
	}
	slices.Reverse(numbers)
	var between *Generation
	for _, n := range numbers {
		g, err := r.Store.Generation(n)
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrNone):
			continue
		case err != nil:
			return nil, err
		case g.Image != r.Laid.Image && between == nil:
			between = g
		case g.Image == r.Laid.Image && between != nil:
			return r.since(between)
		case g.Image == r.Laid.Image && g.Cause != Merged && n != r.Laid.Number:
			return nil, nil // it has run for longer than a boot
		}
	}
	return nil, nil
}

// since compares the generation that was laid with the last one of another image.
func (r *Running) since(g *Generation) (*Returned, error) {
	back := &Returned{Image: g.Image, Generation: g.Number}
	for path := range union(g.Entries, r.Laid.Entries) {
		a, b := g.Entry(path), r.Laid.Entry(path)
		if a == nil || b == nil || !a.same(b) {
			back.Paths = append(back.Paths, path)
		}
	}
	return back, nil
}

// Everything gives what differs from the image in the whole root, sorted by path: the settings, and
// what lies in upper, the upper folder of the overlay on the root. More than maxLost paths are cut
// off. An upper of "" is none.
func (r *Running) Everything(ctx context.Context, upper string) ([]Difference, error) {
	if err := r.openRoot(); err != nil {
		return nil, err
	}
	all, err := Compare(r.Shipped(), r.Now(), Match(nil))
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, d := range all {
		seen[d.Path] = true
	}
	add := func(path string) error {
		if seen[path] || len(all) >= maxLost {
			return nil
		}
		seen[path] = true
		d, err := r.against(path)
		if d != nil {
			all = append(all, *d)
		}
		return err
	}
	for _, lost := range r.View.notKept {
		if err := add(lost.Path); err != nil {
			return nil, err
		}
	}
	if upper != "" {
		if err := r.rootChanges(ctx, upper, add); err != nil {
			return nil, err
		}
	}
	sortBy(all, func(d *Difference) string { return d.Path })
	return all, nil
}

// openRoot opens the root as it is now.
func (r *Running) openRoot() (err error) {
	if r.root == nil {
		r.root, err = FromFolder(r.folders.Root, chunkstore.ID{})
	}
	return err
}

// against compares a path of the root with the image; nil when they are the same, or what is there
// is never kept, as a device.
func (r *Running) against(path string) (*Difference, error) {
	before, err := r.Shipped().entry(path)
	if err != nil {
		return nil, err
	}
	after, err := r.root.entry(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		after = none(path)
	case err != nil:
		return nil, err
	}
	return differ(path, before, after), nil
}

// OpenNow opens a file of the root as it is now, whether it is a setting or not.
func (r *Running) OpenNow(path string) (fs.File, error) {
	if err := r.openRoot(); err != nil {
		return nil, err
	}
	return r.root.FS().Open(strings.TrimPrefix(path, "/"))
}

// rootChanges calls add with the paths that the upper folder of the root's overlay changes. It leaves
// out what other mounts hide: places and folders of data.
func (r *Running) rootChanges(ctx context.Context, upper string, add func(path string) error) error {
	top, err := folder.Open(upper)
	if err != nil {
		return err
	}
	defer top.Close() // only read
	hidden := Match(slices.Concat(r.Image.List().Places(), r.Image.List().Data(), mounted))
	reader := overlay.Reader{
		Enter: func(name string) overlay.Visit {
			if hidden("/" + name) {
				return overlay.Pass
			}
			return overlay.Must
		},
		Each: func(i *overlay.Item) error {
			name := "/" + i.Path
			if i.Path == "" || hidden(name) {
				return nil
			}
			if i.Whiteout || i.Opaque {
				if err := r.hiddenBelow(i.Path, add); err != nil {
					return err
				}
			}
			return add(name)
		},
	}
	return reader.Read(ctx, top)
}

// mounted are folders that every machine has in memory.
var mounted = []string{"/dev", "/proc", "/run", "/sys", "/tmp"}

// hiddenBelow calls add for all that the image has below a path which the machine removed or
// replaced.
func (r *Running) hiddenBelow(name string, add func(path string) error) error {
	err := fs.WalkDir(r.Image.FS(), name, func(p string, _ fs.DirEntry, err error) error {
		if err != nil || p == name {
			return err
		}
		return add(path.Join("/", p))
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
