package cache

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/durable"
)

// syncEvery is how much time's worth of fetched bytes a power cut may cost.
const syncEvery = 3 * time.Second

// Writer appends to a new part of the cache. Every Write goes straight to the file, so that what
// was written survives the death of the process. A power cut costs at most the last 3 seconds.
// Close it.
type Writer struct {
	cache *Cache
	id    chunkstore.ID
	part  *part
	f     *os.File
}

// Create starts the part of file id at offset, where there must be none yet.
func (c *Cache) Create(id chunkstore.ID, offset int64) (*Writer, error) {
	if err := durable.MkdirAll(c.folder(id)); err != nil {
		return nil, err
	}
	p := &part{path: c.path(id, offset), extent: delta.Extent{Offset: offset}}
	f, err := os.OpenFile(p.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("download cache: %w", err)
	}
	c.mu.Lock()
	c.add(id, p)
	c.mu.Unlock()
	c.unsynced.add(p.path)
	return &Writer{cache: c, id: id, part: p, f: f}, nil
}

// Write appends p. Readers may have it when Write returns.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.cache.mu.Lock()
	w.part.extent.Length += int64(n)
	w.cache.mu.Unlock()
	w.cache.Wake()
	if err == nil {
		err = w.cache.unsynced.sync(time.Now(), w.part.path)
	}
	if err != nil {
		err = fmt.Errorf("download cache: %w", err)
	}
	return n, err
}

// Close ends the part. One that stayed empty is removed.
func (w *Writer) Close() error {
	if w.part.extent.Length > 0 {
		return w.f.Close()
	}
	w.cache.remove(w.id, w.part)
	w.cache.unsynced.forget(w.part.path)
	return errors.Join(w.f.Close(), os.Remove(w.part.path))
}

// remove forgets a part.
func (c *Cache) remove(id chunkstore.ID, p *part) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parts[id] = slices.DeleteFunc(c.parts[id], func(x *part) bool { return x == p })
}

// unsynced is the parts that have bytes which a power cut would cost. All of them are made durable
// together, every syncEvery. An update that takes less time than that never waits for the disk: its
// parts are used and removed before.
type unsynced struct {
	mu    sync.Mutex
	paths map[string]bool
	since time.Time // when the first of them was written to
}

func (u *unsynced) add(path string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.paths) == 0 {
		u.paths, u.since = map[string]bool{}, time.Now()
	}
	u.paths[path] = true
}

func (u *unsynced) forget(path string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.paths, path)
}

// sync makes all parts durable when it is time. The part at path is being written to, so it stays
// one of them.
func (u *unsynced) sync(now time.Time, path string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if now.Sub(u.since) < syncEvery {
		u.paths[path] = true
		return nil
	}
	for p := range u.paths {
		if err := syncPart(p); err != nil {
			return err
		}
	}
	u.paths, u.since = map[string]bool{path: true}, time.Now()
	return nil
}

// syncPart makes a part and its name durable, unless the part was removed meanwhile.
func syncPart(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	err = errors.Join(f.Sync(), f.Close())
	if err == nil {
		err = durable.SyncFolder(filepath.Dir(path))
	}
	return err
}
