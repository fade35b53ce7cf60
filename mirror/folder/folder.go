// Package folder is a mirror that lies in a folder of this machine: [At] is one that can be read
// and changed, and [Look] tells it from other folders.
package folder

import (
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
	"deltaup/mirror"
)

// Folder is a [mirror.Store]. What is written lies in tmp/ until it is whole and gets its name by
// being renamed. The lock is .lock, which the kernel frees when its holder dies.
type Folder struct{ dir string }

// At is the mirror in dir, which need not be there yet.
func At(dir string) *Folder { return &Folder{dir} }

func (f *Folder) String() string { return f.dir }

// Look implements [mirror.Store]: see the function Look.
func (f *Folder) Look(context.Context) (mirror.State, error) { return Look(f.dir) }

// Lock implements [mirror.Store]. It makes the folder.
func (f *Folder) Lock(ctx context.Context, wait func()) (unlock func(), err error) {
	if err := durable.MkdirAll(f.dir); err != nil {
		return nil, err
	}
	return lock(ctx, f.dir, wait)
}

// Recover implements [mirror.Store]. Files that a publisher renamed and did not get to sync are
// complete and will be used, so their names are made durable now.
func (f *Folder) Recover(ctx context.Context) error {
	if err := durable.RemoveTemps(f.tmp()); err != nil {
		return err
	}
	if err := durable.SyncFolder(f.dir); err != nil {
		return err
	}
	return walk(ctx, f.dir, "", func(name string, info fs.FileInfo) error {
		if !info.IsDir() {
			return nil
		}
		return durable.SyncFolder(filepath.Join(f.dir, filepath.FromSlash(name)))
	})
}

func (f *Folder) tmp() string { return filepath.Join(f.dir, mirror.TmpDir) }

// path is where a file lies.
func (f *Folder) path(name string) (string, error) {
	if err := mirror.CheckPath(name); err != nil {
		return "", err
	}
	return filepath.Join(f.dir, filepath.FromSlash(name)), nil
}

// Open implements [mirror.Files].
func (f *Folder) Open(_ context.Context, name string) (mirror.File, error) {
	path, err := f.path(name)
	if err != nil {
		return nil, err
	}
	o, err := plainfile.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := o.Stat()
	if err != nil {
		_ = o.Close() // nothing was read
		return nil, err
	}
	return &file{o, info.Size()}, nil
}

type file struct {
	*os.File
	size int64
}

func (f *file) Size() int64 { return f.size }

// List implements [mirror.Files].
func (f *Folder) List(ctx context.Context, dir string) ([]mirror.Entry, error) {
	if dir != "" {
		if err := mirror.CheckPath(dir); err != nil {
			return nil, err
		}
	}
	var list []mirror.Entry
	err := walk(ctx, f.dir, dir, func(name string, info fs.FileInfo) error {
		if !info.IsDir() {
			list = append(list, mirror.Entry{Name: name, Size: info.Size()})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// Each folder is sorted by itself: "a/b" comes before "a-b" there.
	slices.SortFunc(list, func(a, b mirror.Entry) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Create implements [mirror.Store].
func (f *Folder) Create(context.Context) (mirror.Draft, error) {
	d, err := durable.Create(f.tmp())
	if err != nil {
		return nil, err
	}
	return &draft{d, f}, nil
}

type draft struct {
	*durable.File
	folder *Folder
}

func (d *draft) Commit(_ context.Context, name string) error {
	path, err := d.folder.path(name)
	if err != nil {
		return err
	}
	return d.File.Commit(path)
}

// Write implements [mirror.Store].
func (f *Folder) Write(_ context.Context, name string, b []byte) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	return durable.WriteFile(f.tmp(), path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// Remove implements [mirror.Store].
func (f *Folder) Remove(_ context.Context, name string) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	return durable.Remove(path)
}
