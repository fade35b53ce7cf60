package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"strings"

	"golang.org/x/sys/unix"

	"deltaup/internal/folder"
	"deltaup/settings/list"
)

// put makes an entry below root, the root of the running machine, so that it is there whole or not
// at all: it makes it under a temporary name in the same folder, and renames it. It makes missing
// folders with mode 0755. A link in place of a folder of the path is an error. Content is that of a
// file, and nil for the rest. When put returns nil the change is durable.
//
// A folder that is there keeps what is in it. A folder that stands in the way of something else is
// removed with all that is in it, and Gone removes whatever is there.
func put(root string, e *Entry, content io.Reader) error {
	if err := validPath(e.Path); err != nil {
		return err
	}
	d, err := folder.Open(strings.TrimSuffix(root, "/") + "/.")
	if err != nil {
		return err
	}
	parts := strings.Split(e.Path[1:], "/")
	for _, name := range parts[:len(parts)-1] {
		next, err := d.Folder(name)
		made := errors.Is(err, fs.ErrNotExist)
		if made && e.Kind == Gone {
			return d.Close() // nothing is there
		}
		if made {
			if next, err = d.Make(name, 0o755); err == nil {
				err = d.Sync()
			}
		}
		if err = errors.Join(err, d.Close()); err != nil {
			return err
		}
		d = next
	}
	p := putter{d, parts[len(parts)-1], fmt.Sprintf("%s%016x", list.Temporary, rand.Uint64())}
	err = p.put(e, content)
	if err == nil {
		err = d.Sync()
	}
	return errors.Join(err, d.Close())
}

// putter puts one entry into a folder.
type putter struct {
	in         *folder.Folder
	name, temp string
}

func (p *putter) put(e *Entry, content io.Reader) error {
	s, err := p.in.Lstat(p.name)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	isFolder := there && s.Mode&unix.S_IFMT == unix.S_IFDIR
	if e.Kind == Folder && isFolder {
		d, err := p.in.Folder(p.name)
		if err != nil {
			return err
		}
		return errors.Join(setAttributes(d.File(), e), d.Close())
	}
	if e.Kind == Gone {
		if isFolder {
			return p.removeFolder()
		}
		return p.in.Remove(p.name)
	}
	if err := p.make(e, content); err != nil {
		return errors.Join(err, p.removeTemp())
	}
	err = nil // nothing was there
	switch {
	case isFolder:
		err = p.removeFolder()
	case there && e.Kind == Folder:
		err = p.in.Remove(p.name)
	}
	if err == nil {
		err = p.in.Rename(p.temp, p.in, p.name)
	}
	if err != nil {
		return errors.Join(err, p.removeTemp())
	}
	return nil
}

// make makes the entry under its temporary name.
func (p *putter) make(e *Entry, content io.Reader) error {
	switch e.Kind {
	case Link:
		if err := p.in.Symlink(p.temp, e.Target); err != nil {
			return err
		}
		return p.in.Lchown(p.temp, e.UID, e.GID)
	case Folder:
		d, err := p.in.Make(p.temp, 0o700)
		if err != nil {
			return err
		}
		return errors.Join(setAttributes(d.File(), e), d.Close())
	}
	f, err := p.in.Create(p.temp)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	if err == nil {
		err = setAttributes(f, e)
	}
	if err == nil {
		err = folder.SyncFile(f)
	}
	return errors.Join(err, f.Close())
}

// removeTemp removes what make has left.
func (p *putter) removeTemp() error {
	err := p.in.Remove(p.temp)
	if errors.Is(err, unix.EISDIR) {
		err = p.in.RemoveAll(p.temp)
	}
	return err
}

// removeFolder removes the folder that is there, with what is in it. It is gone from its name at once
// where the file system can do that: an overlay cannot rename a folder of the image.
func (p *putter) removeFolder() error {
	name := p.temp + "-old"
	err := p.in.Rename(p.name, p.in, name)
	if errors.Is(err, unix.EXDEV) {
		name, err = p.name, nil
	}
	if err != nil {
		return err
	}
	return p.in.RemoveAll(name)
}
