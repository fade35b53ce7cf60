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
	entries := t.Entries()
	r, err := o.recipe(entries)
	if err != nil {
		return nil, nil, fmt.Errorf("make recipe: %w", err)
	}
	p := newProgress(o.Progress)
	var files []int
	for i := range entries {
		if e := &entries[i]; e.Type == tree.Regular && e.Link == "" {
			files = append(files, i)
			p.total += e.Size
		}
	}
	contents := make([]*chunkstore.Content, len(entries))
	err = each(ctx, len(files), func() func(context.Context, int) error {
		s := chunkstore.NewSplitter(r.Chunking)
		return func(ctx context.Context, n int) (err error) {
			contents[files[n]], err = readContent(ctx, t, files[n], &entries[files[n]], s, p)
			return err
		}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("make recipe: %w", err)
	}
	source := &treeSource{tree: t, entries: shareContents(contents)}
	for i := range entries {
		r.Entries.Append(Entry{Entry: entries[i], Content: contents[i]})
	}
	r.setOrder(o.Order)
	if err := r.Validate(); err != nil {
		return nil, nil, fmt.Errorf("make recipe: %w", err)
	}
	return r, source, nil
}

// recipe gives a recipe without entries and order.
func (o Options) recipe(entries []tree.Entry) (*Recipe, error) {
	r := &Recipe{BlockSize: o.BlockSize, Chunking: o.Chunking}
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
	for i := range entries {
		r.ModTime = max(r.ModTime, entries[i].ModTime)
	}
	if o.ModTime != nil {
		r.ModTime = *o.ModTime
	}
	return r, nil
}

// readContent reads the content of e, which is entry i of t.
func readContent(ctx context.Context, t tree.Tree, i int, e *tree.Entry, s *chunkstore.Splitter,
	p *progress) (*chunkstore.Content, error) {
	if e.Size == 0 {
		return emptyContent, nil
	}
	in, err := t.Open(i)
	if err != nil {
		return nil, fmt.Errorf("open /%s: %w", e.Path, err)
	}
	defer in.Close() // nothing was written
	c, err := s.Split(p.reader(ctx, in), nil)
	if err != nil {
		return nil, fmt.Errorf("read /%s: %w", e.Path, err)
	}
	if c.Size != e.Size {
		return nil, fmt.Errorf("read /%s: it has %d bytes and had %d when it was listed", e.Path, c.Size,
			e.Size)
	}
	return &c, nil
}

// shareContents makes entries with the same bytes share the Content of the first. It gives the
// index of an entry from which each content can be read.
func shareContents(contents []*chunkstore.Content) map[chunkstore.ID]int {
	first := make(map[chunkstore.ID]int)
	for i, c := range contents {
		if c == nil || c.Size == 0 {
			continue
		}
		if known, ok := first[c.ID]; ok {
			contents[i] = contents[known]
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
	r.First = nil
	seen := make(map[*chunkstore.Content]bool)
	for _, path := range paths {
		if c := r.contentOf(path); c != nil && hasData(c) && !seen[c] {
			seen[c] = true
			r.First = append(r.First, r.Entries.firstPath(c))
		}
	}
	r.First = r.firstMembers(planLayout(r), len(r.First))
}

// contentOf gives the content of the file with a path; nil: there is none.
func (r *Recipe) contentOf(path string) *chunkstore.Content {
	i, ok := r.Entries.Find(path)
	if !ok {
		return nil
	}
	e := r.Entries.At(i)
	if e.Link != "" {
		first, _ := r.Entries.Find(e.Link)
		e = r.Entries.At(first)
	}
	return e.Content
}

// firstMembers gives the paths of the first n contents in a layout.
func (r *Recipe) firstMembers(items []item, n int) []string {
	var paths []string
	for _, it := range items {
		for _, m := range it.members {
			if len(paths) == n {
				return paths
			}
			paths = append(paths, string(r.Entries.pathOf(m.number)))
		}
	}
	return paths
}
