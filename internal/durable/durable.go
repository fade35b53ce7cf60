// Package durable writes files so that after a power cut each is there whole or
// not at all: temporary file, fsync, close, rename, fsync of the folder.
//
// [WriteFile] does all of it for a file whose name is known, [WriteSecret] for one that only its
// owner may read; [Create], [File.Seal] and [File.Commit] are its parts for files that are named
// only once they are written, or that become visible together. Temporary files lie in a folder of
// the caller's on the same file system; [RemoveTemps] clears what a crash left there. Every step
// can be made to fail, see [SetHook].
package durable

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	tempPrefix = "deltaup-"
	tempSuffix = ".tmp"

	fileMode   = 0o644 // before the umask: a mirror is for web servers to read
	folderMode = 0o755

	// Whatever the umask is.
	secretMode       = 0o600
	secretFolderMode = 0o700
)

// File is a file that is being written under a temporary name. It is for one
// goroutine; every File ends in Commit or Discard.
type File struct {
	f      *os.File
	name   string
	sealed bool // synced and closed
	done   bool // committed or discarded
}

// Create opens a new temporary file in the folder tmp, which is made if it is missing.
func Create(tmp string) (*File, error) { return create(tmp, fileMode) }

func create(tmp string, mode fs.FileMode) (*File, error) {
	if err := MkdirAll(tmp); err != nil {
		return nil, err
	}
	if err := step(Step{Op: OpCreate, Path: tmp}); err != nil {
		return nil, err
	}
	// Not os.CreateTemp: its files are their owner's only, whatever the umask says.
	name := filepath.Join(tmp, fmt.Sprintf("%s%016x%s", tempPrefix, rand.Uint64(), tempSuffix))
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	return &File{f: f, name: name}, nil
}

// Name is the temporary path.
func (f *File) Name() string { return f.name }

// Write appends p.
func (f *File) Write(p []byte) (int, error) {
	if err := step(Step{Op: OpWrite, Path: f.name}); err != nil {
		return 0, err
	}
	return f.f.Write(p)
}

// WriteAt writes p at off; it is not to be mixed with Write.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if err := step(Step{Op: OpWrite, Path: f.name}); err != nil {
		return 0, err
	}
	return f.f.WriteAt(p, off)
}

// ReadAt reads what was written, until Seal.
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

// Seal makes the bytes durable and closes the file; it can no longer be read or
// written, only committed. A second call does nothing.
func (f *File) Seal() error {
	if f.sealed {
		return nil
	}
	if err := step(Step{Op: OpSync, Path: f.name}); err != nil {
		return err
	}
	if err := f.f.Sync(); err != nil {
		return err
	}
	f.sealed = true
	return f.f.Close()
}

// Commit seals the file and gives it its name, replacing what had it; missing
// parent folders are made. When it returns nil the file is durable under path.
// After an error the file may or may not be there, but never in part.
func (f *File) Commit(path string) error {
	if f.done {
		return fmt.Errorf("commit %s: %w", path, fs.ErrClosed)
	}
	if err := f.Seal(); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := MkdirAll(dir); err != nil {
		return err
	}
	if err := step(Step{Op: OpRename, Path: f.name, To: path}); err != nil {
		return err
	}
	if err := os.Rename(f.name, path); err != nil {
		return err
	}
	f.done = true
	return SyncFolder(dir)
}

// Discard removes the temporary file; after Commit it does nothing, so that it
// can be deferred. What it cannot remove, RemoveTemps will.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	if !f.sealed {
		f.sealed = true
		f.f.Close()
	}
	if step(Step{Op: OpRemove, Path: f.name}) == nil {
		os.Remove(f.name)
	}
}

// WriteFile makes path hold what write writes, durably, or leaves it as it was. The
// temporary file lies in tmp. Errors of write are returned as they are.
func WriteFile(tmp, path string, write func(io.Writer) error) error {
	f, err := Create(tmp)
	if err != nil {
		return err
	}
	return f.write(path, write)
}

// WriteSecret is WriteFile for a file that its owner alone may read and write, from its first byte
// on and under every umask.
func WriteSecret(tmp, path string, write func(io.Writer) error) error {
	f, err := create(tmp, secretMode)
	if err != nil {
		return err
	}
	if err := f.f.Chmod(secretMode); err != nil { // a umask can have taken the owner's bits as well
		f.Discard()
		return err
	}
	return f.write(path, write)
}

// write fills the file and names it, or discards it.
func (f *File) write(path string, write func(io.Writer) error) error {
	defer f.Discard()
	w := bufio.NewWriterSize(f, 256<<10)
	if err := write(w); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Commit(path)
}

// MkdirAll makes a folder and its missing parents, each durable in its own parent.
func MkdirAll(dir string) error { return mkdirAll(dir, folderMode) }

// MkdirSecret is MkdirAll for a folder that its owner alone may enter, from the moment on when it
// is there and under every umask. A folder that is there already stays as it is.
func MkdirSecret(dir string) error { return mkdirAll(dir, secretFolderMode) }

// mkdirAll gives the folder this mode, and its missing parents the usual one.
func mkdirAll(dir string, mode fs.FileMode) error {
	info, err := os.Stat(dir)
	if err == nil {
		if !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
		}
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := step(Step{Op: OpMkdir, Path: dir}); err != nil {
		return err
	}
	err = os.Mkdir(dir, mode)
	if err == nil && mode == secretFolderMode { // a umask can have taken the owner's bits as well
		err = os.Chmod(dir, mode)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return SyncFolder(parent)
}

// Remove removes a file durably; a file that is not there is no error.
func Remove(path string) error {
	if err := step(Step{Op: OpRemove, Path: path}); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return SyncFolder(filepath.Dir(path))
}

// Rename gives a file another name in the same file system, durably, replacing what had it.
func Rename(from, to string) error {
	if err := step(Step{Op: OpRename, Path: from, To: to}); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if filepath.Dir(from) != filepath.Dir(to) {
		if err := SyncFolder(filepath.Dir(from)); err != nil {
			return err
		}
	}
	return SyncFolder(filepath.Dir(to))
}

// IsTemp tells whether a file has the name of a temporary one.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// RemoveTemps removes the temporary files that crashed processes left in tmp. The
// caller makes sure (by a lock) that nobody is writing there.
func RemoveTemps(tmp string) error {
	entries, err := os.ReadDir(tmp)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !IsTemp(e.Name()) {
			continue
		}
		path := filepath.Join(tmp, e.Name())
		if err := step(Step{Op: OpRemove, Path: path}); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
