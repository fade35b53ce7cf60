package settings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"deltaup/chunkstore"
	"deltaup/internal/folder"
)

// layUppers makes a new upper folder for each place, which holds what differs from the image's
// defaults.
func (p *plan) layUppers(ctx context.Context, in *folder.Folder, number int) error {
	top, err := in.Make(strconv.Itoa(number), 0o700)
	if err != nil {
		return err
	}
	defer top.Close() // it is synced later
	for _, full := range p.to.list.Places() {
		image, err := p.source.tree.find(full)
		missing := errors.Is(err, fs.ErrNotExist)
		if err != nil && !missing {
			return err
		}
		if len(p.report.Places) == maxPlaces {
			p.warn("%s: there are more than %d places: nothing is kept there", full, maxPlaces)
			continue
		}
		if !missing && image.Kind != Folder {
			p.warn("%s is no folder in the image: nothing is kept there", full)
			continue
		}
		if err := p.layPlace(ctx, top, full, missing); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) layPlace(ctx context.Context, top *folder.Folder, full string, missing bool) error {
	d, err := top.Make(placeName(full), 0o700)
	if err != nil {
		return err
	}
	defer d.Close() // it is synced later
	work, err := d.Make(nameWork, 0o700)
	if err != nil {
		return err
	}
	up, err := d.Make(nameUp, 0o755)
	if err != nil {
		return errors.Join(err, work.Close())
	}
	p.report.Places = append(p.report.Places, Place{Path: full, Missing: missing, Upper: up.File(), Work: work.File()})
	l := layer{plan: p, top: opened{full, up}}
	defer l.leave("")
	if err := setAttributes(up.File(), p.attributes(full)); err != nil {
		return err
	}
	for i := range p.lay {
		e := &p.lay[i]
		if !strings.HasPrefix(e.Path, full+"/") {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := l.entry(e); err != nil {
			return fmt.Errorf("lay %s: %w", e.Path, err)
		}
	}
	return nil
}

// attributes is what a folder shall be that has to be there. Of one that is not listed the image alone
// says that: its defaults in the store may be a stranger's.
func (p *plan) attributes(full string) *Entry {
	if e := p.folders[full]; e != nil {
		return e
	}
	if p.folders == nil {
		p.folders = map[string]*Entry{}
	}
	e := find(p.lay, full)
	if _, kept := p.to.list.Keep(full); e == nil || e.Kind != Folder || !kept {
		if f, err := p.source.tree.find(full); err == nil && f.Kind == Folder {
			e = &f.Entry
		}
	}
	if e == nil || e.Kind != Folder {
		e = folderOfBoot(full)
	}
	p.folders[full] = e
	return e
}

// layer fills one upper folder.
type layer struct {
	plan *plan
	top  opened
	path []opened // open folders, from the top's child to that of the last entry
}

type opened struct {
	path   string
	folder *folder.Folder
}

// leave closes the open folders that a path is not in.
func (l *layer) leave(full string) opened {
	for len(l.path) > 0 {
		last := l.path[len(l.path)-1]
		if full == last.path || strings.HasPrefix(full, last.path+"/") {
			return last
		}
		last.folder.Close() // it is synced later
		l.path = l.path[:len(l.path)-1]
	}
	return l.top
}

// enter opens a folder, which it makes when it is not there yet.
func (l *layer) enter(full string) (*folder.Folder, error) {
	at := l.leave(full)
	if full == at.path {
		return at.folder, nil
	}
	for name := range strings.SplitSeq(full[len(at.path)+1:], "/") {
		next := opened{path: at.path + "/" + name}
		var err error
		if next.folder, err = at.folder.Folder(name); errors.Is(err, fs.ErrNotExist) {
			a := l.plan.attributes(next.path)
			if next.folder, err = at.folder.Make(name, 0o700); err == nil {
				err = setAttributes(next.folder.File(), a)
			}
		}
		if next.folder != nil {
			l.path = append(l.path, next)
		}
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at.folder, nil
}

func (l *layer) entry(e *Entry) error {
	slash := strings.LastIndexByte(e.Path, '/')
	name := e.Path[slash+1:]
	if e.Kind == Folder {
		_, err := l.enter(e.Path)
		return err
	}
	if e.Kind == Gone && l.plan.covered(e.Path, l.top.path) {
		return nil
	}
	d, err := l.enter(e.Path[:slash])
	if err != nil {
		return err
	}
	switch e.Kind {
	case Link:
		if err := d.Symlink(name, e.Target); err != nil {
			return err
		}
		return d.Lchown(name, e.UID, e.GID)
	case Gone:
		return d.Whiteout(name)
	}
	return l.file(d, name, e)
}

// covered tells whether something above a path hides what the image has there.
func (p *plan) covered(full, place string) bool {
	covered := false
	parents(full, place, func(above string) {
		if e := find(p.lay, above); e != nil && e.Kind != Folder {
			covered = true
		}
	})
	return covered
}

// file makes a file. One whose content is lost is left out and told.
func (l *layer) file(d *folder.Folder, name string, e *Entry) error {
	from, err := l.plan.open(e.Content)
	if lost(err) {
		l.plan.warn("%s is the image's again: %v", e.Path, err)
		return nil
	}
	if err != nil {
		return err
	}
	defer from.Close() // nothing was written
	f, err := d.Create(name)
	if err != nil {
		return err
	}
	h := chunkstore.NewHasher()
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(from, MaxFile+1))
	if err == nil && (n != e.Size || h.ID() != e.Content) {
		err = fmt.Errorf("%w: its content is another one", ErrDamaged)
	}
	if err == nil {
		err = setAttributes(f, e)
	}
	return errors.Join(err, f.Close())
}

// setAttributes gives an open file or folder its owner, mode and attributes, and no others: a new one
// inherits from its folder. A change of owner takes set-id bits and capabilities away, so it comes
// first.
func setAttributes(f *os.File, e *Entry) error {
	fail := func(op string, err error) error { return &fs.PathError{Op: op, Path: f.Name(), Err: err} }
	fd := int(f.Fd())
	if err := unix.Fchown(fd, int(e.UID), int(e.GID)); err != nil {
		return fail("chown", err)
	}
	if err := clearXattrs(f); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, e.Mode); err != nil {
		return fail("chmod", err)
	}
	for _, x := range e.Xattrs {
		if err := unix.Fsetxattr(fd, x.Name, []byte(x.Value), 0); err != nil {
			return fail("set attribute "+x.Name+" of", err)
		}
	}
	return nil
}

// clearXattrs takes those attributes away that an entry can have.
func clearXattrs(f *os.File) error {
	have, err := xattrs(f)
	for _, x := range have {
		if err == nil {
			err = unix.Fremovexattr(int(f.Fd()), x.Name)
		}
	}
	return err
}
