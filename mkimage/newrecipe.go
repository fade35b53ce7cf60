package mkimage

import (
	"context"
	"fmt"

	"deltaup/chunkstore"
	"deltaup/mkimage/tree"
)

// defaultBlockSize is the default block size, in bytes.
const defaultBlockSize = 128 << 10

// Options says what a recipe has besides the tree. The zero value is usable.
type Options struct {
	BlockSize int               // bytes; 0: defaultBlockSize
	Level     string            // one of Levels; "": "best"
	ModTime   *uint32           // time of the image; nil: the newest time in the tree
	Chunking  chunkstore.Params // zero: chunkstore.DefaultParams
	// Order lists paths, as in tree.Entry, whose data come first, in this order. Paths without data
	// are ignored.
	Order    []string
	Progress func(done, total int64) // plain bytes read; called by one goroutine at a time
}

// NewRecipe reads all contents of t once, in parallel. It gives the recipe and a Source that reads
// the contents from t again. t must stay open while the Source is in use.
func NewRecipe(ctx context.Context, t tree.Tree, o Options) (*Recipe, Source, error) {
	r, err := o.recipe(t.Entries())
	if err != nil {
		return nil, nil, fmt.Errorf("make recipe: %w", err)
	}
	p := newProgress(o.Progress)
	var files []int
	for i := range r.Entries {
		if e := &r.Entries[i]; e.Type == tree.Regular && e.Link == "" {
			files = append(files, i)
			p.total += e.Size
		}
	}
	err = each(ctx, len(files), func() func(context.Context, int) error {
		s := chunkstore.NewSplitter(r.Chunking)
		return func(ctx context.Context, n int) error { return r.readContent(ctx, t, files[n], s, p) }
	})
	if err != nil {
		return nil, nil, fmt.Errorf("make recipe: %w", err)
	}
	source := &treeSource{tree: t, entries: r.shareContents()}
	r.setOrder(o.Order)
	if err := r.Validate(); err != nil {
		return nil, nil, fmt.Errorf("make recipe: %w", err)
	}
	return r, source, nil
}

// recipe gives a recipe without contents and order.
func (o Options) recipe(entries []tree.Entry) (*Recipe, error) {
	r := &Recipe{BlockSize: o.BlockSize, Chunking: o.Chunking, Entries: make([]Entry, len(entries))}
	if r.BlockSize == 0 {
		r.BlockSize = defaultBlockSize
	}
	if r.Chunking == (chunkstore.Params{}) {
		r.Chunking = chunkstore.DefaultParams
	}
	if err := r.Chunking.Validate(); err != nil {
		return nil, err
	}
	var err error
	if r.Codec, err = CodecFor(o.Level); err != nil {
		return nil, err
	}
	for i, e := range entries {
		r.Entries[i].Entry = e
		r.ModTime = max(r.ModTime, e.ModTime)
	}
	if o.ModTime != nil {
		r.ModTime = *o.ModTime
	}
	return r, nil
}

// readContent fills in the content of entry i.
func (r *Recipe) readContent(ctx context.Context, t tree.Tree, i int, s *chunkstore.Splitter,
	p *progress) error {
	e := &r.Entries[i]
	if e.Size == 0 {
		e.Content = emptyContent
		return nil
	}
	in, err := t.Open(i)
	if err != nil {
		return fmt.Errorf("open /%s: %w", e.Path, err)
	}
	defer in.Close() // nothing was written
	c, err := s.Split(p.reader(ctx, in), nil)
	if err != nil {
		return fmt.Errorf("read /%s: %w", e.Path, err)
	}
	if c.Size != e.Size {
		return fmt.Errorf("read /%s: it has %d bytes and had %d when it was listed", e.Path, c.Size,
			e.Size)
	}
	e.Content = &c
	return nil
}

// shareContents makes entries with the same bytes share the Content of the first. It gives the
// index of an entry from which each content can be read.
func (r *Recipe) shareContents() map[chunkstore.ID]int {
	first := make(map[chunkstore.ID]int)
	for i := range r.Entries {
		c := r.Entries[i].Content
		if c == nil || c.Size == 0 {
			continue
		}
		if known, ok := first[c.ID]; ok {
			r.Entries[i].Content = r.Entries[known].Content
		} else {
			first[c.ID] = i
		}
	}
	return first
}

// setOrder sets First so that the contents of paths come first. First then has them in the order of
// the resulting image, each by its content's first path, so that Derive gives the same from the
// image.
func (r *Recipe) setOrder(paths []string) {
	contents := make(map[string]*chunkstore.Content)
	for i := range r.Entries {
		e := &r.Entries[i]
		if e.Link != "" {
			contents[e.Path] = contents[e.Link]
		} else {
			contents[e.Path] = e.Content
		}
	}
	names := make(map[*chunkstore.Content]string)
	for c, path := range r.firstPaths() {
		names[c] = path
	}
	r.First = nil
	seen := make(map[*chunkstore.Content]bool)
	for _, path := range paths {
		if c := contents[path]; c != nil && hasData(c) && !seen[c] {
			seen[c] = true
			r.First = append(r.First, names[c])
		}
	}
	r.First = firstMembers(planLayout(r), len(r.First))
}

// firstMembers gives the paths of the first n contents in a layout.
func firstMembers(items []item, n int) []string {
	var paths []string
	for _, it := range items {
		for _, m := range it.members {
			if len(paths) == n {
				return paths
			}
			paths = append(paths, m.path)
		}
	}
	return paths
}
