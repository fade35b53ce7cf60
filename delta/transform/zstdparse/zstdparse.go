// Package zstdparse takes a frame of zstd (RFC 8878) apart into what its encoder decided, and makes
// it again, byte for byte, out of that and the content. What an encoder decided is its parse: which
// parts of the content are matches and from where. How literals and sequences are then coded
// follows from the tables that the frame describes.
//
// So a frame can be stored as its content and its parse, also when its encoder is too dear to run
// again. A reader gives a frame's blocks, a writer makes their bytes. Neither looks for matches,
// and neither decompresses: who has a frame has other means to get its content.
//
// [MakeStep] codes the parse of a frame for one who has the frame of a content that resembles its
// own, and predicts by that. [ApplyStep] makes the frame. Format and figures: doc/transforms.md.
//
// Where the format leaves a choice that no field of a block tells, such as the length of a length,
// this package makes that of the zstd library. A frame with another one is not made again exactly:
// compare before relying on it.
package zstdparse

import "errors"

// errCorrupt is wrapped when bytes are no frame, or one that no encoder makes.
var errCorrupt = errors.New("zstdparse: corrupt frame")

// Memory is about how many bytes ApplyStep takes beside its arguments.
const Memory = 24 << 20

// errContent is returned when a block cannot have the given content.
var errContent = errors.New("zstdparse: the block is not that of the content")

// Limits of the format.
const (
	blockMax    = 128 << 10 // bytes of a block, compressed and not
	sequenceMax = blockMax / matchMin
	matchMin    = 3 // bytes
)

// kind says how a block is stored, as its header codes it.
type kind uint8

// The kinds of blocks.
const (
	raw        kind = iota // as it is
	oneByte                // its first byte, which all others equal
	compressed             // as literals and sequences
)

// literalsKind says how the literals of a block are stored, as their header codes it.
type literalsKind uint8

// How literals are stored.
const (
	literalsRaw     literalsKind = iota // as they are
	literalsOneByte                     // the first, which all others equal
	literalsTree                        // by Huffman's codes, behind the tree
	literalsSame                        // by those of the tree before
)

// mode says where a table of a block's sequences comes from, as the block codes it.
type mode uint8

const (
	modePredefined mode = iota
	modeOneSymbol
	modeDescribed
	modeRepeated
)

// The tables of sequences, in the order in which a block describes them.
const (
	lengths = iota // of literals
	offsets
	matches // their lengths
	tables
)

// block is what a frame holds of a block beside its content.
type block struct {
	kind kind
	last bool
	size int // bytes of content

	// The rest is only for compressed blocks.

	literals  literalsKind
	oneStream bool   // literals in one stream of bits instead of four
	tree      []byte // description of the tree, for literals behind one
	modes     byte   // where the tables come from, as the block codes it
	tables    []byte // descriptions of the tables
	sequences []sequence
}

// sequence is a run of literals and a match behind it.
type sequence struct {
	literals uint32 // bytes
	match    uint32 // bytes
	// offset is the match's distance plus 3, or 1 to 3 for one of the last three distances, as RFC
	// 8878, section 3.1.1.5, counts these.
	offset uint32
}
