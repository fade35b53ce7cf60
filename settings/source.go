package settings

import (
	"io"
	"io/fs"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
	"deltaup/settings/list"
)

// Source is an image: its list, and the defaults that settings differ from.
type Source struct{}

// FromFolder gives the source of a mounted image: the folder is its root, image its fingerprint (see
// mkimage.Fingerprint). It reads the list.
func FromFolder(folder string, image chunkstore.ID) (*Source, error) { return nil, errTodo }

// FromImage gives the source of an image in a file. It reads the list.
func FromImage(m *squashfs.Image) (*Source, error) { return nil, errTodo }

// Close closes the folder. It leaves a squashfs.Image open.
func (s *Source) Close() error { return errTodo }

// FS is the image's root. Links in it lead nowhere outside.
func (s *Source) FS() fs.FS { return nil }

// Fingerprint names the image.
func (s *Source) Fingerprint() chunkstore.ID { return chunkstore.ID{} }

// List is the image's list.
func (s *Source) List() *list.List { return nil }

// Entry is the image's entry at a path, whether it is listed or not. It does not follow links. The
// error wraps fs.ErrNotExist when the image has none, or one of a kind that is never kept.
func (s *Source) Entry(path string) (*Entry, error) { return nil, errTodo }

// Open opens the image's file at a path. It does not follow links.
func (s *Source) Open(path string) (io.ReadCloser, error) { return nil, errTodo }
