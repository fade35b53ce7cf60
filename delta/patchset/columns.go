package patchset

import (
	"encoding/binary"

	"deltaup/chunkstore"
)

// Columns of a head's bundle: values of a kind lie together, so that they compress. The first ones
// are the recipe's patch, the rest the directory. doc/patchset.md says what each holds.
const (
	colHeader   = iota // the recipe's parameters
	colRenames         // pairs of paths
	colSteps           // how the list of entries comes about
	colPaths           // of new entries
	colFlags           // of each entry: what differs from its pattern
	colAttrs           // types, modes, owners, devices
	colTimes           // modification times
	colTexts           // link targets, hard links, xattrs
	colContents        // which content a file has
	colSizes           // of new contents
	colIDs             // of new contents and new chunks
	colChunks          // chunk lists
	colOrder           // the data order that was asked for
	recipeColumns

	colKinds     = iota - 1 // of each new content with data: whether the set has it, and its base
	colBases                // bases that are not the pattern's
	colTransform            // of each entry
	colLengths              // of transformed contents
	colPieces               // hashes of pieces
	colGroups               // how many entries each group has
	numColumns
)

// columns are the plain bytes of a head's bundle.
type columns [numColumns][]byte

func (c *columns) byte(col int, v byte)     { c[col] = append(c[col], v) }
func (c *columns) number(col int, v uint64) { c[col] = binary.AppendUvarint(c[col], v) }
func (c *columns) signed(col int, v int64)  { c[col] = binary.AppendVarint(c[col], v) }
func (c *columns) id(id chunkstore.ID)      { c[colIDs] = append(c[colIDs], id[:]...) }
func (c *columns) text(col int, s string) {
	c.number(col, uint64(len(s)))
	c[col] = append(c[col], s...)
}

// columnReader reads the columns of a head; each has its own error.
type columnReader [numColumns]input

func readColumns(streams [][]byte) *columnReader {
	r := new(columnReader)
	for i := range r {
		r[i].b = streams[i]
	}
	return r
}

// err is the first error of the columns from first to the one before limit.
func (r *columnReader) err(first, limit int) error {
	for i := first; i < limit; i++ {
		if r[i].err != nil {
			return r[i].err
		}
	}
	return nil
}

// end demands that these columns have been read to their ends.
func (r *columnReader) end(first, limit int) error {
	if err := r.err(first, limit); err != nil {
		return err
	}
	for i := first; i < limit; i++ {
		if err := r[i].end(); err != nil {
			return err
		}
	}
	return nil
}
