package folder

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"deltaup/internal/durable"
)

// batch is how many names Empty reads at once.
const batch = 1024

// Empty removes what is in the folder, however deep it lies. It takes at most limit steps; with more
// its error wraps ErrMany, and the rest stays for the next time.
//
// A folder that is not empty is moved up into this one. So the way down is never longer than one
// level, whatever the medium holds.
func (d *Folder) Empty(ctx context.Context, limit int) error {
	e := emptier{ctx: ctx, top: d, left: limit}
	for {
		names, err := d.some(batch)
		if err != nil || len(names) == 0 {
			return err
		}
		for _, name := range names {
			if err := e.remove(name); err != nil {
				return err
			}
		}
	}
}

type emptier struct {
	ctx  context.Context
	top  *Folder
	left int
}

func (e *emptier) step(op durable.Op, name string) error {
	if e.left--; e.left < 0 {
		return fmt.Errorf("%s: %w to remove at once", e.top.Name(), ErrMany)
	}
	if err := e.ctx.Err(); err != nil {
		return err
	}
	return durable.Announce(durable.Action{Op: op, Path: e.top.path(name)})
}

// remove removes a name of the top folder. Folders below it that are not empty are then names of the
// top folder.
func (e *emptier) remove(name string) error {
	done, err := e.unlink(e.top, name)
	if done || err != nil {
		return err
	}
	inner, err := e.top.Folder(name)
	if err != nil {
		return err
	}
	for {
		names, err := inner.some(batch)
		if err == nil && len(names) == 0 {
			break
		}
		for _, below := range names {
			if err == nil {
				err = e.hoist(inner, below)
			}
		}
		if err != nil {
			return errors.Join(err, inner.Close())
		}
	}
	if err := inner.Close(); err != nil {
		return err
	}
	err = e.top.loosened(name, func() error { return unix.Unlinkat(e.top.fd(), name, unix.AT_REMOVEDIR) })
	return e.top.fail("rmdir", name, err)
}

// hoist removes a name, or moves it to the top.
func (e *emptier) hoist(from *Folder, name string) error {
	done, err := e.unlink(from, name)
	if done || err != nil {
		return err
	}
	return from.Discard(name, e.top)
}

// unlink removes a name unless that is a folder with something in it.
func (e *emptier) unlink(from *Folder, name string) (done bool, err error) {
	if err := e.step(durable.OpRemove, name); err != nil {
		return false, err
	}
	err = from.loosened(name, func() error { return unix.Unlinkat(from.fd(), name, 0) })
	if err == unix.EISDIR {
		err = from.loosened(name, func() error { return unix.Unlinkat(from.fd(), name, unix.AT_REMOVEDIR) })
		if err == unix.ENOTEMPTY || err == unix.EEXIST {
			return false, nil
		}
	}
	if err == unix.ENOENT {
		err = nil
	}
	return err == nil, from.fail("remove", name, err)
}
