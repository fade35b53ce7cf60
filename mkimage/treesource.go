package mkimage

import (
	"context"
	"fmt"
	"io"
	"sync"

	"deltaup/chunkstore"
	"deltaup/mkimage/tree"
)

// treeSource reads contents from a tree.
type treeSource struct {
	tree    tree.Tree
	entries map[chunkstore.ID]int // index of an entry that has a content
}

// Open implements Source.
func (s *treeSource) Open(_ context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	i, ok := s.entries[c.ID]
	if !ok {
		return nil, fmt.Errorf("content %v: %w", c.ID, chunkstore.ErrNotFound)
	}
	return s.tree.Open(i)
}

// FindContents gives a Source of those contents of r that are in t, at any path. It reads the files
// that have the size of a content, in parallel, and calls progress, unless that is nil, as
// [NewRecipe] does. Opening a content that t lacks fails with an error that wraps
// chunkstore.ErrNotFound. t must stay open while the Source is in use.
func FindContents(ctx context.Context, r *Recipe, t tree.Tree,
	progress func(done, total int64)) (Source, error) {
	wanted, sizes := make(map[chunkstore.ID]bool), make(map[int64]bool)
	for c := range r.Contents() {
		if hasData(c) {
			wanted[c.ID], sizes[c.Size] = true, true
		}
	}
	entries := t.Entries()
	p := newProgress(progress)
	var files []int
	for i := range entries {
		if e := &entries[i]; e.Type == tree.Regular && e.Link == "" && sizes[e.Size] {
			files = append(files, i)
			p.total += e.Size
		}
	}
	source := &treeSource{tree: t, entries: make(map[chunkstore.ID]int)}
	var mu sync.Mutex // guards source.entries
	err := each(ctx, len(files), func() func(context.Context, int) error {
		h, buffer := chunkstore.NewHasher(), make([]byte, 64<<10)
		return func(ctx context.Context, n int) error {
			i := files[n]
			in, err := t.Open(i)
			if err != nil {
				return fmt.Errorf("open /%s: %w", entries[i].Path, err)
			}
			defer in.Close() // nothing was written
			h.Reset()
			if _, err := io.CopyBuffer(h, p.reader(ctx, in), buffer); err != nil {
				return fmt.Errorf("read /%s: %w", entries[i].Path, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if id := h.ID(); wanted[id] {
				source.entries[id] = i
			}
			return nil
		}
	})
	if err != nil {
		return nil, fmt.Errorf("find contents: %w", err)
	}
	return source, nil
}
