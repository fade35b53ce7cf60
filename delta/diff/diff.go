// Package diff tells a publisher what the step from one release to the next costs a target, and
// why: by route, directory and file, what changed only in name, and what looks avoidable.
//
// [Compare] takes two recipes with their contents and changes nothing. It assumes a target that has
// all of the old release and nothing else.
package diff

import (
	"context"
	"fmt"
	"io"

	"deltaup/chunkstore"
	"deltaup/delta/patchset"
	"deltaup/mkimage"
	"deltaup/mkimage/blockmap"
)

// Side is one of the two releases that are compared.
type Side struct {
	Recipe   *mkimage.Recipe
	Contents patchset.Contents
	// of the image; nil on either side: the cost of stored blocks is not known
	Blocks *blockmap.Map
}

// Options says how to compare; the zero value is usable.
type Options struct {
	// Frame gives how many bytes a mirror stores for a chunk. nil: Compare compresses chunks to
	// find out.
	Frame func(c chunkstore.Chunk) int64
	// LeftOut is the further cost, in bytes, of a patch set that leaves contents out, as
	// mirror.LeftOutCost gives it; 0: Compare estimates it.
	LeftOut   int64
	NoPatches bool // only the cost by chunks, which is quick to find
	// Cache, when not nil, has patches that were made before, and gets those that are made.
	Cache    patchset.Keeper
	Progress func(phase Phase, done, total int64)
}

// Phase is a part of comparing that takes time.
type Phase string

// The phases in their order.
const (
	PhaseChunks   Phase = "chunks"   // compress chunks
	PhaseSearch   Phase = "search"   // look for bases
	PhasePatches  Phase = "patches"  // make patches; takes turns with the next
	PhaseCompress Phase = "compress" // compress patches
	PhaseReasons  Phase = "reasons"  // look for reasons
)

// Report is what [Compare] found. Sizes are in bytes.
type Report struct {
	// by which route the new release's files come: patch, chunks, unchanged
	Routes  []RouteCost `json:"routes"`
	Whole   Totals      `json:"totals"`  // what a target fetches in all, by each route
	Names   Names       `json:"names"`   // what changed in the tree
	Reasons []Reason    `json:"reasons"` // what looks avoidable, in order of cost
	// in order of cost; a directory counts all files below it
	Directories []DirCost  `json:"directories"`
	Files       []FileCost `json:"files"` // files that cost something, in order of cost
}

// Route is how a target gets a file's content.
type Route string

// The routes.
const (
	Patch     Route = "patch"
	Chunks    Route = "chunks"
	Unchanged Route = "unchanged" // the old release has the content, perhaps by another name
)

// RouteCost sums the files of one route. Files with the same content count as one.
type RouteCost struct {
	Route Route `json:"route"`
	Files int   `json:"files"`
	Size  int64 `json:"size"`
	Cost  int64 `json:"cost"`
}

// Totals are the costs of the whole step, in bytes. What is not known is 0.
type Totals struct {
	PatchSet   int64 `json:"patch_set,omitempty"`   // the whole patch set, with its head and recipe
	Recipe     int64 `json:"recipe,omitempty"`      // the recipe's patch in it
	LeftChunks int64 `json:"left_chunks,omitempty"` // chunks fetched beside the patch set
	// what finding those chunks costs: recipe, index, requests
	LeftOut int64 `json:"left_out,omitempty"`
	Chunks  int64 `json:"chunks"` // all missing chunks, by the chunk route alone
	// all missing stored blocks, by the block route alone
	Blocks   int64 `json:"blocks,omitempty"`
	Compress int64 `json:"compress,omitempty"` // plain bytes that a target compresses again
}

// FileCost is what one content costs, in bytes, under the first of its paths.
type FileCost struct {
	Path  string `json:"path"`
	Route Route  `json:"route"`
	Size  int64  `json:"size"`
	Cost  int64  `json:"cost"`
	New   bool   `json:"new,omitempty"`  // the old release has no such path
	Base  string `json:"base,omitempty"` // path of the old content that the patch changes
	// the transform that both contents went through first
	Transform string `json:"transform,omitempty"`
}

// Compare finds what the step from one release to another costs. Errors are those of ctx and of
// reading the contents.
func Compare(ctx context.Context, from, to Side, o Options) (*Report, error) {
	c := &comparison{ctx: ctx, from: from, to: to, o: o}
	if o.Progress == nil {
		c.o.Progress = func(Phase, int64, int64) {}
	}
	if err := c.run(); err != nil {
		return nil, fmt.Errorf("compare releases: %w", err)
	}
	return &c.report, nil
}

// comparison is one run of Compare.
type comparison struct {
	ctx      context.Context
	from, to Side
	o        Options
	report   Report

	frames map[chunkstore.ID]int64 // stored bytes of the chunks that the old release lacks
	stats  *patchset.Stats         // nil with Options.NoPatches
}

func (c *comparison) run() error {
	if err := c.costChunks(); err != nil {
		return err
	}
	if !c.o.NoPatches {
		if err := c.makePatches(); err != nil {
			return err
		}
	}
	if c.from.Blocks != nil && c.to.Blocks != nil {
		c.report.Whole.Blocks = c.to.Blocks.Lacking(c.from.Blocks)
	}
	if c.to.Recipe.Codec != "" { // "": no target can compress like that
		c.report.Whole.Compress = c.to.Recipe.Lacking(c.from.Recipe)
	}
	c.costFiles()
	c.costDirectories()
	c.compareNames()
	return c.findReasons()
}

var patchPhases = map[patchset.Phase]Phase{
	patchset.PhaseSearch:   PhaseSearch,
	patchset.PhaseMatch:    PhasePatches,
	patchset.PhaseCompress: PhaseCompress,
}

// makePatches makes the patch set that a publisher would publish, and keeps only its statistics.
func (c *comparison) makePatches() error {
	var err error
	if c.o.LeftOut == 0 {
		if c.o.LeftOut, err = leftOut(c.to.Recipe); err != nil {
			return err
		}
	}
	c.stats, err = patchset.Make(
		c.ctx,
		io.Discard,
		patchset.Side{Recipe: rebuildable(c.from.Recipe), Contents: c.from.Contents},
		patchset.Side{Recipe: rebuildable(c.to.Recipe), Contents: c.to.Contents},
		patchset.MakeOptions{
			ChunkCost: c.chunkCost, LeftOutCost: c.o.LeftOut, Steps: true, StepsApart: true,
			Cache: c.o.Cache,
			Progress: func(p patchset.Progress) {
				c.o.Progress(patchPhases[p.Phase], p.Done, p.All[p.Phase])
			},
		},
	)
	if err != nil {
		return err
	}
	c.report.Whole.PatchSet, c.report.Whole.Recipe = c.stats.Size, c.stats.Recipe
	return nil
}

// rebuildable gives a recipe of an image of another tool the codec that mkimage would take: a patch
// set leads to an image that targets can build. Nothing else of the recipe changes.
func rebuildable(r *mkimage.Recipe) *mkimage.Recipe {
	if r.Codec != "" {
		return r
	}
	codec, err := mkimage.CodecFor("")
	if err != nil {
		return r // there always is one
	}
	ours := *r
	ours.Codec = codec
	return &ours
}
