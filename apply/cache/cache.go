// Package cache keeps on disk what an update has fetched of a mirror's files, so that a later run
// fetches no byte of it again. [Open] lists what earlier runs left, [Cache.Create] takes bytes as
// they arrive, [Cache.Missing] says what has still to be fetched, and [Cache.ReadAt] gives the
// bytes back.
//
// The part ID/OFFSET of the folder holds the bytes of the mirror's file ID from OFFSET (decimal)
// on. The length of the part says how many they are, so that a part is right at any moment without
// further records. Nothing in the cache is trusted: the reader verifies, and has bad bytes removed
// with [Cache.Cut].
package cache

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"deltaup/chunkstore"
	"deltaup/delta"
	"deltaup/internal/durable"
)

// Cache is the fetched bytes of a mirror's files, in one folder. Several goroutines may use it at
// once.
type Cache struct {
	dir   string
	mu    sync.Mutex
	parts map[chunkstore.ID][]*part // by offset
	grown chan struct{}             // closed, and made anew, when a part grows

	unsynced unsynced
}

// part is one file of the cache.
type part struct {
	path   string
	extent delta.Extent
}

// Open lists what earlier runs left in a folder, which need not exist yet. It ignores files of
// other names.
func Open(dir string) (*Cache, error) {
	c := &Cache{dir: dir, parts: map[chunkstore.ID][]*part{}, grown: make(chan struct{})}
	folders, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		id, err := chunkstore.ParseID(folder.Name())
		if err != nil || !folder.IsDir() {
			continue // not ours
		}
		if err := c.list(id); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c *Cache) list(id chunkstore.ID) error {
	entries, err := os.ReadDir(c.folder(id))
	if err != nil {
		return err
	}
	for _, e := range entries {
		offset, err := strconv.ParseInt(e.Name(), 10, 64)
		if err != nil || strconv.FormatInt(offset, 10) != e.Name() || offset < 0 ||
			!e.Type().IsRegular() {
			continue // not ours
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		p := &part{
			path:   c.path(id, offset),
			extent: delta.Extent{Offset: offset, Length: info.Size()},
		}
		if p.extent.Length == 0 {
			// A run was killed before the first byte; the name would be in the next one's way.
			if err := os.Remove(p.path); err != nil {
				return err
			}
			continue
		}
		if p.extent.End() > 0 {
			c.add(id, p)
		}
	}
	return nil
}

func (c *Cache) folder(id chunkstore.ID) string { return filepath.Join(c.dir, id.String()) }

func (c *Cache) path(id chunkstore.ID, offset int64) string {
	return filepath.Join(c.folder(id), strconv.FormatInt(offset, 10))
}

func (c *Cache) add(id chunkstore.ID, p *part) {
	parts := c.parts[id]
	i, _ := slices.BinarySearchFunc(parts, p.extent.Offset,
		func(x *part, offset int64) int { return cmp.Compare(x.extent.Offset, offset) })
	c.parts[id] = slices.Insert(parts, i, p)
}

// Extents lists the bytes of a file that are on disk.
func (c *Cache) Extents(id chunkstore.ID) []delta.Extent {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []delta.Extent
	for _, p := range c.parts[id] {
		out = append(out, p.extent)
	}
	return out
}

// Missing lists the bytes of e that are not on disk, in order.
func (c *Cache) Missing(id chunkstore.ID, e delta.Extent) []delta.Extent {
	c.mu.Lock()
	defer c.mu.Unlock()
	return e.Without(func(yield func(delta.Extent) bool) {
		for _, p := range c.parts[id] { // by offset
			if !yield(p.extent) {
				return
			}
		}
	})
}

// Lacks counts the bytes of e that are not on disk.
func (c *Cache) Lacks(id chunkstore.ID, e delta.Extent) (n int64) {
	for _, m := range c.Missing(id, e) {
		n += m.Length
	}
	return n
}

// Await returns when there is true or the context ends. It asks at once, and again whenever a part
// has grown.
func (c *Cache) Await(ctx context.Context, there func() bool) error {
	for {
		c.mu.Lock()
		grown := c.grown
		c.mu.Unlock()
		if there() {
			return ctx.Err()
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Wake has everybody who awaits something ask again.
func (c *Cache) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.grown)
	c.grown = make(chan struct{})
}

// ReadAt fills p with the bytes of file id from off on. When not all of them are on disk it fails
// with chunkstore.ErrNotFound.
func (c *Cache) ReadAt(id chunkstore.ID, p []byte, off int64) error {
	for len(p) > 0 {
		part, ok := c.find(id, off)
		if !ok {
			return fmt.Errorf("byte %d of %s: %w in the download cache", off, id,
				chunkstore.ErrNotFound)
		}
		n, err := readPart(part, p, off)
		if err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	return nil
}

// find gives the part that has byte off.
func (c *Cache) find(id chunkstore.ID, off int64) (part, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.parts[id] {
		if p.extent.Offset <= off && off < p.extent.End() {
			return *p, true
		}
	}
	return part{}, false
}

// readPart fills as much of p as the part has, at least one byte.
func readPart(part part, p []byte, off int64) (int, error) {
	f, err := os.Open(part.path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := int(min(int64(len(p)), part.extent.End()-off))
	_, err = f.ReadAt(p[:n], off-part.extent.Offset)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return 0, fmt.Errorf("download cache: %w", err)
	}
	return n, nil
}

// Cut removes the bytes of e, so that they count as never fetched.
func (c *Cache) Cut(id chunkstore.ID, e delta.Extent) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var kept []*part
	for _, p := range c.parts[id] {
		if p.extent.End() <= e.Offset || e.End() <= p.extent.Offset {
			kept = append(kept, p)
			continue
		}
		rest, err := c.cutPart(id, p, e)
		if err != nil {
			return fmt.Errorf("download cache: %w", err)
		}
		kept = append(kept, rest...)
	}
	slices.SortFunc(kept,
		func(x, y *part) int { return cmp.Compare(x.extent.Offset, y.extent.Offset) })
	c.parts[id] = kept
	return nil
}

// cutPart takes e out of p. What lies behind e first becomes a part of its own, so that a crash in
// between loses nothing.
func (c *Cache) cutPart(id chunkstore.ID, p *part, e delta.Extent) ([]*part, error) {
	var kept []*part
	if n := p.extent.End() - e.End(); n > 0 && !c.has(id, e.End()) {
		tail := &part{path: c.path(id, e.End()), extent: delta.Extent{Offset: e.End(), Length: n}}
		err := durable.WriteFile(c.folder(id), tail.path, func(w io.Writer) error {
			f, err := os.Open(p.path)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = io.Copy(w, io.NewSectionReader(f, e.End()-p.extent.Offset, n))
			return err
		})
		if err != nil {
			return nil, err
		}
		kept = append(kept, tail)
	}
	if p.extent.Offset >= e.Offset {
		return kept, os.Remove(p.path)
	}
	p.extent.Length = e.Offset - p.extent.Offset
	return append(kept, p), os.Truncate(p.path, p.extent.Length)
}

// has tells whether a part starts at offset.
func (c *Cache) has(id chunkstore.ID, offset int64) bool {
	return slices.ContainsFunc(c.parts[id], func(p *part) bool { return p.extent.Offset == offset })
}

// Clear removes everything.
func (c *Cache) Clear() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parts = map[chunkstore.ID][]*part{}
	return os.RemoveAll(c.dir)
}
