// Package recipetext reads and writes the text format that recipes of images (package mkimage),
// recipes of initrds (package mkimage/initrd) and traces share: one record a line, one space
// between fields, escaped names, the chunks of a content after the line where it first appears, and
// a last line that counts the others.
//
// A [Writer] writes lines. [Read] hands each line to a function that parses it. There is one
// spelling only: the function encodes what it has parsed, and Read demands the same bytes. The
// Validate of each kind of recipe checks everything else, with [CheckParameters] and
// [ContentCheck]. Formats: doc/recipe.md, doc/initrd.md, doc/trace.md.
package recipetext

import (
	"fmt"
	"strings"

	"deltaup/chunkstore"
	"deltaup/internal/chars"
)

// Format is a kind of recipe.
type Format struct {
	Name    string // name of such a file in errors
	Magic   string // the first word
	Version string // the second word: the only version that this program reads
	LineMax int    // most bytes of a line, with its end
}

const (
	wordChunks = "chunks"
	wordEnd    = "end"

	// WordChunk begins a chunk's line.
	WordChunk = "+"

	noID     = "-" // stands for the id of a hole or of an empty content
	noChunks = "?" // comes before what tells a content whose chunks are not known
)

// Corrupt makes an error about a recipe. It wraps chunkstore.ErrCorrupt.
func Corrupt(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, chunkstore.ErrCorrupt)...)
}

const maxCodec = 64 // characters

// CheckParameters checks a codec id and the sizes of chunks. Its errors wrap chunkstore.ErrCorrupt.
func CheckParameters(codec string, chunking chunkstore.Params) error {
	if len(codec) > maxCodec || !chars.Some(codec, chars.Lower+chars.Digits+".-") ||
		strings.IndexByte(".-", codec[0]) >= 0 {
		return Corrupt("%.70q is no codec id", codec)
	}
	if err := chunking.Validate(); err != nil {
		return Corrupt("chunking: %v", err)
	}
	return nil
}
