package chunkstore

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"deltaup/internal/durable"
)

// PackFiles is where the packs of a [Folder] lie. [OpenFolder] uses a folder of this machine.
type PackFiles interface {
	// List returns the ids of all packs, ascending.
	List() ([]ID, error)
	// Open opens a pack for reading. The error for a pack that is not there wraps fs.ErrNotExist.
	Open(id ID) (PackFile, error)
	// Create begins a pack, whose id is known only at its end.
	Create() (PackDraft, error)
	// Name is how messages name a pack.
	Name(id ID) string
}

// PackFile is a pack that is open for reading.
type PackFile interface {
	io.ReaderAt
	io.Closer
	Size() int64
}

// PackDraft is a pack that is being written and that nobody sees. It ends in Commit or Discard.
type PackDraft interface {
	io.Writer
	io.ReaderAt // reads what was written, until Seal
	// Seal ends writing and frees what writing takes.
	Seal() error
	// Commit makes the pack durable and visible under its id.
	Commit(id ID) error
	// Discard removes the draft. After Commit it does nothing.
	Discard()
}

// localPacks are packs DIR/ab/abcd….pack in a folder of this machine.
type localPacks struct {
	dir string
	tmp string // on the same file system
}

func (l localPacks) Name(id ID) string { return filepath.Join(l.dir, PackPath(id)) }

func (l localPacks) List() ([]ID, error) {
	folders, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var ids []ID
	for _, sub := range folders {
		if !sub.IsDir() {
			continue
		}
		files, err := os.ReadDir(filepath.Join(l.dir, sub.Name()))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if id, ok := ParsePackPath(sub.Name() + "/" + file.Name()); ok {
				ids = append(ids, id)
			}
		}
	}
	return ids, nil
}

// ParsePackPath takes a pack's id from its [PackPath]. It returns false for all other names.
func ParsePackPath(path string) (ID, bool) {
	_, file, _ := strings.Cut(path, "/")
	id, err := ParseID(strings.TrimSuffix(file, packSuffix))
	return id, err == nil && PackPath(id) == path
}

func (l localPacks) Open(id ID) (PackFile, error) {
	f, err := os.Open(l.Name(id))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	return &localPack{f, info.Size()}, nil
}

type localPack struct {
	*os.File
	size int64
}

func (p *localPack) Size() int64 { return p.size }

func (l localPacks) Create() (PackDraft, error) {
	f, err := durable.Create(l.tmp)
	if err != nil {
		return nil, err
	}
	return &localDraft{f, l}, nil
}

type localDraft struct {
	*durable.File
	packs localPacks
}

func (d *localDraft) Commit(id ID) error { return d.File.Commit(d.packs.Name(id)) }
