package settings

import (
	"errors"
	"io"
	"io/fs"

	"deltaup/chunkstore"
)

// tellLost finds out which of the names that are not listed differ from the image.
func (sc *scanner) tellLost() error {
	for _, u := range sc.lost {
		if err := sc.ctx.Err(); err != nil {
			return err
		}
		if u.Kind == Folder && find(sc.view.Entries, u.Path) != nil || len(sc.view.notKept) == maxLost {
			continue
		}
		what, err := sc.what(u)
		if err != nil {
			what = Changed // a boot does not end since it cannot tell what it undoes
		}
		if what != "" {
			sc.view.notKept = append(sc.view.notKept, Lost{u.Path, what})
		}
	}
	sortBy(sc.view.notKept, func(l *Lost) string { return l.Path })
	return nil
}

// what compares a name with what the image has there; "": nothing is lost.
func (sc *scanner) what(u *upperEntry) (Change, error) {
	f, err := sc.source.tree.find(u.Path)
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return "", err
	}
	switch {
	case missing && (u.Kind == Gone && !u.other || madeByBoot(&u.Entry, sc.places)):
		return "", nil
	case missing:
		return Added, nil
	case u.other:
		return Changed, nil
	case u.Kind == Gone:
		return Deleted, nil
	case u.passed || u.Kind == Folder && u.hides || f.Kind != u.Kind || f.Size != u.Size && u.Kind == File ||
		f.Mode != u.Mode || f.UID != u.UID || f.GID != u.GID || f.Target != u.Target:
		return Changed, nil
	case u.Kind != File:
		return "", nil
	}
	same, err := sc.sameContent(u, f)
	if err != nil || same {
		return "", err
	}
	return Changed, nil
}

// sameContent compares the bytes of two files of the same size.
func (sc *scanner) sameContent(u *upperEntry, f *found) (bool, error) {
	// A program can have touched gigabytes. They count as changed: a boot has no time to look.
	if sc.compared += u.Size; u.Size > MaxFile || sc.compared > maxBytes {
		return false, nil
	}
	r, err := sc.view.open(&u.Entry)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil // removed meanwhile
	}
	if err != nil {
		return false, err
	}
	defer r.Close() // nothing was written
	h := chunkstore.NewHasher()
	if _, err := io.Copy(h, io.LimitReader(ctxReader{sc.ctx, r}, MaxFile+1)); err != nil {
		return false, err
	}
	e, err := f.entry()
	return err == nil && e.Content == h.ID(), err
}
