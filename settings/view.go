package settings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"deltaup/chunkstore"
	"deltaup/internal/folder"
	"deltaup/settings/list"
)

// View is what a machine's settings are now: its image, and the upper folders above that.
type View struct {
	Image   chunkstore.ID
	List    *list.List
	Entries []Entry // what is listed and differs from the image's defaults, sorted by path
	notKept []Lost  // what differs and is not listed, sorted by path, at most maxLost

	uppers   map[string]*folder.Folder // by place
	defaults *defaults
	seen     []*upperEntry // all that is in the upper folders
}

// Lost is a change to a path that is not kept: the next boot undoes it.
type Lost struct {
	Path string
	What Change
}

// Change is what happened to a path, compared with the image.
type Change string

// The changes.
const (
	Added   Change = "added"
	Changed Change = "changed"
	Deleted Change = "deleted"
)

// maxLost bounds how many changes that are not kept are told.
const maxLost = 10_000

// live reads the settings of the running machine, whose image is source, as they are now. An upper
// folder belongs to one image: an error wraps ErrNone when nothing is laid for this one.
func (s *Store) live(ctx context.Context, source *Source) (*View, error) {
	laid, err := s.Laid()
	if err != nil {
		return nil, err
	}
	if laid.Image != source.image {
		return nil, fmt.Errorf("%w: what is laid belongs to another image", ErrNone)
	}
	d, err := s.defaultsOf(ctx, source)
	if err != nil {
		return nil, err
	}
	return s.scan(ctx, laid, d, source, listed{source.list}, false)
}

// open opens the content of an entry that is a file, as it is now: that can differ from the entry
// when somebody has written to it since.
func (v *View) open(e *Entry) (io.ReadCloser, error) {
	for place, at := range v.uppers {
		if !strings.HasPrefix(e.Path, place+"/") {
			continue
		}
		d, name, err := descend(at, e.Path[len(place)+1:])
		if err != nil {
			return nil, err
		}
		defer d.Close() // nothing was written
		return d.Open(name)
	}
	return nil, &fs.PathError{Op: "open", Path: e.Path, Err: fs.ErrNotExist}
}

// Close closes the upper folders.
func (v *View) Close() error {
	var err error
	for _, f := range v.uppers {
		err = errors.Join(err, f.Close())
	}
	return err
}

// descend opens the folder that a path below another folder is in. The caller closes it.
func descend(from *folder.Folder, full string) (*folder.Folder, string, error) {
	at, err := from.Again()
	parts := strings.Split(full, "/")
	for _, name := range parts[:len(parts)-1] {
		if err != nil {
			break
		}
		next, e := at.Folder(name)
		if err = errors.Join(e, at.Close()); err == nil {
			at = next
		}
	}
	return at, parts[len(parts)-1], err
}

// rules tell what is a setting.
type rules interface {
	keeps(path string) bool
	below(path string) bool // whether a path may lead to settings
}

// listed is the lists that tell together what is a setting.
type listed []*list.List

func (l listed) keeps(path string) bool {
	for _, one := range l {
		if _, ok := one.Keep(path); ok {
			return true
		}
	}
	return false
}

func (l listed) below(path string) bool {
	for _, one := range l {
		if one.Below(path) {
			return true
		}
	}
	return false
}

// missed leaves out of changes that are not kept those that nobody misses: a list forgets them.
func (l listed) missed(lost []Lost) []Lost {
	return slices.DeleteFunc(slices.Clone(lost), func(c Lost) bool {
		return slices.ContainsFunc(l, func(one *list.List) bool { return one.Forget(c.Path) })
	})
}

// parents gives the folders above a path, the nearest first, up to the place that it is in. A path in
// no place ("") has none.
func parents(full, place string, fn func(string)) {
	for p := path.Dir(full); place != "" && len(p) >= len(place); p = path.Dir(p) {
		fn(p)
	}
}

// placeOf finds the place that a path lies in; "": in none.
func placeOf(full string, places []string) string {
	for _, p := range places {
		if full == p || strings.HasPrefix(full, p+"/") {
			return p
		}
	}
	return ""
}

// madeByBoot tells whether an entry is the folder that a boot makes for a place that the image lacks:
// nobody's change.
func madeByBoot(e *Entry, places []string) bool {
	return slices.Contains(places, e.Path) && e.same(folderOfBoot(e.Path))
}

func folderOfBoot(full string) *Entry { return &Entry{Path: full, Kind: Folder, Mode: 0o755} }
