package patchset

import (
	"encoding/binary"

	"deltaup/chunkstore"
)

// Columns of a head's bundle. Values of one kind lie together, so that they compress well. The
// first columns are the recipe's patch, the others the directory. Format: doc/patchset.md.
const (
	colHeader   = iota // the recipe's parameters
	colRenames         // pairs of an old and a new path
	colSteps           // which patterns the list of entries keeps, deletes and inserts around
	colPaths           // paths of new entries
	colFlags           // what differs from its pattern, for each entry
	colAttrs           // types, modes, owners, devices
	colTimes           // modification times
	colTexts           // link targets, hard links, xattrs
	colContents        // contents of files
	colSizes           // of new contents
	colIDs             // ids of new contents and new chunks
	colChunks          // chunk lists
	colOrder           // the order of data, Recipe.First
	recipeColumns

	// for each new content with data: whether the set has it, and which base
	colKinds     = iota - 1
	colBases     // bases that are not those of patterns
	colTransform // transform of each entry
	colLengths   // lengths of transformed contents
	colPieces    // hashes of the pieces of large contents
	colGroups    // number of entries of each group
	columnsV1    = iota - 1
	colShifts    = iota - 2 // tables
	colShifted              // for each entry whose transform takes shifts: the number of its table
	columnsV2    = iota - 2
	colChecks    = iota - 3 // of each entry whose content's id is left out: the first bytes of its hash
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

// columnReader reads the columns of a head. Each column has its own error.
type columnReader [numColumns]input

func readColumns(streams [][]byte) *columnReader {
	r := new(columnReader)
	for i := range streams {
		r[i].b = streams[i]
	}
	return r
}

// err gives the first error of the columns from first up to limit, without limit.
func (r *columnReader) err(first, limit int) error {
	for i := first; i < limit; i++ {
		if r[i].err != nil {
			return r[i].err
		}
	}
	return nil
}

// end is err, and also an error when one of these columns is not read to its end.
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
