package mkimage

import (
	"context"

	"deltaup/chunkstore"
	"deltaup/mkimage/tree"
)

// Options says what a recipe holds besides the tree. The zero value is usable.
type Options struct {
	BlockSize int                     // bytes; 0: 128 KiB
	Level     string                  // one of Levels; "": "best"
	ModTime   *uint32                 // of the image; nil: the newest time in the tree
	Chunking  chunkstore.Params       // zero: chunkstore.DefaultParams
	Order     []string                // paths whose data come first, in this order; unknown ones are ignored
	Progress  func(done, total int64) // plain bytes read; called by one goroutine at a time
}

// NewRecipe reads all contents of t once, in parallel, and gives the recipe and a
// Source that reads the contents from t again. t must stay open while the source is used.
func NewRecipe(ctx context.Context, t tree.Tree, o Options) (*Recipe, Source, error) { panic("unbuilt") }
