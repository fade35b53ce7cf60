// Package durable writes files so that after a power cut each is there whole or not at all, by
// these steps: temporary file, fsync, close, rename, fsync of the folder.
//
// [WriteFile] does all steps for a file whose name is known, and [WriteSecret] for one that only
// its owner may read. [Create], [File.Seal] and [File.Commit] are for files that get their name
// only when they are written, or that become visible together. The caller gives a folder for
// temporary files on the same file system; [RemoveTemps] removes what a crash left there. Tests can
// make each step fail with [SetHook].
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

	fileMode   = 0o644 // before the umask, since web servers read a mirror
	folderMode = 0o755

	// These hold under every umask.
	secretMode       = 0o600
	secretFolderMode = 0o700
)

// File is a file that is being written under a temporary name. One goroutine uses it. It ends with
// Commit or Discard.
type File struct {
	f      *os.File
	name   string
	sealed bool // synced and closed
	done   bool // committed or discarded
}

// Create opens a new temporary file in the folder tmp, which it makes if it is missing.
func Create(tmp string) (*File, error) { return create(tmp, fileMode) }

func create(tmp string, mode fs.FileMode) (*File, error) {
	if err := MkdirAll(tmp); err != nil {
		return nil, err
	}
	if err := announce(Action{Op: OpCreate, Path: tmp}); err != nil {
		return nil, err
	}
	// Not os.CreateTemp, whose files only their owner may read, whatever the umask is.
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
	if err := announce(Action{Op: OpWrite, Path: f.name}); err != nil {
		return 0, err
	}
	return f.f.Write(p)
}

// WriteAt writes p at off. A File takes either Write or WriteAt, not both.
func (f *File) WriteAt(p []byte, off int64) (int, error) {
	if err := announce(Action{Op: OpWrite, Path: f.name}); err != nil {
		return 0, err
	}
	return f.f.WriteAt(p, off)
}

// ReadAt reads what has been written. It works until Seal.
func (f *File) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

// Seal makes the bytes durable and closes the file, which after that can only be committed or
// discarded. A second call does nothing.
func (f *File) Seal() error {
	if f.sealed {
		return nil
	}
	if err := announce(Action{Op: OpSync, Path: f.name}); err != nil {
		return err
	}
	if err := f.f.Sync(); err != nil {
		return err
	}
	f.sealed = true
	return f.f.Close()
}

// Commit seals the file and renames it to path, in place of a file there. It makes missing parent
// folders. When it returns nil, the file is durable under path. After an error either the whole
// file or what was there before is at path.
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
	if err := announce(Action{Op: OpRename, Path: f.name, To: path}); err != nil {
		return err
	}
	if err := os.Rename(f.name, path); err != nil {
		return err
	}
	f.done = true
	return SyncFolder(dir)
}

// Discard removes the temporary file. After Commit it does nothing, so that callers can defer it.
// RemoveTemps removes what Discard cannot.
func (f *File) Discard() {
	if f.done {
		return
	}
	f.done = true
	if !f.sealed {
		f.sealed = true
		f.f.Close()
	}
	if announce(Action{Op: OpRemove, Path: f.name}) == nil {
		os.Remove(f.name)
	}
}

// WriteFile durably replaces the file at path by what write writes, or leaves it as it was. The
// temporary file lies in tmp. WriteFile returns errors of write as they are.
func WriteFile(tmp, path string, write func(io.Writer) error) error {
	f, err := Create(tmp)
	if err != nil {
		return err
	}
	return f.write(path, write)
}

// WriteSecret is WriteFile for a file that only its owner may read and write, from its first byte
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

// write fills the file and commits it, or discards it.
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

// MkdirAll makes a folder and its missing parents, and makes each durable in its parent.
func MkdirAll(dir string) error { return mkdirAll(dir, folderMode) }

// MkdirSecret is MkdirAll for a folder that only its owner may enter, from the first moment and
// under every umask. An existing folder keeps its mode.
func MkdirSecret(dir string) error { return mkdirAll(dir, secretFolderMode) }

// mkdirAll makes a folder with a mode, and its missing parents with the usual mode.
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
	if err := announce(Action{Op: OpMkdir, Path: dir}); err != nil {
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

// Remove removes a file durably. A missing file is no error.
func Remove(path string) error {
	if err := announce(Action{Op: OpRemove, Path: path}); err != nil {
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

// Rename durably renames a file within a file system, in place of a file that has the new name.
func Rename(from, to string) error {
	if err := announce(Action{Op: OpRename, Path: from, To: to}); err != nil {
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

// IsTemp tells whether a name is that of a temporary file.
func IsTemp(name string) bool {
	return strings.HasPrefix(name, tempPrefix) && strings.HasSuffix(name, tempSuffix)
}

// RemoveTemps removes the temporary files that crashed processes left in tmp. The caller makes
// sure, by a lock, that nobody writes there.
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
		if err := announce(Action{Op: OpRemove, Path: path}); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
