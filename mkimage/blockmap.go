package mkimage

import (
	"context"

	"deltaup/chunkstore"
	"deltaup/mkimage/squashfs"
)

// Blockmap says how each data and fragment block of an image is stored, in the order of the data area. With
// the recipe, which says what is in each block, it tells where in the image a block lies, so that a target
// can read stored blocks out of an image that it has not got. Format: doc/blockmap.md.
type Blockmap struct {
	words []uint32 // blockHole, blockPlain, or the length of a compressed block plus blockPlain
}

// StoredBlock is where a block lies in an image.
type StoredBlock struct {
	Offset     int64 // in the image
	Length     int   // stored bytes; 0 is a hole
	Size       int   // plain bytes
	Compressed bool
}

// StoredItem is one stretch of an image's data area: all blocks of one large content, or one fragment block.
type StoredItem struct {
	Contents []*chunkstore.Content // of the recipe, one after another; exactly one unless Fragment
	Fragment bool
	Blocks   []StoredBlock // exactly one if Fragment
}

// BlockLayout is a blockmap joined with its recipe.
type BlockLayout struct {
	Items []StoredItem // in the order of the data area; contents of nothing but holes have none
	End   int64        // where the data area ends and the image's tables begin

	contents  map[chunkstore.ID]int // large content -> item
	fragments map[chunkstore.ID]int // key of the contents in a fragment block -> item
}

// ReadBlockmap takes the block map from an image that Build made of r. Errors wrap squashfs.ErrCorrupt
// or, when the image is not r's, ErrContent.
func ReadBlockmap(ctx context.Context, m *squashfs.Image, r *Recipe) (*Blockmap, error) {
	panic("unbuilt")
}

// MarshalBinary encodes b as doc/blockmap.md says.
func (b *Blockmap) MarshalBinary() ([]byte, error) { panic("unbuilt") }

// ParseBlockmap decodes a block map. Errors wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion.
func ParseBlockmap(b []byte) (*Blockmap, error) { panic("unbuilt") }

// Layout tells where each block of r's image lies. The error wraps chunkstore.ErrCorrupt when b is not of that image.
func (b *Blockmap) Layout(r *Recipe) (*BlockLayout, error) { panic("unbuilt") }

// Block gives data block n of a content; false for a content that lies in a fragment block or has no data.
func (l *BlockLayout) Block(id chunkstore.ID, n int) (StoredBlock, bool) { panic("unbuilt") }

// FragmentBlock gives the block that holds exactly these contents, one after another, as [Stored] asks for it.
func (l *BlockLayout) FragmentBlock(contents []chunkstore.ID) (StoredBlock, bool) { panic("unbuilt") }
