// Package overlay reads the upper folder of an overlayfs as it lies on the disk, without mounting it:
// what the kernel has written there, or a stranger. The marks are those of the kernel's
// Documentation/filesystems/overlayfs.rst.
package overlay

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"deltaup/internal/folder"
)

// Item is one name in an upper folder. Names that are there only to lead to others are among them.
type Item struct {
	Path string // below the upper folder, slash-separated, as "ssh/sshd_config"; "" for itself
	// Whiteout removes what the image has at the path, and below it.
	Whiteout bool
	// Opaque is of a folder: it hides what the image has below it.
	Opaque bool
	// Foreign is a mark with which the kernel would show other content than what lies here.
	Foreign bool
	// Passed is of a folder: what is in it is not read.
	Passed bool

	Stat   unix.Stat_t // of the name itself
	File   *os.File    // open: a regular file or a folder; nil for the rest. Closed after the call
	Target string      // of a symbolic link
}

// Visit says whether what is in a folder is read.
type Visit int

// What a reader wants of a folder.
const (
	Must Visit = iota // too much in it is an error
	Try               // with too much in it, it is passed
	Pass
)

// Bounds of what Read visits.
const (
	maxNames = 100_000
	MaxDepth = 64

	maxTried = maxNames / 2 // names in folders that are only tried
)

// ErrBounds is wrapped when an upper folder has more names or levels than Read visits.
var ErrBounds = errors.New("more than an upper folder may have")

// Reader reads upper folders. Its bounds are for all of them together.
type Reader struct {
	Enter func(folder string) Visit
	Each  func(*Item) error

	names, tried int
}

// Read calls Each for each name in an upper folder, and in those folders that Enter wants: a folder
// before its content, the names of a folder sorted by their bytes. It opens nothing but regular files
// and folders, and follows no link. It returns errors of Each as they are.
func (r *Reader) Read(ctx context.Context, upper *folder.Folder) error {
	s, err := upper.Stat()
	if err != nil {
		return err
	}
	return r.folder(ctx, upper, &Item{Stat: s, File: upper.File()}, Must, 0)
}

// folder reads a folder, which is open as item.File, too.
func (r *Reader) folder(ctx context.Context, d *folder.Folder, item *Item, visit Visit, depth int) error {
	item.Opaque = hasMark(item.File, "trusted.overlay.opaque", "y")
	item.Foreign = hasMark(item.File, "trusted.overlay.redirect", "")
	names, err := r.list(d, visit, depth)
	if err != nil {
		return err
	}
	item.Passed = names == nil
	if err := r.Each(item); err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.name(ctx, d, name, path.Join(item.Path, name), depth+1); err != nil {
			return err
		}
	}
	return nil
}

// list gives the names of a folder; nil when they are not to be read.
func (r *Reader) list(d *folder.Folder, visit Visit, depth int) ([]string, error) {
	count, limit := &r.names, maxNames
	switch visit {
	case Pass:
		return nil, nil
	case Try:
		count, limit = &r.tried, maxTried
	}
	names, err := d.Names(limit - *count)
	if errors.Is(err, folder.ErrMany) || depth >= MaxDepth && len(names) > 0 {
		if visit == Try {
			return nil, nil
		}
		return nil, fmt.Errorf("%s: %w: %d names, %d levels", d.Name(), ErrBounds, maxNames, MaxDepth)
	}
	if err != nil {
		return nil, err
	}
	*count += len(names)
	return append([]string{}, names...), nil
}

func (r *Reader) name(ctx context.Context, d *folder.Folder, name, full string, depth int) error {
	s, err := d.Lstat(name)
	if errors.Is(err, unix.ENOENT) {
		return nil // removed meanwhile: a machine that runs changes it
	}
	if err != nil {
		return err
	}
	item := &Item{Path: full, Stat: s}
	switch s.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		inner, err := d.Folder(name)
		if err != nil {
			return gone(err)
		}
		defer inner.Close() // nothing was written
		item.File = inner.File()
		return r.folder(ctx, inner, item, r.Enter(full), depth)
	case unix.S_IFREG:
		f, err := d.Open(name)
		if err != nil {
			return gone(err)
		}
		defer f.Close() // nothing was written
		item.File = f
		item.Foreign = hasMark(f, "trusted.overlay.metacopy", "") || hasMark(f, "trusted.overlay.redirect", "")
		item.Whiteout = s.Size == 0 && hasMark(f, "trusted.overlay.whiteout", "")
	case unix.S_IFLNK:
		if item.Target, err = d.Readlink(name); err != nil {
			return gone(err)
		}
	case unix.S_IFCHR:
		item.Whiteout = s.Rdev == 0
	}
	return r.Each(item)
}

// gone forgives that a running machine has removed a name meanwhile.
func gone(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}

// hasMark tells whether a file has an attribute, with this value unless that is empty.
func hasMark(f *os.File, name, value string) bool {
	var p [8]byte
	n, err := unix.Fgetxattr(int(f.Fd()), name, p[:])
	return err == nil && (value == "" || string(p[:n]) == value) || err == unix.ERANGE && value == ""
}
