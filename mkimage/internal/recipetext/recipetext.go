// Package recipetext is what the recipes of images (package mkimage) and of initrds (package
// mkimage/initrd) have in common as files: text with one record a line, one space between fields,
// names escaped, the chunks of a content listed where it appears first, and a last line that counts
// the others.
//
// A [Writer] writes a recipe's lines; [Read] hands them to the functions that understand them.
// There is one spelling only: such a function gives the line back as the writer would write it, and
// Read demands the same bytes. What a recipe must be besides is for the Validate of each kind, with
// [CheckParameters] and [ContentCheck]. Format: doc/recipe.md, doc/initrd.md.
package recipetext

import (
	"fmt"
	"regexp"

	"deltaup/chunkstore"
)

// Format is a kind of recipe.
type Format struct {
	Name    string // of such a file, for errors
	Magic   string // its first word
	Version string // behind it, a decimal number; readers know one
	LineMax int    // bytes of a line with its end
}

const (
	wordChunks = "chunks"
	wordEnd    = "end"

	// WordChunk begins a chunk's line.
	WordChunk = "+"

	noID = "-" // in place of the id of a hole, or of an empty content
)

// Corrupt is an error about a recipe that wraps chunkstore.ErrCorrupt.
func Corrupt(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, chunkstore.ErrCorrupt)...)
}

var codecSyntax = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{0,63}$`)

// CheckParameters reports a codec id or sizes of chunks that no recipe has. Errors wrap
// chunkstore.ErrCorrupt.
func CheckParameters(codec string, chunking chunkstore.Params) error {
	if !codecSyntax.MatchString(codec) {
		return Corrupt("%.70q is no codec id", codec)
	}
	if err := chunking.Validate(); err != nil {
		return Corrupt("chunking: %v", err)
	}
	return nil
}
