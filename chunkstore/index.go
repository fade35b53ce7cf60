package chunkstore

import "iter"

// PackRef names one pack.
type PackRef struct {
	ID   ID
	Size int64 // bytes of the pack file
}

// RawList is one raw artifact of a release.
type RawList struct {
	Name      string
	Content   Content
	Locations []Location // of the distinct chunks of Content, see Distinct
}

// Index says where all chunks of one release lie. Folder.Index makes it.
type Index struct {
	Packs []PackRef  // the packs that the locations name, in order of first use: Image, then Raw
	Image []Location // of the distinct chunks of the recipe's contents, see Distinct
	Raw   []RawList
}

// Distinct returns the chunks of contents without holes and repetitions, in order
// of first appearance. It is what the lists of an [Index] run parallel to.
func Distinct(contents iter.Seq[*Content]) []Chunk { panic("unbuilt") }

// Locations joins the recipe's chunks (Recipe.Chunks) and those of all raw artifacts
// with their locations. It fails with [ErrCorrupt] when image is not what the index was made for.
func (x *Index) Locations(image []Chunk) (map[ID]Location, error) { panic("unbuilt") }

// MarshalBinary encodes x as doc/index.md has it.
func (x *Index) MarshalBinary() ([]byte, error) { panic("unbuilt") }

// ParseIndex reads what MarshalBinary writes and nothing else.
func ParseIndex(b []byte) (*Index, error) { panic("unbuilt") }
