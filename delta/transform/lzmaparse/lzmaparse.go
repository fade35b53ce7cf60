// Package lzmaparse takes a .xz file apart into what its encoder decided, and makes it again, byte
// for byte, out of that and the content. What an encoder decided is its parse: which parts of the
// content are matches, how long, and from where. The adaptive probabilities of LZMA's range coder
// follow from that, and so do the limits of LZMA2's chunks as liblzma sets them.
//
// So a file can be stored as its content and its parse, also when its encoder is too dear to run
// again. Package xzutils runs it again. This one looks for no matches as an encoder does, and takes
// no memory for a dictionary: the content is there whole.
//
// [Unpack] gives the content of a file, and its parse. [MakeStep] codes the parse of a file for one
// who has that of a file whose content resembles its own, and predicts by that. [ApplyStep] makes
// the file. Format and figures: doc/transforms.md.
//
// The files are those of the kernel's build: one stream of one block, whose header has no sizes,
// with the filters LZMA2, and before it x86 or none, and the check CRC32.
package lzmaparse

import (
	"errors"

	"deltaup/delta/transform/parsestep"
)

// errCorrupt is wrapped when bytes are no such file.
var errCorrupt = errors.New("lzmaparse: corrupt or not such a file")

// errContent is returned when a file cannot have the given content.
var errContent = errors.New("lzmaparse: the file is not that of the content")

const (
	contentMax = parsestep.ContentMax

	// Memory is about how many bytes ApplyStep takes beside its arguments, and ParseMax how many a
	// Parse has at most.
	Memory   = 14 << 20
	ParseMax = 14 << 20
)

// Limits of LZMA and LZMA2, in bytes.
const (
	matchMin   = 2
	matchMax   = 273
	chunkMax   = 1 << 16 // of a chunk, compressed
	chunkPlain = 1 << 21 // of its content
	// chunkRoom is what liblzma keeps free in a chunk for symbols that are decided already.
	chunkRoom = 4096 + 1
)

// repeatCount is how many of the latest distances have a code of their own.
const repeatCount = 4

// symbol is a literal, or a match: of a distance plus repeatCount, or of one of the latest
// distances, whose number is back. A match of 1 byte is of the last distance.
type symbol struct {
	back   uint32
	length int // bytes; 0: a literal
}

// repeats is the latest distances, each less one, the last one first.
type repeats [repeatCount]uint32

// take gives the distance, less one, for which back stands, and notes it.
func (r *repeats) take(back uint32) uint32 {
	if back >= repeatCount {
		d := back - repeatCount
		*r = repeats{d, r[0], r[1], r[2]}
		return d
	}
	d := r[back]
	copy(r[1:back+1], r[:back])
	r[0] = d
	return d
}
