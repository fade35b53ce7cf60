package settings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"

	"deltaup/chunkstore"
	"deltaup/internal/folder"
	"deltaup/settings/overlay"
)

// scanner reads the upper folders that were laid.
type scanner struct {
	ctx      context.Context
	view     *View
	defaults *defaults
	source   *Source // to tell what is lost
	listed   rules
	places   []string

	upper map[string]*upperEntry // what the upper folders say of paths that are listed or lead there
	lost  []*upperEntry
	count int   // kept files, links and folders
	bytes int64 // of kept files

	compared int64 // bytes of files that are not kept and were compared with the image's
}

// upperEntry is a name in an upper folder.
type upperEntry struct {
	Entry
	hides  bool // what the image has below it
	odd    bool // it is not as deltaup lays it: opaque, or with marks of the kernel's
	other  bool // it is a device, a pipe or a socket, which is never kept
	passed bool
}

// scan reads the upper folders that were laid for an image with these defaults. The caller closes
// the view. With bare the scan does without what is too much, and tells of nothing that is lost.
func (s *Store) scan(ctx context.Context, laid *Laid, d *defaults, source *Source, l rules, bare bool) (v *View, err error) {
	v = &View{Image: laid.Image, uppers: map[string]*folder.Folder{}, defaults: d}
	if laid.Image == source.image {
		v.List = source.list
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.Close())
			v = nil
		}
	}()
	sc := &scanner{ctx: ctx, view: v, defaults: d, source: source, listed: l, places: laid.Places,
		upper: map[string]*upperEntry{}}
	var place string
	r := overlay.Reader{
		Enter: func(name string) overlay.Visit {
			if !bare && l.below(path.Join(place, name)) {
				return overlay.Must
			}
			return overlay.Try
		},
		Each: func(i *overlay.Item) error { return sc.item(path.Join(place, i.Path), i) },
	}
	for _, place = range laid.Places {
		f, err := s.openUpper(laid.Upper, place, nameUp)
		if err != nil {
			return v, err
		}
		v.uppers[place] = f
		if err := r.Read(ctx, f); errors.Is(err, overlay.ErrBounds) || errors.Is(err, folder.ErrKind) {
			return v, fmt.Errorf("%w: %w", ErrTooMuch, err)
		} else if err != nil {
			return v, err
		}
	}
	sc.compose()
	if bare {
		return v, nil
	}
	return v, sc.tellLost()
}

// item notes a name of an upper folder.
func (sc *scanner) item(full string, i *overlay.Item) error {
	u := &upperEntry{Entry: entryOf(full, &i.Stat), hides: i.Opaque, passed: i.Passed}
	u.other = u.Kind == "" && !i.Whiteout
	u.odd = u.other || i.Opaque || i.Foreign || i.Passed || i.Whiteout && i.File != nil
	sc.view.seen = append(sc.view.seen, u)
	if i.Whiteout || u.other {
		u.Entry = *none(full)
	}
	u.Target = i.Target
	if u.Kind != Folder {
		u.hides = true
	}
	if i.Path == "" {
		u.hides = false // the kernel heeds no mark there
	}
	keeps := sc.listed.keeps(full)
	if !keeps || u.other {
		sc.lost = append(sc.lost, u)
	}
	if !keeps && !sc.listed.below(full) {
		return nil
	}
	sc.upper[full] = u
	if i.File != nil && !i.Whiteout {
		var err error
		if u.Xattrs, err = xattrs(i.File); err != nil {
			return err
		}
	}
	if !keeps || u.Kind == Gone {
		return nil
	}
	if sc.count++; sc.count > maxEntries {
		return fmt.Errorf("%w: more than %d paths", ErrTooMuch, maxEntries)
	}
	if u.Kind == File {
		return sc.hash(u, i)
	}
	return nil
}

func (sc *scanner) hash(u *upperEntry, i *overlay.Item) error {
	if u.Size > MaxFile {
		return fmt.Errorf("%s: %w: more than %d MiB", u.Path, ErrTooMuch, MaxFile>>20)
	}
	h := chunkstore.NewHasher()
	n, err := io.Copy(h, io.LimitReader(ctxReader{sc.ctx, i.File}, MaxFile+1))
	if err != nil {
		return err
	}
	u.Size, u.Content = n, h.ID()
	if sc.bytes += n; n > MaxFile || sc.bytes > maxBytes {
		return fmt.Errorf("%w: more than %d MiB in all", ErrTooMuch, maxBytes>>20)
	}
	return nil
}

// ctxReader ends with the context.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// compose makes the entries that differ from the image's defaults.
func (sc *scanner) compose() {
	entries := map[string]Entry{}
	for full, u := range sc.upper {
		if e, ok := sc.kept(&u.Entry); ok {
			entries[full] = e
		}
	}
	for i := range sc.defaults.Entries {
		d := &sc.defaults.Entries[i]
		if sc.upper[d.Path] == nil && sc.listed.keeps(d.Path) && sc.hidden(d.Path) {
			entries[d.Path] = Entry{Path: d.Path, Kind: Gone, Default: d.id()}
		}
	}
	sc.addParents(entries)
	for _, e := range entries {
		sc.view.Entries = append(sc.view.Entries, e)
	}
	sortEntries(sc.view.Entries)
}

// kept gives the entry of a listed path of an upper folder when it differs from the default.
func (sc *scanner) kept(u *Entry) (Entry, bool) {
	if !sc.listed.keeps(u.Path) {
		return Entry{}, false
	}
	e, d := *u, sc.defaults.Entry(u.Path)
	switch {
	case d != nil && e.same(d), d == nil && madeByBoot(&e, sc.places):
		return e, false
	case d != nil:
		e.Default = d.id()
	case e.Kind == Gone:
		// Nothing hides nothing. But of a path that only the next image lists nobody knows what the
		// one before had.
		return e, sc.defaults.partial(e.Path)
	}
	return e, true
}

// hidden tells whether something in an upper folder hides what the image has at a path.
func (sc *scanner) hidden(full string) bool {
	hidden := false
	parents(full, placeOf(full, sc.places), func(p string) {
		if u := sc.upper[p]; u != nil && u.hides {
			hidden = true
		}
	})
	return hidden
}

// addParents adds folders that are not listed, but lead to what is, and that the image lacks.
func (sc *scanner) addParents(entries map[string]Entry) {
	var add []Entry
	for full, e := range entries {
		if e.Kind == Gone {
			continue
		}
		parents(full, placeOf(full, sc.places), func(p string) {
			u, d := sc.upper[p], sc.defaults.Entry(p)
			if u == nil || u.Kind != Folder || d != nil && d.Kind == Folder || madeByBoot(&u.Entry, sc.places) {
				return
			}
			e := u.Entry
			if d != nil {
				e.Default = d.id()
			}
			add = append(add, e)
		})
	}
	for _, e := range add {
		entries[e.Path] = e
	}
}
