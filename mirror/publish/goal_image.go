package publish

import (
	"context"
	"io"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/internal/human"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage"
	"deltaup/mkimage/blockmap"
	"deltaup/mkimage/modulename"
	"deltaup/mkimage/modules"
)

// imageGoal is the image as a goal.
type imageGoal struct {
	*patching
	text   chunkstore.ID // hash of its recipe as a file
	new    patchset.Contents
	blocks *blockmap.Map
	chunks map[chunkstore.ID]chunkstore.Location // of the whole release
	meta   int64                                 // LeftOutCost

	advised bool // adviseModules has warned
}

func (g *imageGoal) name() string { return mirror.ImageName }

func (g *imageGoal) self() chunkstore.ID { return g.text }

func (g *imageGoal) base(old *mirror.Release) (id chunkstore.ID, ok bool) {
	a := old.Artifact(mirror.ImageName)
	if a == nil || a.Recipe == nil {
		return id, false
	}
	return a.Recipe.Text, true
}

func (g *imageGoal) amounts(ctx context.Context, old *mirror.Release) (patchset.Amounts, error) {
	from, err := mirror.ReadRecipe(ctx, g.u.store, old.Artifact(mirror.ImageName).Recipe)
	if err != nil {
		return patchset.Amounts{}, err
	}
	return patchset.AmountsOf(from, g.to), nil
}

func (g *imageGoal) from(ctx context.Context, old *mirror.Release) (leading, error) {
	from, err := mirror.ReadRecipe(ctx, g.u.store, old.Artifact(mirror.ImageName).Recipe)
	if err != nil {
		return nil, &sourceError{err}
	}
	return &imageLead{
		verify.ImageLead{From: from, Old: patchset.FromStore(g.folder), To: g.text}, g, old,
	}, nil
}

// imageLead leads from the image of an old release.
type imageLead struct {
	verify.ImageLead
	goal *imageGoal
	old  *mirror.Release
}

func (l *imageLead) make(ctx context.Context, w io.Writer,
	progress func(patchset.Progress)) (*patchset.Stats, error) {
	from := patchset.Side{Recipe: l.From, Contents: l.Old}
	to := patchset.Side{Recipe: l.goal.to, Contents: l.goal.new}
	set, err := patchset.Make(ctx, w, from, to, patchset.MakeOptions{
		ChunkCost: l.goal.chunkCost(l.From), LeftOutCost: l.goal.meta, Progress: progress,
		Steps: true, StepsApart: true, Cache: l.goal.u.p.Cache,
	})
	if err == nil {
		l.goal.adviseModules(l.From, set, l.old.Version)
	}
	return set, err
}

func (l *imageLead) complete(ctx context.Context, p *mirror.Patch) error {
	file, err := l.old.Object()
	if err != nil {
		return &sourceError{err}
	}
	p.Release, p.Recipe = &file, l.old.Artifact(mirror.ImageName).Recipe.Text
	p.Costs = l.goal.costs(ctx, l.From, l.old)
	return nil
}

// chunkCost gives what a content costs a target by chunks that has the old release.
func (g *imageGoal) chunkCost(from *mkimage.Recipe) func(c *chunkstore.Content) int64 {
	has := chunksOf(from)
	return func(c *chunkstore.Content) (n int64) {
		for _, ch := range c.Chunks {
			if !ch.IsHole() && !has[ch.ID] {
				n += g.chunks[ch.ID].Length
			}
		}
		return n
	}
}

func chunksOf(r *mkimage.Recipe) map[chunkstore.ID]bool {
	has := map[chunkstore.ID]bool{}
	for _, ch := range r.Chunks() {
		has[ch.ID] = true
	}
	return has
}

// costs is what the step from an old release costs by the other routes.
func (g *imageGoal) costs(ctx context.Context, from *mkimage.Recipe,
	old *mirror.Release) *mirror.Costs {
	costs, has := &mirror.Costs{}, chunksOf(from)
	for _, ch := range g.to.Chunks() {
		if !has[ch.ID] {
			costs.Chunks += g.chunks[ch.ID].Length
		}
	}
	costs.Blocks, costs.Compress = g.blocks.Lacking(g.oldBlocks(ctx, old)), g.to.Lacking(from)
	return costs
}

// adviseModules warns, once, when compressed kernel modules cost a step megabytes: those whose
// compression a set cannot undo, and those that it leaves to chunks.
func (g *imageGoal) adviseModules(from *mkimage.Recipe, set *patchset.Stats, version string) {
	if g.advised {
		return
	}
	seen := map[chunkstore.ID]bool{}
	for c := range from.Contents() {
		seen[c.ID] = true
	}
	var cost int64
	for i := range set.Entries {
		e := &set.Entries[i]
		if _, ok := modulename.Plain(e.Path); ok {
			cost += e.Cost
			seen[e.Content.ID] = true
		}
	}
	for _, e := range g.to.Entries.All() {
		if _, ok := modulename.Plain(e.Path); ok && e.Content != nil && !seen[e.Content.ID] {
			cost += e.Size
			seen[e.Content.ID] = true
		}
	}
	if cost >= modules.Dear {
		g.advised = true
		g.out.warn("new kernel modules cost %s from %s, since they are compressed, each by itself: "+
			"make images with mkimage --plain-modules", human.Size(cost), version)
	}
}

// oldBlocks reads the block map of a release's image. Without one, nil, the whole image is taken
// for new.
func (g *imageGoal) oldBlocks(ctx context.Context, old *mirror.Release) *blockmap.Map {
	a := old.Artifact(mirror.ImageName)
	if a.Blockmap == nil {
		return nil
	}
	name := mirror.BlockmapPath(a.Blockmap.ID)
	file, err := mirror.ReadVerified(ctx, g.u.store, name, *a.Blockmap, mirror.MaxBlockmapSize)
	if err == nil {
		var blocks *blockmap.Map
		if blocks, err = blockmap.Parse(file, a.Size); err == nil {
			return blocks
		}
	}
	g.out.warn("%s, so that what stored blocks cost from %s is not known: %v", name, old.Version,
		err)
	return nil
}
