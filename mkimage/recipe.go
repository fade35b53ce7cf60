package mkimage

import (
	"io"
	"iter"

	"deltaup/chunkstore"
)

// WriteTo writes r as doc/recipe.md says.
func (r *Recipe) WriteTo(w io.Writer) (int64, error) { panic("unbuilt") }

// ParseRecipe reads what [Recipe.WriteTo] wrote and nothing else: what it accepts
// encodes to the same bytes again and passes [Recipe.Validate]. Errors name the line and wrap
// chunkstore.ErrCorrupt or chunkstore.ErrVersion.
func ParseRecipe(rd io.Reader) (*Recipe, error) { panic("unbuilt") }

// Validate reports the first thing that makes r no recipe of an image. Its errors wrap chunkstore.ErrCorrupt.
func (r *Recipe) Validate() error { panic("unbuilt") }

// Contents gives the distinct contents, empty ones included, in order of first appearance.
func (r *Recipe) Contents() iter.Seq[*chunkstore.Content] { panic("unbuilt") }

// Chunks gives the distinct chunks of all contents, holes left out, in order of first appearance.
func (r *Recipe) Chunks() []chunkstore.Chunk { panic("unbuilt") }

// DataOrder gives the contents that have data in the image, in the order in which Build lays them out.
func (r *Recipe) DataOrder() []*chunkstore.Content { panic("unbuilt") }
