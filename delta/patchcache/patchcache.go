// Package patchcache keeps in a folder what was made for patch sets: it is a patchset.Keeper that
// outlives a run. [Open] it, give it to who makes sets, and look at [Folder.Err] afterwards.
//
// The folder has a bound. When it is exceeded, what was not used for longest goes. Nothing in it is
// needed: it may be deleted at any time, and several runs may use it at once. A run that is killed
// leaves what it had put there. Entries are written without sync, as each has a hash: after a loss
// of power some are damaged, and are made anew. The folder must belong to whom the publisher trusts
// with the size of sets: patchset.Make proves what it finds, so that a forged entry makes a set
// larger, and not wrong.
package patchcache

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"deltaup/chunkstore"
	"deltaup/internal/plainfile"
)

const (
	// entryMax is how many bytes an entry has at most. What is larger is not kept.
	entryMax = 64 << 20
	// Of the bound, a part of 1/spared stays free when entries go, so that not each one that comes
	// looks through the folder.
	spared = 8
	// tempLife is after how long a temporary file is taken for one that a killed run has left.
	tempLife = time.Hour

	tempPrefix = "new-"
	hashSize   = len(chunkstore.ID{})
)

// Folder is a cache in a folder. It is for several goroutines.
type Folder struct {
	dir string
	max int64 // bytes

	mu   sync.Mutex
	size int64 // bytes of all entries, about: other runs add some, too
	err  error
}

// Open opens the cache in dir, which it makes if it is not there, of at most max bytes. Others than
// the user have no access to a folder that it makes.
func Open(dir string, max int64) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cache of patches: %w", err)
	}
	f := &Folder{dir: dir, max: max}
	if err := f.trim(); err != nil {
		return nil, fmt.Errorf("cache of patches: %w", err)
	}
	return f, nil
}

// Err tells why the cache keeps nothing more, nil when it does.
func (f *Folder) Err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// path is where an entry lies: in one of 256 folders.
func (f *Folder) path(key chunkstore.ID) string {
	name := key.String()
	return filepath.Join(f.dir, name[:2], name[2:])
}

// Get implements patchset.Keeper. A damaged entry is none, and goes.
func (f *Folder) Get(key chunkstore.ID) []byte {
	path := f.path(key)
	b, err := plainfile.Read(path, entryMax+int64(hashSize))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(b) >= hashSize && sum(key, b[hashSize:]) == chunkstore.ID(b[:hashSize]) {
		now := time.Now()
		os.Chtimes(path, now, now) // if that fails, it goes sooner
		return b[hashSize:]
	}
	if os.Remove(path) == nil {
		f.add(-int64(len(b)))
	}
	return nil
}

// sum is the hash of an entry, which proves that it is whole and under its own key.
func sum(key chunkstore.ID, value []byte) chunkstore.ID {
	h := chunkstore.NewHasher()
	h.Write(key[:])
	h.Write(value)
	return h.ID()
}

// Put implements patchset.Keeper. After its first error it does nothing any more.
func (f *Folder) Put(key chunkstore.ID, value []byte) {
	size := int64(hashSize + len(value))
	if len(value) > entryMax || size > f.max || f.Err() != nil {
		return
	}
	err := f.put(key, value)
	if err == nil && f.add(size) > f.max {
		err = f.trim()
	}
	if err != nil {
		f.mu.Lock()
		f.err = cmp.Or(f.err, err)
		f.mu.Unlock()
	}
}

func (f *Folder) put(key chunkstore.ID, value []byte) error {
	path := f.path(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	temp, err := os.CreateTemp(f.dir, tempPrefix)
	if err != nil {
		return err
	}
	hash := sum(key, value)
	_, err = temp.Write(hash[:])
	if err == nil {
		_, err = temp.Write(value)
	}
	if e := temp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name()) // else it goes with those of killed runs
	}
	return err
}

// add notes that there are so many bytes more, and gives those that there are.
func (f *Folder) add(bytes int64) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size += bytes
	return f.size
}

// entry is a file of the cache.
type entry struct {
	path string
	size int64
	used time.Time
}

// trim looks through the folder and removes what is too much, and what killed runs have left. It
// touches nothing that has no name of the cache's.
func (f *Folder) trim() error {
	if err := f.removeTemps(); err != nil {
		return err
	}
	var all []entry
	size := int64(0)
	for i := range 256 {
		part := filepath.Join(f.dir, fmt.Sprintf("%02x", i))
		list, err := infos(part)
		if err != nil {
			return err
		}
		for _, info := range list {
			if _, err := chunkstore.ParseID(filepath.Base(part) + info.Name()); err == nil {
				all = append(all, entry{filepath.Join(part, info.Name()), info.Size(), info.ModTime()})
				size += info.Size()
			}
		}
	}
	if size > f.max {
		slices.SortFunc(all, func(a, b entry) int { return a.used.Compare(b.used) })
		for _, e := range all {
			if size <= f.max-f.max/spared {
				break
			}
			if err := remove(e.path); err != nil {
				return err
			}
			size -= e.size
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.size = size
	return nil
}

func (f *Folder) removeTemps() error {
	list, err := infos(f.dir)
	if err != nil {
		return err
	}
	for _, info := range list {
		if strings.HasPrefix(info.Name(), tempPrefix) && time.Since(info.ModTime()) > tempLife {
			if err := remove(filepath.Join(f.dir, info.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// infos gives the regular files of a folder, none when there is no such folder.
func infos(dir string) (list []fs.FileInfo, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) { // another run has removed it
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, info)
	}
	return list, err
}

// remove removes a file, which another run may have removed.
func remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
