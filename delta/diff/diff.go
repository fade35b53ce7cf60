// Package diff tells a publisher what the step from one release to the next costs a target, and
// what made it cost that: by route, by directory and by file, what changed in name only, and what
// looks as if it need not be.
//
// [Compare] takes two recipes with their contents. It changes nothing and says nothing about a
// particular target: it assumes one that has all of the old release and nothing else.
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

// Side is a release that is compared.
type Side struct {
	Recipe   *mkimage.Recipe
	Contents patchset.Contents
	Blocks   *blockmap.Map // of the image; nil on either side: what stored blocks cost is not known
}

// Options says how to compare; the zero value is usable.
type Options struct {
	// Frame is how many bytes a mirror stores for a chunk; nil: chunks are compressed to know it.
	Frame func(c chunkstore.Chunk) int64
	// what a patch set that leaves contents out costs besides, see mirror.LeftOutCost; 0: it is
	// estimated
	LeftOut   int64
	NoPatches bool // cost by chunks alone, which is quick
	Progress  func(step Step, done, total int64)
}

// Step is a part of comparing that takes time.
type Step string

// The steps in their order.
const (
	StepChunks  Step = "chunks"  // compress chunks
	StepPatches Step = "patches" // make a patch set
	StepReasons Step = "reasons" // look for reasons
)

// Report is what [Compare] found. Sizes are in bytes.
type Report struct {
	Routes      []RouteCost `json:"routes"`      // how the new release's files come: patch, chunks, unchanged
	Whole       Totals      `json:"totals"`      // what a target takes in all, by way
	Names       Names       `json:"names"`       // what changed in the tree
	Reasons     []Reason    `json:"reasons"`     // what looks avoidable, the dearest first
	Directories []DirCost   `json:"directories"` // dearest first; a directory counts all below it
	Files       []FileCost  `json:"files"`       // all that cost something, dearest first
}

// Route is how a file's content is got.
type Route string

// The routes.
const (
	Patch     Route = "patch"
	Chunks    Route = "chunks"
	Unchanged Route = "unchanged" // the old release has the content, be it by another name
)

// RouteCost sums the files of one route. Files with the same content count once.
type RouteCost struct {
	Route Route `json:"route"`
	Files int   `json:"files"`
	Size  int64 `json:"size"`
	Cost  int64 `json:"cost"`
}

// Totals are the costs of the step as a whole. What is not known is 0.
type Totals struct {
	PatchSet   int64 `json:"patch_set,omitempty"`   // the file, head and recipe included
	Recipe     int64 `json:"recipe,omitempty"`      // of it, the recipe's patch
	LeftChunks int64 `json:"left_chunks,omitempty"` // chunks that are fetched beside the patch set
	LeftOut    int64 `json:"left_out,omitempty"`    // what is fetched to know where these are: recipe, index, requests
	Chunks     int64 `json:"chunks"`                // all missing chunks, by the chunk route alone
	Blocks     int64 `json:"blocks,omitempty"`      // all missing stored blocks, by that route alone
	Compress   int64 `json:"compress,omitempty"`    // plain bytes that a target compresses again
}

// FileCost is what one content costs, under the first of its paths.
type FileCost struct {
	Path      string `json:"path"`
	Route     Route  `json:"route"`
	Size      int64  `json:"size"`
	Cost      int64  `json:"cost"`
	New       bool   `json:"new,omitempty"`       // the old release has no such path
	Base      string `json:"base,omitempty"`      // path of the old content that the patch needs
	Transform string `json:"transform,omitempty"` // what both were put through before they were compared
}

// Compare costs the step from one release to another.
func Compare(ctx context.Context, from, to Side, o Options) (*Report, error) {
	c := &comparison{ctx: ctx, from: from, to: to, o: o}
	if o.Progress == nil {
		c.o.Progress = func(Step, int64, int64) {}
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

	frames map[chunkstore.ID]int64 // stored bytes of the chunks that from lacks
	stats  *patchset.Stats         // nil without patches
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
	if c.to.Recipe.Codec != "" { // else nobody compresses like that again
		c.report.Whole.Compress = c.to.Recipe.Lacking(c.from.Recipe)
	}
	c.costFiles()
	c.costDirectories()
	c.compareNames()
	return c.findReasons()
}

// makePatches makes the patch set that a publisher would make.
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
		c.from.Recipe,
		c.to.Recipe,
		c.from.Contents,
		c.to.Contents,
		patchset.MakeOptions{
			ChunkCost: c.chunkCost, LeftOutCost: c.o.LeftOut,
			Progress: func(done, total int64) { c.o.Progress(StepPatches, done, total) },
		},
	)
	if err != nil {
		return err
	}
	c.report.Whole.PatchSet, c.report.Whole.Recipe = c.stats.Size, c.stats.Recipe
	return nil
}
