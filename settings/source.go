package settings

import (
	"fmt"
	"io"
	"io/fs"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
	"deltaup/settings/list"
)

// Source is an image: its list, and the defaults that settings differ from.
type Source struct {
	tree  imageTree
	image chunkstore.ID
	list  *list.List
}

// imageTree is where an image's files are read.
type imageTree interface {
	// walk calls fn for a path and those below it for which want is true of the path and of all
	// folders between: a folder before its content. A missing path is no error. What fn gets can be
	// opened until fn returns.
	walk(path string, want func(path string) bool, fn func(*found) error) error
	// find gives one path. The error wraps fs.ErrNotExist when there is none.
	find(path string) (*found, error)
	fs() fs.FS
	close() error
}

// found is an entry of an image whose content is not read yet.
type found struct {
	Entry
	// other is set for what can be no entry: a device, a pipe, a socket.
	other bool
	open  func() (io.ReadCloser, error) // of a file
}

// FromFolder gives the source of a mounted image: the folder is its root, image its fingerprint (see
// mkimage.Fingerprint). It reads the list.
func FromFolder(folder string, image chunkstore.ID) (*Source, error) {
	t, err := openFolderTree(folder)
	if err != nil {
		return nil, err
	}
	return newSource(t, image)
}

// FromImage gives the source of an image in a file. It reads the list.
func FromImage(m *squashfs.Image) (*Source, error) {
	id, err := mkimage.Fingerprint(m)
	if err != nil {
		return nil, err
	}
	return newSource(&squashTree{m}, id)
}

func newSource(t imageTree, image chunkstore.ID) (*Source, error) {
	l, err := list.Read(t.fs())
	if err != nil {
		t.close()
		return nil, fmt.Errorf("list of settings: %w", err)
	}
	return &Source{tree: t, image: image, list: l}, nil
}

// Close closes the folder. It leaves a squashfs.Image open.
func (s *Source) Close() error { return s.tree.close() }

// FS is the image's root. Links in it lead nowhere outside.
func (s *Source) FS() fs.FS { return s.tree.fs() }

// List is the image's list.
func (s *Source) List() *list.List { return s.list }

// entry is the image's entry at a path, whether it is listed or not. It does not follow links. The
// error wraps fs.ErrNotExist when the image has none, or one of a kind that is never kept.
func (s *Source) entry(path string) (*Entry, error) {
	f, err := s.tree.find(path)
	if err == nil && f.other {
		err = &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, err
	}
	return f.entry()
}

// open opens the image's file at a path. It does not follow links.
func (s *Source) open(path string) (io.ReadCloser, error) {
	f, err := s.tree.find(path)
	if err == nil && f.open == nil {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrInvalid}
	}
	if err != nil {
		return nil, err
	}
	return f.open()
}

// entry is the whole entry, with the content's hash.
func (f *found) entry() (*Entry, error) {
	if f.Kind != File {
		return &f.Entry, nil
	}
	r, err := f.open()
	if err != nil {
		return nil, err
	}
	defer r.Close() // nothing was written
	h := chunkstore.NewHasher()
	n, err := io.Copy(h, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path, err)
	}
	f.Size, f.Content = n, h.ID()
	return &f.Entry, nil
}
