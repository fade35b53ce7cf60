// Package lz4hc writes the "legacy" frames of lz4 (doc/lz4_Frame_format.md of lz4) that equal, byte
// for byte, those of lz4 1.9.4 at its levels 3 to 12. Many kernels of Linux are packed so, by
// `lz4 -l -9`. With it they can be stored decompressed, because their compressed bytes can be made
// again.
//
// A [Writer] makes every decision as liblz4 does, also where a decompressor does not care: which of
// two equally long matches wins, where a match is cut for the next, which chain is followed. It
// does not try to be faster or smaller than it.
//
// Levels 3 to 9 follow chains of positions with the same hash, and take a match after they have
// looked for a better one that overlaps it, and for a third. Levels 10 to 12 look for the cheapest
// row of matches. Levels 1 and 2 are another program and are not made; `--favor-decSpeed` has no
// effect on this frame.
package lz4hc

import "errors"

// Limits of levels.
const (
	minLevel = 3
	maxLevel = 12
)

// Limits of lz4's blocks (doc/lz4_Block_format.md of lz4).
const (
	minMatch     = 4
	maxDistance  = 1<<16 - 1
	lastLiterals = 5  // a block ends with so many literals
	lastMatch    = 12 // no match begins less than so many bytes before a block's end
)

// errLevel is returned for a level that does not exist.
var errLevel = errors.New("lz4hc: no such level")

// search is how hard a level searches.
type search struct {
	attempts int  // most positions that a search looks at
	enough   int  // a longer match is taken at once; 0: a level that does not look for the cheapest
	patterns bool // runs of one byte are stepped over
	thorough bool // search at more positions
}

var searches = [maxLevel + 1]search{
	3:  {attempts: 4},
	4:  {attempts: 8},
	5:  {attempts: 16},
	6:  {attempts: 32},
	7:  {attempts: 64},
	8:  {attempts: 128},
	9:  {attempts: 256, patterns: true},
	10: {attempts: 96, enough: 64, patterns: true},
	11: {attempts: 512, enough: 128, patterns: true},
	12: {attempts: 16384, enough: pathSize - 1, patterns: true, thorough: true},
}

// valid tells whether a level exists.
func valid(level int) bool { return level >= minLevel && level <= maxLevel }
