package diff

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
	"deltaup/delta/transform"
	"deltaup/mkimage"
)

// costChunks finds the stored length of each chunk that the old release lacks.
func (c *comparison) costChunks() error {
	has := map[chunkstore.ID]bool{}
	for _, ch := range c.from.Recipe.Chunks() {
		has[ch.ID] = true
	}
	c.frames = map[chunkstore.ID]int64{}
	var missing []*chunkstore.Content // contents with chunks that are not in c.frames yet
	var total int64
	for content := range c.to.Recipe.Contents() {
		fresh := false
		for _, ch := range content.Chunks {
			if _, known := c.frames[ch.ID]; known || ch.IsHole() || has[ch.ID] {
				continue
			}
			fresh = true
			c.frames[ch.ID] = 0
			if c.o.Frame != nil {
				c.frames[ch.ID] = c.o.Frame(ch)
			}
		}
		if fresh {
			missing = append(missing, content)
			total += content.Size
		}
	}
	if c.o.Frame == nil {
		if err := c.compress(missing, total); err != nil {
			return err
		}
	}
	for _, n := range c.frames {
		c.report.Whole.Chunks += n
	}
	return nil
}

// compress measures the frames of missing chunks by making them.
func (c *comparison) compress(contents []*chunkstore.Content, total int64) error {
	var (
		mu      sync.Mutex
		done    int64
		lengths = map[chunkstore.ID]int64{} // apart from c.frames, which encode reads
	)
	g, ctx := errgroup.WithContext(c.ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, content := range contents {
		g.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			frames, err := c.encode(content)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(lengths, frames)
			done += content.Size
			c.o.Progress(PhaseChunks, done, total)
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	maps.Copy(c.frames, lengths)
	return nil
}

// encode gives the stored lengths of one content's missing chunks.
func (c *comparison) encode(content *chunkstore.Content) (map[chunkstore.ID]int64, error) {
	in, err := c.to.Contents.Open(c.ctx, content)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	frames := map[chunkstore.ID]int64{}
	var plain, frame []byte
	offset := int64(0)
	for _, ch := range content.Chunks {
		if _, wanted := c.frames[ch.ID]; wanted {
			plain = slices.Grow(plain[:0], int(ch.Size))[:ch.Size]
			if n, err := in.ReadAt(plain, offset); n < len(plain) {
				return nil, fmt.Errorf("read content %s: %w", content.ID, err)
			}
			frame = chunkstore.EncodeFrame(frame[:0], plain)
			frames[ch.ID] = int64(len(frame))
		}
		offset += ch.Size
	}
	return frames, nil
}

// chunkCost is how many bytes of frames a content costs by chunks.
func (c *comparison) chunkCost(content *chunkstore.Content) (cost int64) {
	for _, ch := range content.Chunks {
		cost += c.frames[ch.ID] // 0 for chunks of the old release
	}
	return cost
}

// leftOut estimates Options.LeftOut: the compressed recipe, a few bytes of the index for each
// chunk, and the cost of requests.
func leftOut(r *mkimage.Recipe) (int64, error) {
	const indexed, requests = 4, 12 << 10
	var text bytes.Buffer
	if _, err := r.WriteTo(&text); err != nil {
		return 0, err
	}
	return int64(
		len(chunkstore.EncodeFrame(nil, text.Bytes()))+indexed*len(r.Chunks()),
	) + requests, nil
}

// costFiles finds what each content costs by the route that a target takes.
func (c *comparison) costFiles() {
	has, oldPaths := map[chunkstore.ID]bool{}, map[string]bool{}
	for _, e := range c.from.Recipe.Entries.All() {
		oldPaths[e.Path] = true
		if e.Content != nil {
			has[e.Content.ID] = true
		}
	}
	patched := c.patched()
	routes := map[Route]*RouteCost{
		Patch:     {Route: Patch},
		Chunks:    {Route: Chunks},
		Unchanged: {Route: Unchanged},
	}
	seen := map[*chunkstore.Content]bool{}
	for _, e := range c.to.Recipe.Entries.All() {
		if e.Content == nil || e.Content.Size == 0 || seen[e.Content] {
			continue
		}
		seen[e.Content] = true
		f, ok := patched[e.Content.ID]
		switch {
		case ok:
		case has[e.Content.ID]:
			f.Route = Unchanged
		default:
			f.Route, f.Cost = Chunks, c.chunkCost(e.Content)
			c.report.Whole.LeftChunks += f.Cost
		}
		r := routes[f.Route]
		r.Files++
		r.Size += e.Content.Size
		r.Cost += f.Cost
		if f.Route != Unchanged {
			f.Path, f.Size, f.New = e.Path, e.Content.Size, !oldPaths[e.Path]
			c.report.Files = append(c.report.Files, f)
		}
	}
	switch {
	case c.stats == nil:
		c.report.Whole.LeftChunks = 0
	case routes[Chunks].Files > 0:
		c.report.Whole.LeftOut = c.o.LeftOut
	}
	c.report.Routes = []RouteCost{*routes[Patch], *routes[Chunks], *routes[Unchanged]}
	slices.SortStableFunc(c.report.Files,
		func(a, b FileCost) int { return cmp.Compare(b.Cost, a.Cost) })
}

// patched gives the costs of the contents that the patch set makes.
func (c *comparison) patched() map[chunkstore.ID]FileCost {
	costs := map[chunkstore.ID]FileCost{}
	if c.stats == nil {
		return costs
	}
	// The shares of contents in a group are estimates. Scale them so that they add up to all
	// groups.
	estimated := int64(0)
	for i := range c.stats.Entries {
		estimated += c.stats.Entries[i].Cost
	}
	scale := float64(c.stats.Size-c.stats.HeadSize) / float64(max(estimated, 1))
	for i := range c.stats.Entries {
		e := &c.stats.Entries[i]
		f := costs[e.Content.ID] // a large content has several entries, which add up
		f.Route = Patch
		f.Cost += int64(float64(e.Cost)*scale + 0.5)
		if f.Base == "" {
			f.Base = e.BasePath
		}
		if t, ok := transform.ByID(e.Transform); ok && e.Transform != 0 {
			f.Transform = t.Name()
		}
		costs[e.Content.ID] = f
	}
	return costs
}

// DirCost is how many files below a directory a target lacks, and what they cost in bytes.
type DirCost struct {
	Path  string `json:"path"`
	Files int    `json:"files"`
	Cost  int64  `json:"cost"`
}

// costDirectories sums the costs of files by directory. It leaves out a directory when one of its
// subdirectories has nearly all of the cost, since that one says more.
func (c *comparison) costDirectories() {
	sums := map[string]*DirCost{}
	for i := range c.report.Files {
		f := &c.report.Files[i]
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			if sums[dir] == nil {
				sums[dir] = &DirCost{Path: dir}
			}
			sums[dir].Files++
			sums[dir].Cost += f.Cost
		}
	}
	dearest := map[string]int64{} // cost of the dearest subdirectory, by directory
	for dir, s := range sums {
		parent := path.Dir(dir)
		dearest[parent] = max(dearest[parent], s.Cost)
	}
	for dir, s := range sums {
		if s.Cost > 0 && dearest[dir] < s.Cost-s.Cost/20 {
			c.report.Directories = append(c.report.Directories, *s)
		}
	}
	slices.SortFunc(c.report.Directories, func(a, b DirCost) int {
		return cmp.Or(cmp.Compare(b.Cost, a.Cost), strings.Compare(a.Path, b.Path))
	})
}
