package folder

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"deltaup/mirror"
)

// walk calls fn for all that a mirror in root has below a folder of that name, "" for the whole
// mirror: files and folders, but no hidden ones and not tmp/. Names are relative to root. Links are
// followed: packs may lie on another disk. What goes while it walks is left out.
func walk(ctx context.Context, root, name string,
	fn func(name string, info fs.FileInfo) error) error {
	w := &walker{ctx: ctx, root: root, fn: fn}
	info, err := os.Stat(w.path(name))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return nil
	}
	if err != nil {
		return err
	}
	return w.folder(name, []fs.FileInfo{info})
}

type walker struct {
	ctx  context.Context
	root string
	fn   func(name string, info fs.FileInfo) error
}

func (w *walker) path(name string) string {
	return filepath.Join(w.root, filepath.FromSlash(name))
}

// folder visits what is in a folder. Above are the folders that it lies in, itself included: a link
// back to one of them has no end.
func (w *walker) folder(name string, above []fs.FileInfo) error {
	entries, err := os.ReadDir(w.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.entry(path.Join(name, e.Name()), above); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(name string, above []fs.FileInfo) error {
	if !mirror.ValidPath(name) {
		return nil
	}
	info, err := os.Stat(w.path(name))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) { // or a link that leads nowhere
		return nil
	}
	if err != nil {
		return err
	}
	same := func(x fs.FileInfo) bool { return os.SameFile(x, info) }
	if info.IsDir() && slices.ContainsFunc(above, same) {
		return nil
	}
	if err := w.fn(name, info); err != nil || !info.IsDir() {
		return err
	}
	return w.folder(name, append(slices.Clip(above), info))
}
