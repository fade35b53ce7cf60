package apply

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/durable"
)

// syncEvery is how much time's worth of fetched bytes a power cut may cost.
const syncEvery = 3 * time.Second

// partWriter appends to a new part of the cache. Every Write goes straight to the
// file: what was written survives the death of the process.
type partWriter struct {
	cache  *cache
	id     chunkstore.ID
	part   *part
	f      *os.File
	synced time.Time
}

// create starts the part of file id at offset.
func (c *cache) create(id chunkstore.ID, offset int64) (*partWriter, error) {
	if err := durable.MkdirAll(c.folder(id)); err != nil {
		return nil, err
	}
	p := &part{path: c.path(id, offset), extent: delta.Extent{Offset: offset}}
	f, err := os.OpenFile(p.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, fmt.Errorf("download cache: %w", err)
	}
	if err := durable.SyncFolder(c.folder(id)); err != nil {
		f.Close()
		return nil, err
	}
	c.mu.Lock()
	c.add(id, p)
	c.mu.Unlock()
	return &partWriter{cache: c, id: id, part: p, f: f, synced: time.Now()}, nil
}

// Write appends p.
func (w *partWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	w.cache.mu.Lock()
	w.part.extent.Length += int64(n)
	w.cache.mu.Unlock()
	if err != nil {
		return n, fmt.Errorf("download cache: %w", err)
	}
	if time.Since(w.synced) < syncEvery {
		return n, nil
	}
	w.synced = time.Now()
	return n, w.f.Sync()
}

// Close makes the part durable. One that stayed empty is removed.
func (w *partWriter) Close() error {
	if w.part.extent.Length > 0 {
		return errors.Join(w.f.Sync(), w.f.Close())
	}
	w.cache.remove(w.id, w.part)
	return errors.Join(w.f.Close(), os.Remove(w.part.path))
}

// remove forgets a part.
func (c *cache) remove(id chunkstore.ID, p *part) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parts[id] = slices.DeleteFunc(c.parts[id], func(x *part) bool { return x == p })
}
